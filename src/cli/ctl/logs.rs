//! `logs`: what a container has printed, and with `-f` what it prints.

use std::io::{self, BufWriter, Write};

use clap::{Args, ValueEnum};
use rustix::fs::fstat;
use serde::Deserialize;

use super::client::{Ask, Client, NDJSON, read};
use super::failure::Failure;
use super::lines::Lines;
use super::output::{Output, bytes};
use super::path::Path;
use crate::cli::YES;
use crate::policy::ContainerName;

/// Which lines of which container.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Which container, without the prefix
    #[arg(value_name = "NAME")]
    name: ContainerName,

    /// Go on with what it prints from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// How many lines from the end, or `all` [default: 100]
    #[arg(long, short = 'n', value_name = "LINES", allow_hyphen_values = true)]
    tail: Option<String>,

    /// Only from then on: 2026-11-23T13:04:05Z, Unix seconds, or a time ago such as 10m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only until then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Begin each line with the time at which it was printed
    #[arg(long, short)]
    timestamps: bool,

    /// Only what it printed there
    #[arg(long, value_name = "STREAM")]
    stream: Option<Stream>,
}

const AFTER_HELP: &str = "\
What it printed on standard error goes to standard error. Where the two lead to different places, such as two files, \
bytes that are not UTF-8 are replaced; with `--stream stdout` or `--stream stderr` all come as they are.";

/// Where a container prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stream {
    Stdout,
    Stderr,
    Both,
}

impl Stream {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Both => "both",
        }
    }
}

/// A line, where the streams are told apart.
#[derive(Deserialize)]
struct Line {
    stream: String,
    time: Option<String>,
    #[serde(rename = "line")]
    text: String,
    /// Whether the next one of the same stream goes on in it.
    #[serde(default)]
    partial: bool,
}

impl Arguments {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<u8, Failure> {
        let yes = |is_so: bool| is_so.then_some("true");
        let to_stderr = match self.stream {
            Some(Stream::Stdout) => Some(false),
            Some(Stream::Stderr) => Some(true),
            // As text the bytes come as they are, and nobody sees that the streams are one.
            Some(Stream::Both) | None => is_one_place().then_some(false),
        };
        let as_text = if output.is_json { None } else { to_stderr };
        let path = Path::container(&self.name)
            .then("logs")
            .with("follow", yes(self.follow))
            .with("tail", self.tail.as_deref())
            .with("since", self.since.as_deref())
            .with("until", self.until.as_deref())
            .with("timestamps", yes(self.timestamps && as_text.is_some()))
            .with("stream", self.stream.map(Stream::as_str));
        let ask = Ask::get(path);
        if let Some(to_stderr) = as_text {
            text(client, ask.for_answer_in("text/plain"), to_stderr).await?;
            return Ok(YES);
        }
        let answer = client.begin(ask.for_answer_in(NDJSON)).await?.ndjson()?;
        let lines = Lines::of(answer);
        if output.is_json {
            documents(lines).await?;
        } else {
            apart(lines, self.timestamps).await?;
        }
        Ok(YES)
    }
}

/// Whether standard output and standard error end up in the same place, such as one terminal.
fn is_one_place() -> bool {
    match (fstat(io::stdout()), fstat(io::stderr())) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

async fn text(client: &Client, ask: Ask, to_stderr: bool) -> Result<(), Failure> {
    let mut answer = client.begin(ask).await?;
    while let Some(piece) = answer.piece().await? {
        if to_stderr {
            bytes(&mut io::stderr().lock(), &piece)?;
        } else {
            bytes(&mut io::stdout().lock(), &piece)?;
        }
    }
    Ok(())
}

async fn documents(mut lines: Lines) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(io::stdout());
    while let Some(line) = lines.next().await? {
        put(&mut stdout, &[&line, b"\n"])?;
        if !lines.has_line() {
            bytes(&mut stdout, &[])?;
        }
    }
    Ok(())
}

/// One of our own streams, and whether a line on it is not yet at its end.
struct Sink<W: Write> {
    to: BufWriter<W>,
    is_within: bool,
}

impl<W: Write> Sink<W> {
    fn new(to: W) -> Self {
        Self {
            to: BufWriter::new(to),
            is_within: false,
        }
    }

    fn write(&mut self, line: &Line, has_timestamps: bool) -> Result<(), Failure> {
        if let (Some(time), true, false) = (&line.time, has_timestamps, self.is_within) {
            put(&mut self.to, &[time.as_bytes(), b" "])?;
        }
        put(&mut self.to, &[line.text.as_bytes()])?;
        self.is_within = line.partial;
        if line.partial {
            return Ok(());
        }
        put(&mut self.to, &[b"\n"])
    }
}

async fn apart(mut lines: Lines, has_timestamps: bool) -> Result<(), Failure> {
    let (mut stdout, mut stderr) = (Sink::new(io::stdout()), Sink::new(io::stderr()));
    while let Some(line) = lines.next().await? {
        let line: Line = read(&line)?;
        if line.stream == "stderr" {
            stderr.write(&line, has_timestamps)?;
        } else {
            stdout.write(&line, has_timestamps)?;
        }
        // They wait only for more that is there already.
        if !lines.has_line() {
            bytes(&mut stdout.to, &[])?;
            bytes(&mut stderr.to, &[])?;
        }
    }
    Ok(())
}

fn put(to: &mut impl Write, parts: &[&[u8]]) -> Result<(), Failure> {
    let mut parts = parts.iter();
    parts
        .try_for_each(|part| to.write_all(part))
        .map_err(Failure::Output)
}
