//! The mirror: what the engine has, in memory, kept so by the engine's own events. One writer, and readers that never wait.
//!
//! [`Engine::keep_mirror`] subscribes to the engine's events first, lists second, and takes each event for a hint to look
//! at that container again. While that is so, the mirror is *current*. When it is not, it says so, and reads go to the
//! engine. It holds only what is managed, and of that only what is shown.

mod goal;
mod hint;
mod keeper;
mod picture;
mod reducer;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::timeout;

pub(super) use goal::Goal;
pub(super) use picture::Find;
pub use picture::{Managed, Picture};
pub use seen::Seen;

use super::{ContainerId, Engine, Moment};
use crate::policy::ContainerName;

/// How many notices there can be that somebody has not taken yet; who misses some takes the picture anew.
const KEPT_NOTICES: usize = 1024;

/// How long the engine's own event is waited for before a container is looked at without one.
const EVENT_TIME: Duration = Duration::from_millis(5);

/// Whether an answer from memory will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It will, where the mirror is current.
    Mirrored,
    /// The engine is to be asked.
    Fresh,
}

/// What those are told who follow along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A container is there, or has changed.
    Changed(Arc<Seen>),
    /// There is no container of that name any more.
    Gone {
        /// That name.
        name: ContainerName,
        /// Since when.
        at: Moment,
    },
    /// One of a container's processes was killed for want of memory.
    OutOfMemory {
        /// The container's name.
        name: ContainerName,
        /// When.
        at: Moment,
    },
    /// The mirror has become current: the picture is to be taken anew.
    Current,
    /// The mirror is not current any more.
    NotCurrent,
}

/// A notice, and the number of the first picture that shows it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Of pictures with this number or a greater one it is no news.
    pub version: u64,
    /// What there is to tell.
    pub notice: Notice,
}

/// All notices from some moment on.
pub struct Watch(broadcast::Receiver<Told>);

impl Watch {
    /// The next one; none where some were missed, and where no more come: then the picture is to be taken anew. May be
    /// broken off, and asked again.
    pub async fn next(&mut self) -> Option<Told> {
        self.0.recv().await.ok()
    }
}

/// What the engine has.
pub struct Mirror {
    picture: ArcSwap<Picture>,
    notices: broadcast::Sender<Told>,
    /// The number of the picture that is shown.
    version: watch::Sender<u64>,
    managed: watch::Sender<Arc<Managed>>,
    /// To whom it is told that something was done; none while nobody keeps the mirror.
    touches: Mutex<Option<mpsc::Sender<Touch>>>,
}

/// Something was done to a container, and somebody waits until it has been looked at since.
struct Touch {
    id: ContainerId,
    waiter: Waiter,
}

/// Who waits for a look, and since when.
struct Waiter {
    since: Instant,
    looked: oneshot::Sender<()>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            picture: ArcSwap::default(),
            notices: broadcast::Sender::new(KEPT_NOTICES),
            version: watch::Sender::default(),
            managed: watch::Sender::default(),
            touches: Mutex::default(),
        }
    }
}

impl Mirror {
    /// What is known now.
    #[must_use]
    pub fn picture(&self) -> Guard<Arc<Picture>> {
        self.picture.load()
    }

    /// Whether it is what the engine has.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.picture().is_current()
    }

    /// All notices from now on. To miss nothing, first this is asked for and then the picture.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(self.notices.subscribe())
    }

    /// From now on these are managed. Until the mirror knows them, they are asked of the engine.
    pub fn manage(&self, managed: Managed) {
        self.managed.send_if_modified(|now| {
            let is_other = **now != managed;
            if is_other {
                *now = Arc::new(managed);
            }
            is_other
        });
    }

    /// Waits until the mirror has seen what was done to this container since that time, or will not show it before it
    /// has.
    pub(super) async fn catch_up(
        &self,
        (id, name): (&ContainerId, &ContainerName),
        since: Instant,
        goal: Option<&Goal>,
    ) {
        if let Some(goal) = goal
            && timeout(EVENT_TIME, self.shows(name, since, goal))
                .await
                .is_ok()
        {
            return;
        }
        self.look_again(id).await;
    }

    /// Waits until the mirror has seen that there is no container of this name any more, or will not show it before it
    /// has.
    pub(super) async fn catch_up_absence(&self, name: &ContainerName) {
        let shown = self.picture().id_of(name).cloned();
        if let Some(id) = shown {
            self.look_again(&id).await;
        }
    }

    /// Waits until a look at this container has ended that began after this, or nothing is shown of it. Who keeps the
    /// mirror sees to it that this is soon: a time limit here would end while what was before is still shown.
    async fn look_again(&self, id: &ContainerId) {
        let keeper = self
            .touches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(keeper) = keeper else {
            return;
        };
        let (looked, seen) = oneshot::channel();
        let touch = Touch {
            id: id.clone(),
            waiter: Waiter {
                since: Instant::now(),
                looked,
            },
        };
        if keeper.send(touch).await.is_ok() {
            // Dropped where nothing is shown of it meanwhile, and so the engine is asked.
            let _seen = seen.await;
        }
    }

    /// Waits until a look that began since then shows this.
    async fn shows(&self, name: &ContainerName, since: Instant, goal: &Goal) {
        let mut version = self.version.subscribe();
        loop {
            version.mark_unchanged();
            let picture = self.picture();
            let shown = picture.since(name, since);
            if shown.is_some_and(|seen| goal.is_reached(seen)) {
                return;
            }
            drop(picture);
            if version.changed().await.is_err() {
                return;
            }
        }
    }

    /// Says to whom it is told that something was done.
    fn keep(&self, keeper: Option<mpsc::Sender<Touch>>) {
        *self.touches.lock().unwrap_or_else(PoisonError::into_inner) = keeper;
    }

    /// Shows another picture, and tells what is new in it.
    fn show(&self, picture: Picture, notices: Vec<Notice>) {
        let version = picture.version();
        self.picture.store(Arc::new(picture));
        self.version.send_replace(version);
        for notice in notices {
            // Without anybody who follows along it is lost, as it should be.
            let _nobody = self.notices.send(Told { version, notice });
        }
    }
}

impl Engine {
    /// What the engine has, as far as it is kept in memory.
    #[must_use]
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }
}
