//! `stats`: what running containers use, once or live.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use futures_util::stream::{BoxStream, SelectAll, select_all, unfold};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{Ask, Client, NDJSON, read};
use super::failure::Failure;
use super::lines::Lines;
use super::list::{Containers, Whoami, containers, names, of_each};
use super::output::Output;
use super::path::Path;
use super::table::{Cell, Table};
use super::text::{NONE, amount, memory, percent};
use crate::cli::YES;
use crate::policy::ContainerName;

/// The most containers that are watched at once: each is a connection.
const MOST_WATCHED: usize = 64;

/// How often the screen is drawn.
const PERIOD: Duration = Duration::from_millis(500);

/// After how long without a word figures are no longer shown: the container has stopped. Docker gives some each second,
/// Podman each five.
const QUIET: Duration = Duration::from_secs(7);

const HEADINGS: [&str; 7] = [
    "CONTAINER",
    "CPU %",
    "MEM USAGE / LIMIT",
    "MEM %",
    "NET I/O",
    "BLOCK I/O",
    "PIDS",
];

/// Which containers, and whether once or live.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which containers, without the prefix [default: all that run and whose stats you may see]
    #[arg(value_name = "NAME")]
    names: Vec<ContainerName>,

    /// Go on with new figures, also when one stops and starts again; until Ctrl-C, or until all have been removed
    #[arg(long, short, visible_short_alias = 'f')]
    watch: bool,
}

/// What a container uses at a moment.
#[derive(Deserialize)]
struct Sample {
    container: String,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
    memory_limit_bytes: Option<u64>,
    network_rx_bytes: Option<u64>,
    network_tx_bytes: Option<u64>,
    block_read_bytes: Option<u64>,
    block_write_bytes: Option<u64>,
    pids: Option<u64>,
}

impl Arguments {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<u8, Failure> {
        let names = if self.names.is_empty() {
            running(client).await?
        } else {
            self.names
        };
        if self.watch {
            watch(client, output, names).await
        } else {
            once(client, output, names).await
        }
    }
}

/// The containers that run and whose stats the caller may see.
async fn running(client: &Client) -> Result<Vec<ContainerName>, Failure> {
    let asked = async {
        let document = client.document(Ask::get(Path::new("/whoami"))).await?;
        document.read::<Whoami>()
    };
    let listed = async { containers(client).await?.read::<Containers>() };
    let (may, listed) = tokio::try_join!(asked, listed)?;
    let is_shown = |name: &String| {
        let verbs = may.containers.get(name);
        verbs.is_some_and(|verbs| verbs.iter().any(|verb| verb == "stats"))
    };
    let running = listed.containers.iter().filter(|status| status.running);
    let running = running.map(|status| &status.container);
    names(running.filter(|name| is_shown(name)))
}

fn path(name: &ContainerName) -> Path {
    Path::container(name).then("stats")
}

async fn once(client: &Client, output: &Output, names: Vec<ContainerName>) -> Result<u8, Failure> {
    let answers = of_each(names, |name| client.document(Ask::get(path(name)))).await;
    let mut table = Table::new(&HEADINGS);
    let mut failures = Vec::new();
    for (name, answer) in answers {
        match answer.and_then(|document| Ok((document.read::<Sample>()?, document))) {
            Ok((_, document)) if output.is_json => output.json(&document.text)?,
            Ok((sample, _)) => table.push(row(&sample)),
            Err(failure) => failures.push((name, failure)),
        }
    }
    if !output.is_json {
        output.table(&table)?;
    }
    Ok(complain(output, failures, YES))
}

/// What comes of a container that is watched: figures, an end, or what went wrong.
type News = (ContainerName, Result<Option<Bytes>, Failure>);

async fn watch(client: &Client, output: &Output, names: Vec<ContainerName>) -> Result<u8, Failure> {
    if names.len() > MOST_WATCHED {
        return Err(Failure::Usage(format!(
            "{} containers are too many to watch at once; name at most {MOST_WATCHED}",
            names.len()
        )));
    }
    let begun = of_each(names, |name| {
        let ask = Ask::get(path(name)).for_answer_in(NDJSON);
        async { client.begin(ask).await?.ndjson() }
    });
    let mut rows = BTreeMap::new();
    let (mut streams, mut failures) = (Vec::new(), Vec::new());
    for (name, answer) in begun.await {
        rows.insert(name.clone(), empty(&name));
        match answer {
            Ok(answer) => streams.push(news(name, Lines::of(answer))),
            Err(failure) => failures.push((name, failure)),
        }
    }
    follow(output, rows, failures, select_all(streams)).await
}

fn news(name: ContainerName, lines: Lines) -> BoxStream<'static, News> {
    let news = unfold(Some((name, lines)), |state| async {
        let (name, mut lines) = state?;
        let next = lines.next().await;
        let goes_on = matches!(next, Ok(Some(_)));
        Some(((name.clone(), next), goes_on.then_some((name, lines))))
    });
    news.boxed()
}

/// Shows what comes, until nothing is to come. On a screen, what went wrong is said at the end: the table would cover it.
async fn follow(
    output: &Output,
    mut rows: BTreeMap<ContainerName, Vec<Cell>>,
    mut failures: Vec<(ContainerName, Failure)>,
    mut news: SelectAll<impl Stream<Item = News> + Unpin>,
) -> Result<u8, Failure> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let is_drawn = output.is_screen && !output.is_json;
    let mut is_changed = true;
    let mut heard = BTreeMap::new();
    let mut code = YES;
    if !is_drawn {
        code = complain(output, failures.drain(..), code);
    }
    if !output.is_json && !is_drawn {
        output.table(&Table::new(&HEADINGS))?;
    }
    loop {
        let next = tokio::select! {
            next = news.next() => next,
            _ = ticks.tick(), if is_drawn => {
                for name in silent(&mut heard, Instant::now()) {
                    rows.insert(name.clone(), empty(&name));
                    is_changed = true;
                }
                if std::mem::take(&mut is_changed) {
                    draw(output, &rows)?;
                }
                continue;
            }
        };
        match next {
            None => break,
            Some((_, Ok(Some(text)))) if output.is_json => output.json(&text)?,
            Some((name, Ok(Some(text)))) => {
                let sample = row(&read(&text)?);
                if !is_drawn {
                    line(output, &sample)?;
                }
                heard.insert(name.clone(), Instant::now());
                rows.insert(name, sample);
            }
            Some((name, Ok(None))) => {
                rows.insert(name.clone(), empty(&name));
            }
            Some((name, Err(failure))) => {
                rows.insert(name.clone(), empty(&name));
                failures.push((name, failure));
            }
        }
        is_changed = true;
    }
    if is_drawn && is_changed {
        draw(output, &rows)?;
    }
    Ok(complain(output, failures, code))
}

/// Who has said nothing for a while, taken out of when each was heard last.
fn silent(heard: &mut BTreeMap<ContainerName, Instant>, now: Instant) -> Vec<ContainerName> {
    let is_silent = |at: &Instant| now.saturating_duration_since(*at) > QUIET;
    let silent: Vec<_> = heard
        .iter()
        .filter(|(_, at)| is_silent(at))
        .map(|(name, _)| name.clone())
        .collect();
    heard.retain(|_, at| !is_silent(at));
    silent
}

fn complain(
    output: &Output,
    failures: impl IntoIterator<Item = (ContainerName, Failure)>,
    code: u8,
) -> u8 {
    failures.into_iter().fold(code, |code, (name, failure)| {
        output.complain(Some(name.as_str()), &failure).max(code)
    })
}

/// Shows a row as one of many that come one after the other.
fn line(output: &Output, row: &[Cell]) -> Result<(), Failure> {
    let mut table = Table::new(&HEADINGS);
    table.push(row.to_vec());
    let line = output.lines(&table).pop().unwrap_or_default();
    output.text(&(line + "\n"))
}

/// Draws the table over the one before it. What is wider than the terminal is cut.
fn draw(output: &Output, rows: &BTreeMap<ContainerName, Vec<Cell>>) -> Result<(), Failure> {
    let mut table = Table::new(&HEADINGS);
    for row in rows.values() {
        table.push(row.clone());
    }
    let lines = output.lines(&table).join("\x1b[K\n");
    output.text(&format!("\x1b[H\x1b[?7l{lines}\x1b[K\n\x1b[J\x1b[?7h"))
}

/// The row of a container of which there are no figures.
fn empty(name: &ContainerName) -> Vec<Cell> {
    let mut row = vec![Cell::new(NONE); HEADINGS.len()];
    if let Some(first) = row.first_mut() {
        *first = Cell::new(name.as_str());
    }
    row
}

fn row(sample: &Sample) -> Vec<Cell> {
    let none = || NONE.to_owned();
    let pair = |one: Option<u64>, other: Option<u64>, show: fn(u64) -> String| {
        let part = |part: Option<u64>| part.map_or_else(none, show);
        Cell::new(format!("{} / {}", part(one), part(other)))
    };
    vec![
        Cell::new(&sample.container),
        Cell::or_none(sample.cpu_percent.map(percent)),
        pair(sample.memory_bytes, sample.memory_limit_bytes, memory),
        Cell::or_none(share(sample.memory_bytes, sample.memory_limit_bytes)),
        pair(sample.network_rx_bytes, sample.network_tx_bytes, amount),
        pair(sample.block_read_bytes, sample.block_write_bytes, amount),
        Cell::or_none(sample.pids.map(|pids| pids.to_string())),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "two digits after the point are shown"
)]
fn share(part: Option<u64>, whole: Option<u64>) -> Option<String> {
    let whole = whole.filter(|whole| *whole > 0)?;
    Some(percent(part? as f64 / whole as f64 * 100.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::{ContainerName, HEADINGS, QUIET, Sample, Table, row, silent};

    fn check(sample: &str, expected: &str) {
        let sample: Sample = serde_json::from_str(sample).unwrap();
        let mut table = Table::new(&HEADINGS);
        table.push(row(&sample));
        assert_eq!(table.lines(false).pop().unwrap(), expected);
    }

    /// A container that has stopped must not look as if it went on.
    #[test]
    fn who_is_silent_is_said_once() {
        let begun = Instant::now();
        let [early, late]: [ContainerName; 2] = ["early", "late"].map(|name| name.parse().unwrap());
        let second = Duration::from_secs(1);
        let mut heard = BTreeMap::from([(early.clone(), begun), (late.clone(), begun + second)]);
        assert_eq!(silent(&mut heard, begun + QUIET), []);
        assert_eq!(silent(&mut heard, begun + QUIET + second), [early]);
        assert_eq!(silent(&mut heard, begun + QUIET * 2), [late]);
        assert_eq!(silent(&mut heard, begun + QUIET * 3), []);
    }

    #[test]
    fn rows() {
        check(
            r#"{"container":"muxer","time":"2026-11-23T13:04:05Z","cpu_percent":101.239,"memory_bytes":221747609,
                "memory_limit_bytes":2092957696,"network_rx_bytes":1450000000,"network_tx_bytes":0,
                "block_read_bytes":4096,"block_write_bytes":12300000,"pids":7}"#,
            "muxer       101.24%   211.5MiB / 1.949GiB   10.59%   1.45GB / 0B   4.1kB / 12.3MB   7",
        );
        check(
            r#"{"container":"muxer","memory_bytes":1,"memory_limit_bytes":0,"pids":null}"#,
            "muxer       -       1B / 0B             -       - / -     - / -       -",
        );
    }
}
