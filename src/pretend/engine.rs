//! What all connections share: the containers, the clock, and the fault in force.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::container::Run;
use super::exec::Next;
use super::fault::Fault;
use super::state::{Containers, Outlook};

/// The engine behind the socket; it outlives its listener.
pub(super) struct Engine {
    containers: Mutex<Containers>,
    /// Told after every request that may have changed a container.
    changes: watch::Sender<()>,
    /// One more holder for each who listens to the events.
    listeners: Arc<()>,
    /// The fault, and the text that a path must contain to meet it.
    fault: Mutex<Option<(Fault, String)>>,
    /// One instant on both clocks: dates follow tokio's, so that tests can pause it.
    origin: (Instant, SystemTime),
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            containers: Mutex::default(),
            changes: watch::Sender::new(()),
            listeners: Arc::default(),
            fault: Mutex::default(),
            origin: (Instant::now(), SystemTime::now()),
        }
    }

    /// Runs one transition, or one look, on the containers as they are now.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Containers, SystemTime) -> T) -> T {
        let now = self.now();
        let mut containers = lock(&self.containers);
        containers.settle(now);
        let done = act(&mut containers, now);
        // What is due at once is part of the same step: nobody sees a killed process alive.
        containers.settle(now);
        drop(containers);
        done
    }

    /// As [`Engine::with`], and wakes those who wait for a run to end.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut Containers, SystemTime) -> T) -> T {
        let done = self.with(act);
        self.changes.send_replace(());
        done
    }

    /// Waits until a run has ended. Answers whether its container is still there.
    pub(super) async fn outlive(&self, run: &Run) -> bool {
        let mut changes = self.changes.subscribe();
        loop {
            let (outlook, now) = self.with(|containers, now| (containers.outlook(run), now));
            match outlook {
                Outlook::Over => return true,
                Outlook::Removed => return false,
                Outlook::EndsAt(date) => {
                    let left = date.duration_since(now).unwrap_or_default();
                    // Whichever comes first, the loop looks again; the sender lives as long as `self`.
                    drop(timeout(left, changes.changed()).await);
                }
                Outlook::GoesOn => drop(changes.changed().await),
            }
        }
    }

    /// What a program prints, in frames, until it has ended.
    pub(super) fn printed(self: Arc<Self>, id: String) -> impl Stream<Item = Bytes> + Send {
        let changes = self.changes.subscribe();
        stream::unfold(
            (self, id, 0, changes),
            async |(engine, id, place, mut changes)| {
                loop {
                    // Seen before the look, so that what changes after it wakes.
                    changes.mark_unchanged();
                    let (next, now) =
                        engine.with(|state, now| (state.next_piece(&id, place, now), now));
                    match next {
                        Next::Over => return None,
                        Next::Piece(bytes, place) => {
                            return Some((bytes.into(), (engine, id, place, changes)));
                        }
                        Next::Not(date) => {
                            let left = date.duration_since(now).unwrap_or_default();
                            drop(timeout(left, changes.changed()).await);
                        }
                        Next::Never => drop(changes.changed().await),
                    }
                }
            },
        )
    }

    /// To be told of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Counts as one who listens, as long as it is kept.
    pub(super) fn listener(&self) -> Arc<()> {
        Arc::clone(&self.listeners)
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        Arc::strong_count(&self.listeners) - 1
    }

    pub(super) fn set_fault(&self, fault: Option<(Fault, String)>) {
        *lock(&self.fault) = fault;
    }

    /// The fault that a request for this path meets.
    pub(super) fn fault(&self, path: &str) -> Option<Fault> {
        lock(&self.fault)
            .as_ref()
            .filter(|(_, text)| path.contains(text))
            .map(|(fault, _)| *fault)
    }

    fn now(&self) -> SystemTime {
        let (instant, date) = self.origin;
        date + instant.elapsed()
    }
}

/// A panic elsewhere leaves nothing half done here: every transition checks first and then changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
