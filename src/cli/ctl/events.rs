//! `events`: what happens to containers, as it happens.

use std::time::Duration;

use clap::Args;
use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::client::{Ask, Client, EVENT_STREAM, read};
use super::failure::Failure;
use super::lines::Lines;
use super::output::Output;
use super::path::Path;
use super::text::{NONE, moment, plain};
use crate::policy::ContainerName;

/// After how long without a word, not even that there is nothing to say, the gateway is taken for gone.
const SILENCE: Duration = Duration::from_secs(45);

/// How long to wait before connecting again, at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Of which containers.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Which containers, without the prefix [default: all that you may see]
    #[arg(value_name = "NAME")]
    names: Vec<ContainerName>,
}

const AFTER_HELP: &str = "\
First there is a line for each container as it is, and then one for each change, until Ctrl-C. Where the connection \
breaks it is opened again, and there is a line for each container again: whatever changed meanwhile is in it.";

/// What the gateway tells. Which keys are there says what it is.
#[derive(Deserialize)]
struct Told {
    /// All that there is.
    containers: Option<Vec<Live>>,
    container: Option<String>,
    status: Option<String>,
    health: Option<String>,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    oom_killed: bool,
    time: Option<String>,
}

#[derive(Deserialize)]
struct Live {
    container: String,
    status: String,
    health: Option<String>,
    time: String,
}

impl Arguments {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<u8, Failure> {
        let names: Vec<_> = self.names.iter().map(ContainerName::as_str).collect();
        let names = (!names.is_empty()).then(|| names.join(","));
        let path = Path::new("/events").with("container", names.as_deref());
        let (shortest, longest) = PAUSES;
        let mut pause = shortest;
        // Who cannot be reached at all is not waited for.
        let mut was_there = false;
        loop {
            let mut is_heard = false;
            let ended = follow(client, output, &path, &mut is_heard).await;
            if is_heard {
                (was_there, pause) = (true, shortest);
            }
            match ended {
                Ok(()) => output.remark("the gateway has ended it; connecting again"),
                Err(failure) if was_there && may_pass(&failure) => {
                    output.remark(&format!("{failure}; connecting again"));
                }
                Err(failure) => return Err(failure),
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Whether the same may go well a little later.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Broken(_) => true,
        Failure::Refused(refusal) => {
            refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS
        }
        Failure::Usage(_) | Failure::Output(_) => false,
    }
}

/// Shows what is told until nothing more is. Says whether anything was, also where it fails.
async fn follow(
    client: &Client,
    output: &Output,
    path: &Path,
    is_heard: &mut bool,
) -> Result<(), Failure> {
    let ask = Ask::get(path.clone()).for_answer_in(EVENT_STREAM);
    let mut lines = Lines::of(client.begin(ask).await?.event_stream()?);
    loop {
        let line = timeout(SILENCE, lines.next()).await;
        let silent = || Failure::Broken("the gateway has been silent for too long".to_owned());
        let Some(line) = line.map_err(|_| silent())?? else {
            return Ok(());
        };
        // Names of events and signs of life mean nothing here.
        let Some(json) = line.strip_prefix(b"data: ") else {
            continue;
        };
        *is_heard = true;
        let told: Told = read(json)?;
        if output.is_json {
            output.json(&line.slice_ref(json))?;
        } else {
            output.text(&text(&told))?;
        }
    }
}

/// What was told, a line for each container.
fn text(told: &Told) -> String {
    if let Some(containers) = &told.containers {
        let each = containers.iter();
        return each
            .map(|live| {
                state(
                    &live.time,
                    &live.container,
                    &live.status,
                    live.health.as_deref(),
                )
            })
            .collect();
    }
    let time = told.time.as_deref().unwrap_or(NONE);
    let Some(container) = &told.container else {
        return line(time, NONE, "the gateway does not hear from the engine");
    };
    match &told.status {
        Some(status) => state(time, container, status, told.health.as_deref()),
        None if told.oom_killed => line(time, container, "out of memory: a process was killed"),
        None if told.gone => line(time, container, "gone"),
        None => String::new(),
    }
}

fn state(time: &str, container: &str, status: &str, health: Option<&str>) -> String {
    let health = health.map_or(String::new(), |health| format!(" ({health})"));
    line(time, container, &format!("{status}{health}"))
}

fn line(time: &str, container: &str, what: &str) -> String {
    let (time, container, what) = (moment(time), plain(container), plain(what));
    format!("{time}  {container}  {what}\n")
}

#[cfg(test)]
mod tests {
    use super::text;

    fn check(json: &str, expected: &str) {
        assert_eq!(text(&serde_json::from_str(json).unwrap()), expected);
    }

    #[test]
    fn a_line_for_each() {
        let time = "2026-01-31T18:00:00.123456789Z";
        check(
            &format!(
                r#"{{"containers":[{{"container":"a","status":"running","running":true,"health":"healthy","time":"{time}"}},
                    {{"container":"b","status":"exited","running":false,"health":null,"time":"{time}"}}]}}"#
            ),
            "2026-01-31T18:00:00Z  a  running (healthy)\n2026-01-31T18:00:00Z  b  exited\n",
        );
        check(r#"{"containers":[]}"#, "");
        check(
            &format!(r#"{{"container":"a","gone":true,"time":"{time}"}}"#),
            "2026-01-31T18:00:00Z  a  gone\n",
        );
        check(
            &format!(r#"{{"container":"a","oom_killed":true,"time":"{time}"}}"#),
            "2026-01-31T18:00:00Z  a  out of memory: a process was killed\n",
        );
        check(
            &format!(r#"{{"current":false,"time":"{time}"}}"#),
            "2026-01-31T18:00:00Z  -  the gateway does not hear from the engine\n",
        );
        // What is of a later version is passed over, and what is hostile is only shown.
        check(r#"{"container":"a","moved":true}"#, "");
        check(
            r#"{"container":"a\u001b[2J","status":"x\ny","running":true,"health":null,"time":"\u009b"}"#,
            "\\u{9b}  a\\u{1b}[2J  x\\ny\n",
        );
    }
}
