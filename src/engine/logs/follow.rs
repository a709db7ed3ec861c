//! One reader of what a container prints: through one connection after the other, and none while there is nothing to read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use super::demux::Demux;
use super::position::{Known, Position};
use super::{Moment, Piece, ReadLogs, Tail};
use crate::engine::inspected::Inspected;
use crate::engine::upstream::Upstream;
use crate::engine::{ContainerId, Engine, Error};
use crate::policy::Permitted;

/// How much is handed on at once, in bytes: enough for few system calls, and little beside what a connection holds.
const BATCH_BYTES: usize = 64 * 1024;

/// How long to wait before looking again at a container that does not run, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long a container may be gone before it is gone for good: to replace one takes a moment.
const GONE: Duration = Duration::from_secs(5);

/// A stream that lasted so long was a good one; when it ends, the container is looked at again at once.
const GOOD: Duration = Duration::from_secs(5);

/// How many messages are looked through for the last one that is known, at first: the engine reads those alone. Where
/// that is not among them, it has to look through all that it has.
const NEAR: u32 = 4096;

/// How long the engine may be silent while it sends those.
const NEAR_SILENCE: Duration = Duration::from_millis(500);

/// What a container prints, as it comes. Dropped, it closes its connection to the engine.
pub struct Logs {
    engine: Arc<Engine>,
    permitted: Permitted<'static, ReadLogs>,
    /// When it was first asked, on this machine's clock.
    begun: Moment,
    source: Container,
    position: Position,
    state: State,
    /// How long to wait before the next look.
    pause: Duration,
    /// Whether it was told that the container has paused.
    is_pause_told: bool,
    /// Whether the last message that is known was not among the last ones.
    is_far: bool,
}

/// What comes out of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// It printed this.
    Pieces(Vec<Piece>),
    /// It runs no more, and has told all. Lines without an end will not get one.
    Pause,
}

/// The container that is read, as it was when it was last asked.
struct Container {
    id: ContainerId,
    /// When its latest run had begun.
    started_at: Option<String>,
    /// Whether it did not run: all that it has printed comes, and then the end.
    is_still: bool,
}

enum State {
    Reading {
        reading: Box<Reading>,
        since: Instant,
    },
    /// Nothing is being read. Whether the last answer broke off.
    Waiting {
        is_broken: bool,
    },
    Ended,
}

/// One answer of the engine.
pub(super) struct Reading {
    upstream: Upstream,
    demux: Demux,
    /// Whether its end may be a break: the container runs, and is followed.
    is_open: bool,
    /// What came before, on another connection.
    known: Option<Known>,
    /// What came and is not taken apart yet.
    rest: Bytes,
    /// How it ended, until that is told.
    end: Option<Result<(), Error>>,
}

impl Container {
    fn of(found: &Inspected) -> Self {
        Self {
            id: found.id.clone(),
            started_at: found.started_at().map(ToOwned::to_owned),
            is_still: !found.is_up(),
        }
    }
}

impl Engine {
    /// Asks what a container printed.
    pub(super) async fn read(&self, found: &Inspected, read: &ReadLogs) -> Result<Reading, Error> {
        let upstream = self.open("logs", read.question(&found.id)).await?;
        Ok(Reading {
            upstream,
            demux: Demux::new(found.is_terminal(), read.needs_times()),
            is_open: read.follow && found.is_up(),
            known: None,
            rest: Bytes::new(),
            end: None,
        })
    }
}

impl Reading {
    /// Whether what came on another connection has not come again yet, and may not.
    fn is_sought(&self) -> bool {
        self.known.as_ref().is_some_and(Known::is_sought)
    }

    /// Whether what comes is not what follows it.
    fn has_missed(&self) -> bool {
        let is_missed = self.known.as_ref().is_some_and(Known::is_missed);
        is_missed || (self.end.is_some() && self.is_sought())
    }

    /// What comes next, of which all may be known already; none at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] where the connection breaks, [`Error::Garbled`] where what comes makes no sense.
    pub(super) async fn pieces(&mut self) -> Option<Result<Vec<Piece>, Error>> {
        let (mut pieces, mut taken) = (Vec::new(), 0);
        while taken < BATCH_BYTES && self.end.is_none() {
            if self.rest.is_empty() {
                let next = if taken == 0 && self.is_sought() {
                    let next = timeout(NEAR_SILENCE, self.upstream.chunk()).await;
                    next.unwrap_or_default()
                } else if taken == 0 {
                    self.upstream.chunk().await
                } else if let Some(next) = self.upstream.chunk().now_or_never() {
                    next
                } else {
                    break;
                };
                match next.transpose() {
                    Ok(Some(chunk)) => self.rest = chunk,
                    Ok(None) => {
                        // After a break what was kept comes again.
                        if !self.is_open {
                            self.demux.finish(&mut pieces);
                        }
                        self.end = Some(Ok(()));
                        break;
                    }
                    Err(error) => self.end = Some(Err(error)),
                }
            }
            let length = self.rest.len().min(BATCH_BYTES - taken);
            taken += length;
            if let Err(why) = self.demux.push(self.rest.split_to(length), &mut pieces) {
                self.end = Some(Err(Error::Garbled(why)));
            }
        }
        if let Some(known) = &mut self.known {
            let new = pieces
                .into_iter()
                .filter_map(|piece| known.pass_over(piece));
            pieces = new.collect();
        }
        match self.end.take_if(|_| pieces.is_empty()) {
            None => Some(Ok(pieces)),
            Some(Ok(())) => {
                self.end = Some(Ok(()));
                None
            }
            Some(Err(error)) => {
                self.end = Some(Ok(()));
                Some(Err(error))
            }
        }
    }
}

impl Logs {
    pub(super) async fn open(
        engine: Arc<Engine>,
        permitted: Permitted<'static, ReadLogs>,
    ) -> Result<Self, Error> {
        let begun = Moment::now();
        let mut found = engine.locate(permitted.full_name()).await?;
        let mut answer = engine.read(&found, permitted.operation()).await;
        if let Err(Error::Refused { .. }) = answer {
            // Perhaps only because the container went away, or began to, between the look and the question.
            let again = engine.locate(permitted.full_name()).await?;
            if again.is_going() {
                return Err(Error::NotFound);
            }
            if again.id != found.id {
                answer = engine.read(&again, permitted.operation()).await;
                found = again;
            }
        }
        let state = State::Reading {
            reading: Box::new(answer?),
            since: Instant::now(),
        };
        Ok(Self {
            engine,
            permitted,
            begun,
            source: Container::of(&found),
            position: Position::default(),
            state,
            pause: Duration::ZERO,
            is_pause_told: false,
            is_far: false,
        })
    }

    /// What comes next; none at the end: of what there is, or, where it is followed, of the container. What is not
    /// taken stays with the engine.
    ///
    /// # Errors
    ///
    /// The engine's own, of which a follower gets only those that come from a stream that makes no sense.
    pub async fn next(&mut self) -> Option<Result<Printed, Error>> {
        loop {
            let next = match &mut self.state {
                State::Ended => return None,
                State::Waiting { is_broken } => {
                    let is_broken = *is_broken;
                    match Box::pin(self.again(is_broken)).await {
                        Some(Some(pause)) => return Some(Ok(pause)),
                        Some(None) => {}
                        None => self.state = State::Ended,
                    }
                    continue;
                }
                State::Reading { reading, .. } => {
                    let next = reading.pieces().await;
                    if reading.has_missed() {
                        self.is_far = true;
                        self.pause = Duration::ZERO;
                        self.state = State::Waiting { is_broken: true };
                        continue;
                    }
                    next
                }
            };
            match next {
                Some(Ok(pieces)) if pieces.is_empty() => {}
                Some(Ok(pieces)) => {
                    if self.is_following() {
                        for piece in &pieces {
                            self.position.advance(piece);
                        }
                        self.pause = Duration::ZERO;
                        self.is_pause_told = false;
                    }
                    return Some(Ok(Printed::Pieces(pieces)));
                }
                Some(Err(error)) if !self.is_following() || matches!(error, Error::Garbled(_)) => {
                    self.state = State::Ended;
                    return Some(Err(error));
                }
                None if !self.is_following() => self.state = State::Ended,
                None => self.wait(false),
                Some(Err(_)) => self.wait(true),
            }
        }
    }

    const fn is_following(&self) -> bool {
        self.permitted.operation().follow
    }

    /// Lets go of the connection.
    fn wait(&mut self, is_broken: bool) {
        if let State::Reading { since, .. } = &self.state
            && since.elapsed() > GOOD
        {
            self.pause = Duration::ZERO;
        }
        self.state = State::Waiting { is_broken };
    }

    /// Waits until there may be more to read, and asks for it. May tell before that the container has paused; none
    /// where it is gone for good.
    async fn again(&mut self, is_broken: bool) -> Option<Option<Printed>> {
        let mut gone_since = None;
        loop {
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
            let (first, most) = PAUSE;
            self.pause = (self.pause * 2).clamp(first, most);
            let found = self.engine.locate(self.permitted.full_name()).await;
            gone_since = match &found {
                Err(Error::NotFound | Error::OwnContainer) => gone_since.or(Some(Instant::now())),
                // However long the engine is away: its containers may be there when it comes back.
                Ok(_)
                | Err(
                    Error::Refused { .. }
                    | Error::Unreachable(_)
                    | Error::Broken(_)
                    | Error::TimedOut(_)
                    | Error::Garbled(_),
                ) => None,
            };
            match found {
                // Where it fails, the next look may tell why.
                Ok(found) if is_broken || self.has_more(&found) => {
                    if self.reopen(&found, is_broken).await.is_ok() {
                        return Some(None);
                    }
                }
                Ok(_) if !self.is_pause_told => {
                    self.is_pause_told = true;
                    return Some(Some(Printed::Pause));
                }
                Ok(_) | Err(_) => {}
            }
            if gone_since.is_some_and(|since: Instant| since.elapsed() >= GONE) {
                return None;
            }
        }
    }

    /// Whether a container may have printed more than came.
    fn has_more(&self, found: &Inspected) -> bool {
        let (known, started_at) = (&self.source, found.started_at());
        if found.id != known.id {
            return started_at.is_some();
        }
        // A still one has told all, unless it ran in between.
        found.is_up() || !known.is_still || started_at != known.started_at.as_deref()
    }

    async fn reopen(&mut self, found: &Inspected, is_broken: bool) -> Result<(), Error> {
        let mut read = *self.permitted.operation();
        let is_another = found.id != self.source.id;
        let since = self.position.since();
        match (since, read.tail) {
            // All that another one printed is new.
            _ if is_another => read.tail = Tail::All,
            (Some(since), _) => {
                read.tail = if self.is_far {
                    Tail::All
                } else {
                    Tail::Last(NEAR)
                };
                read.since = read.since.max(Some(since));
            }
            // There was nothing to count back from, so what there is now is new.
            (None, Tail::Last(lines)) if lines == 0 || !is_broken => {
                read.tail = Tail::All;
                read.since = read.since.max(Some(self.begun));
            }
            (None, Tail::Last(_) | Tail::All) => {}
        }
        let mut reading = self.engine.read(found, &read).await?;
        if is_another {
            self.position = Position::default();
        } else {
            reading.known = Some(self.position.known(self.is_far));
        }
        self.is_far = false;
        self.source = Container::of(found);
        self.state = State::Reading {
            reading: Box::new(reading),
            since: Instant::now(),
        };
        Ok(())
    }
}
