//! Turns: starts, stops and restarts of one container come one after the other, and no more changes run than there
//! are places for.
//!
//! The engine looks at a container and acts on it in two steps, so two starts that race can both be told that they
//! started it, and a start during a slow stop is told that the container runs already. In turn, each answer is true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::audit;
use crate::engine::Change;
use crate::limits;
use crate::policy::ContainerName;

// The trail has to have room for the ends of all changes and for what else is going on.
const _: () = assert!(2 * limits::MOST_CHANGES <= audit::CAPACITY);

/// Whose turn it is, by container. As many queues as there are managed containers, at most.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    queues: Mutex<HashMap<ContainerName, Queue>>,
    per_container: usize,
}

/// The queue of one container.
#[derive(Clone)]
struct Queue {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// A place among the changes that run, and in a queue where it is one that waits.
pub(super) struct Place {
    turn: Option<Arc<Semaphore>>,
    held: Vec<OwnedSemaphorePermit>,
}

impl Turns {
    /// For so many changes at once, of which so many can be of one container: the one whose turn it is, and those that
    /// wait. Changes outlive their callers, so the limit of connections does not hold for them.
    pub(super) fn new(changes: usize, per_container: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(changes)),
            queues: Mutex::default(),
            per_container,
        }
    }

    /// Takes a place for a change, first come, first served; `None` where all are taken.
    pub(super) fn place(&self, change: &Change, container: &ContainerName) -> Option<Place> {
        let mut place = self.place_beside()?;
        match change {
            Change::Start | Change::Stop { .. } | Change::Restart { .. } => {
                let queue = self.queue(container);
                place.held.push(queue.places.try_acquire_owned().ok()?);
                place.turn = Some(queue.turn);
            }
            // A kill is what one sends when a stop takes too long; these do not wait for it.
            Change::Kill { .. } | Change::Pause | Change::Unpause => {}
        }
        Some(place)
    }

    /// A place for what has no turn to wait for; `None` where all are taken.
    pub(super) fn place_beside(&self) -> Option<Place> {
        let held = vec![Arc::clone(&self.places).try_acquire_owned().ok()?];
        Some(Place { turn: None, held })
    }

    fn queue(&self, container: &ContainerName) -> Queue {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Queue {
            places: Arc::new(Semaphore::new(self.per_container)),
            turn: Arc::new(Semaphore::new(1)),
        };
        queues.entry(container.clone()).or_insert_with(new).clone()
    }
}

impl Place {
    /// Waits for the turn, which lasts until what this gives is dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(self.turn.as_ref()?);
        // It is never closed, so there is always a turn to come.
        turn.acquire_owned().await.ok()
    }
}
