//! The log: what is written, in which form, to standard error.

use std::io::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The `[log]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is written: a level, or levels by target, such as `info` or `warn,relayer_controller::engine=debug`.
    pub filter: Targets,
    /// How a line looks.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filter: Targets::new().with_default(tracing::Level::INFO),
            format: Format::Text,
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is `text` or `json`"),
        }
    }
}

/// The most lines that wait to be written; when there are more, the newest are lost, and how many is said.
const MOST_LINES: usize = 4096;

/// The log of this process.
#[must_use]
pub struct Log(Output);

/// Where lines go: to standard error at once, or by a thread once there is one.
#[derive(Clone, Default)]
struct Output(Arc<Lines>);

#[derive(Default)]
struct Lines {
    queue: OnceLock<SyncSender<Line>>,
    lost: AtomicUsize,
}

enum Line {
    Text(Vec<u8>),
    /// All that came before is to be written before this is dropped.
    End(Sender<()>),
}

/// Starts the log of this process. Only the first call has an effect.
pub fn start(settings: &Settings) -> Log {
    let output = Output::default();
    let lines = fmt::layer()
        .with_writer(output.clone())
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = match settings.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start is a test's; its lines go where the first one said.
    let _already_started = tracing_subscriber::registry()
        .with(layer.with_filter(settings.filter.clone()))
        .try_init();
    Log(output)
}

impl Log {
    /// Has a thread write from now on, so that nobody who logs waits for whoever reads standard error.
    ///
    /// # Errors
    ///
    /// Where there can be no thread; then all stays as it is.
    pub fn detach(&self) -> io::Result<()> {
        let (queue, lines) = sync_channel(MOST_LINES);
        let output = self.0.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || output.write(&lines))?;
        // It is detached once.
        let _detached_before = self.0.0.queue.set(queue);
        Ok(())
    }

    /// Waits until what was logged is written, at most so long.
    pub fn flush(&self, most: Duration) {
        let (end, written) = channel();
        if let Some(queue) = self.0.0.queue.get()
            && queue.try_send(Line::End(end)).is_ok()
        {
            // That the other end is gone is what is waited for; otherwise nobody reads, and nobody will miss it.
            let _written = written.recv_timeout(most);
        }
    }
}

impl Output {
    fn write(&self, lines: &Receiver<Line>) {
        for line in lines {
            match line {
                Line::Text(text) => to_stderr(&text),
                Line::End(_dropped) => {}
            }
            let lost = self.0.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let told = format!("{lost} lines of the log were lost: nobody took them in time\n");
                to_stderr(told.as_bytes());
            }
        }
    }
}

impl<'output> MakeWriter<'output> for Output {
    type Writer = Self;

    fn make_writer(&'output self) -> Self {
        self.clone()
    }
}

/// Each line comes in one piece.
impl Write for Output {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.0.queue.get() {
            None => to_stderr(text),
            Some(queue) => {
                if queue.try_send(Line::Text(text.to_vec())).is_err() {
                    self.0.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever has closed the other end does not want it.
fn to_stderr(text: &[u8]) {
    let _unread = io::stderr().write_all(text);
}
