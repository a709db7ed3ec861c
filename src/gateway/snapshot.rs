//! The configuration in force, and what a request holds of it.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::config::Config;

/// The configuration in force.
pub(super) struct InForce {
    /// For requests, which come thick and fast.
    current: ArcSwap<Config>,
    /// For what goes on and wants to know of another one.
    told: watch::Sender<Arc<Config>>,
}

/// The configuration that holds for one request, whatever is put in force meanwhile.
///
/// To take one writes nothing that other threads read. With a count or a lock, every request of one worker would wait for
/// those of the others.
pub struct Snapshot(Guard<Arc<Config>>);

impl InForce {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            current: ArcSwap::new(Arc::clone(&config)),
            told: watch::Sender::new(config),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot(self.current.load())
    }

    /// This one from now on, and of each one to come.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.told.subscribe()
    }

    /// Puts another one in force, and gives the one before. Who follows along is never behind a request.
    pub(super) fn replace(&self, config: &Arc<Config>) -> Arc<Config> {
        self.told.send_replace(Arc::clone(config));
        self.current.swap(Arc::clone(config))
    }
}

impl Deref for Snapshot {
    type Target = Arc<Config>;

    fn deref(&self) -> &Arc<Config> {
        &self.0
    }
}

/// For what outlives the request.
impl Clone for Snapshot {
    fn clone(&self) -> Self {
        Self(Guard::from_inner(Arc::clone(self)))
    }
}
