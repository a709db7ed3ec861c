//! The answer to `events`: what happens, as it happens, to those who listen.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::unfold;
use hyper::Response;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::answer::{Body, streamed_until_broken};
use super::engine::Engine;
use super::event::{Event, Told};
use super::form::Form;
use super::logs::date;
use super::refusal::Refusal;
use super::wanted::Wanted;

/// The beginning of a line that never comes to its end.
const HALF_A_LINE: &str = "{\"status\":\"start\",\"id\":\"4a";

/// Somebody who listens.
struct Listener {
    engine: Arc<Engine>,
    /// What comes next, by the order in which it was told.
    next: usize,
    /// How often all had been cut off when this one came.
    cuts: usize,
    wanted: Wanted,
    until: Option<SystemTime>,
    /// What was there before.
    past: String,
    broken: bool,
    _counted: Arc<()>,
}

/// What a listener does next.
enum Next {
    Send(String),
    /// It waits for a change, and no longer than this.
    Wait(Duration),
    End,
    Break,
}

/// Answers with what has happened and will.
pub(super) fn answer(engine: &Arc<Engine>, form: &Form) -> Result<Response<Body>, Refusal> {
    let (since, until) = (moment(form.get("since"))?, moment(form.get("until"))?);
    if until.is_some_and(|until| since.is_some_and(|since| until < since)) {
        let (since, until) = (form.get("since"), form.get("until"));
        let message = format!("`since` time ({since}) cannot be after `until` time ({until})");
        return Err(Refusal::new(400, message));
    }
    let wanted = Wanted::parse(form.get("filters"))?;
    let listener = engine.with(|state, _| {
        let feed = &state.feed;
        let asks_for_past = since.is_some() || until.is_some();
        // The end of time is taken for none if it is its beginning.
        let last = until.filter(|until| *until > UNIX_EPOCH);
        let past = feed.past().filter(|event| {
            asks_for_past
                && since.is_none_or(|since| event.at >= since)
                && last.is_none_or(|last| event.at <= last)
                && wanted.includes(event)
        });
        Listener {
            engine: Arc::clone(engine),
            next: feed.end(),
            cuts: feed.cuts,
            past: past.map(Event::line).collect(),
            wanted,
            until,
            broken: false,
            _counted: engine.listener(),
        }
    });
    let pieces = unfold(listener, async |mut listener| {
        let piece = listener.piece().await?;
        Some((piece, listener))
    });
    Ok(streamed_until_broken("application/json", pieces))
}

impl Listener {
    async fn piece(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.broken {
                // Lets the server write out what came before, as it was not told that this is the end.
                yield_now().await;
                return Some(Err(io::Error::other("told to break off")));
            }
            // From before the look, so that what changes after it wakes.
            let mut changes = self.engine.changes();
            match self.look() {
                Next::Send(lines) => return Some(Ok(lines.into())),
                // Whichever comes first, the loop looks again.
                Next::Wait(left) => drop(timeout(left, changes.changed()).await),
                Next::End => return None,
                Next::Break => {
                    self.broken = true;
                    return Some(Ok(Bytes::from_static(HALF_A_LINE.as_bytes())));
                }
            }
        }
    }

    fn look(&mut self) -> Next {
        let engine = Arc::clone(&self.engine);
        engine.with(|state, now| {
            let mut lines = std::mem::take(&mut self.past);
            // One that is too far behind has missed something for good.
            let Some(fresh) = state
                .feed
                .from(self.next)
                .filter(|_| state.feed.cuts == self.cuts)
            else {
                return Next::Break;
            };
            for told in fresh {
                match told {
                    Told::Event(event) if self.wanted.includes(event) => {
                        lines.push_str(&event.line());
                    }
                    Told::Event(_) => {}
                    Told::Raw(line) => lines.extend([line, "\n"]),
                }
            }
            self.next = state.feed.end();
            if !lines.is_empty() {
                return Next::Send(lines);
            }
            if self.until.is_some_and(|until| until <= now) {
                return Next::End;
            }
            let due = state.due().into_iter().chain(self.until).min();
            let left = due.map(|due| due.duration_since(now).unwrap_or_default());
            Next::Wait(left.unwrap_or(Duration::from_hours(1)))
        })
    }
}

/// A moment as dockerd reads it: -1 means none, and nothing was before 1970.
fn moment(text: &str) -> Result<Option<SystemTime>, Refusal> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(..0) => Ok(Some(UNIX_EPOCH)),
        Ok(_) | Err(_) => date(text),
    }
}
