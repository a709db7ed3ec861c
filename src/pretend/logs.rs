//! The answer to `logs`: messages in frames, or bare where the container has a terminal.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::unfold;
use hyper::Response;
use hyper::header::CONTENT_TYPE;

use super::answer::{Body, streamed};
use super::container::Run;
use super::engine::Engine;
use super::form::Form;
use super::log::{Message, Output};
use super::refusal::Refusal;
use super::time::rfc3339_nano;

/// How many messages are sent at once.
const BATCH: usize = 64;

/// Somebody who reads a log.
struct Reader {
    engine: Arc<Engine>,
    id: String,
    /// Which message comes next.
    next: usize,
    /// The run that is followed; none where only what there is is read, up to here.
    run: Option<Run>,
    end: usize,
    is_terminal: bool,
    wanted: Wanted,
}

/// What of a log is wanted.
struct Wanted {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

/// Answers with what a container has printed and, if that is asked, will.
pub(super) fn answer(
    engine: &Arc<Engine>,
    name: &str,
    form: &Form,
) -> Result<Response<Body>, Refusal> {
    let (stdout, stderr) = (form.is_on("stdout"), form.is_on("stderr"));
    if !stdout && !stderr {
        let message = "Bad parameters: you must choose at least one stream";
        return Err(Refusal::new(400, message));
    }
    let reader = engine.with(|state, _| {
        let container = state.find(name)?;
        let log = &container.log;
        let tail = form.get("tail").parse::<usize>().ok();
        let oldest = log.end() - log.from(0).count();
        let next = tail.map_or(oldest, |tail| log.end().saturating_sub(tail).max(oldest));
        let follow = form.is_on("follow");
        let run = container.process.as_ref().filter(|_| follow);
        Ok(Reader {
            engine: Arc::clone(engine),
            id: container.id.clone(),
            next,
            run: run.map(|process| Run {
                id: container.id.clone(),
                pid: process.pid,
            }),
            end: log.end(),
            is_terminal: container.config.terminal,
            wanted: Wanted {
                stdout,
                stderr,
                timestamps: form.is_on("timestamps"),
                since: date(form.get("since"))?,
                until: date(form.get("until"))?,
            },
        })
    })?;
    let pieces = unfold(reader, async |mut reader| {
        let piece = reader.piece().await?;
        Some((piece, reader))
    });
    let mut response = streamed("text/plain", pieces);
    // 20.10 does not say what it is; later ones do.
    response.headers_mut().remove(CONTENT_TYPE);
    Ok(response)
}

impl Reader {
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            let mut changes = self.engine.changes();
            let look = self.engine.with(|state, now| {
                let container = state.find(&self.id).ok();
                let log = &container?.log;
                let end = if self.run.is_some() {
                    log.end()
                } else {
                    self.end
                };
                let count = end.saturating_sub(self.next).min(BATCH);
                let messages: Vec<_> = log.from(self.next).take(count).cloned().collect();
                let pid = container?.process.as_ref().map(|process| process.pid);
                let goes_on = self.run.as_ref().is_some_and(|run| pid == Some(run.pid));
                let left = log.due().and_then(|due| due.duration_since(now).ok());
                Some((messages, goes_on, left))
            });
            let (messages, goes_on, left) = look?;
            if messages.is_empty() {
                if !goes_on {
                    return None;
                }
                let left = left.unwrap_or(Duration::from_hours(1));
                // Whichever comes first, the loop looks again.
                drop(tokio::time::timeout(left, changes.changed()).await);
                continue;
            }
            self.next += messages.len();
            let until = self.wanted.until;
            let is_late = |message: &Message| until.is_some_and(|until| message.at > until);
            let mut piece = Vec::new();
            for message in &messages {
                if is_late(message) {
                    (self.run, self.end) = (None, self.next);
                    break;
                }
                self.write(message, &mut piece);
            }
            if !piece.is_empty() {
                return Some(piece.into());
            }
        }
    }

    fn write(&self, message: &Message, out: &mut Vec<u8>) {
        let wanted = &self.wanted;
        let (number, is_wanted) = match message.output {
            Output::Stdout => (1, wanted.stdout),
            Output::Stderr => (2, wanted.stderr),
        };
        if !is_wanted || wanted.since.is_some_and(|since| message.at < since) {
            return;
        }
        let time = if wanted.timestamps {
            format!("{} ", rfc3339_nano(message.at))
        } else {
            String::new()
        };
        if !self.is_terminal {
            let length = u32::try_from(time.len() + message.text.len()).unwrap_or(u32::MAX);
            out.extend([number, 0, 0, 0]);
            out.extend(length.to_be_bytes());
        }
        out.extend(time.bytes());
        out.extend(&message.text);
    }
}

/// Seconds since 1970 and perhaps decimals, as dockerd takes them.
pub(super) fn date(text: &str) -> Result<Option<SystemTime>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| {
            let message = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
            Refusal::new(500, message)
        })
    };
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = u32::try_from(decimals.len()).unwrap_or(u32::MAX);
    let nanos = number(decimals)?.saturating_mul(10_u64.pow(9_u32.saturating_sub(digits)));
    let since = Duration::from_secs(number(seconds)?) + Duration::from_nanos(nanos);
    Ok(UNIX_EPOCH.checked_add(since))
}
