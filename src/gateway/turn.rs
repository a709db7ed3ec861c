//! Turns: starts, stops and restarts of one container come one after the other.
//!
//! The engine looks at a container and acts on it in two steps, so two starts that race can both be told that they
//! started it, and a start during a slow stop is told that the container runs already. In turn, each answer is true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Change;
use crate::policy::ContainerName;

/// Whose turn it is, by container. As many entries as there are managed containers, at most.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<ContainerName, Arc<Semaphore>>>);

/// A turn, over when it is dropped.
pub(super) struct Turn(
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

impl Turns {
    /// Waits for the turn of a change, first come, first served.
    pub(super) async fn take(&self, change: &Change, container: &ContainerName) -> Turn {
        let waits = match change {
            Change::Start | Change::Stop { .. } | Change::Restart { .. } => true,
            // A kill is what one sends when a stop takes too long; these do not wait for it.
            Change::Kill { .. } | Change::Pause | Change::Unpause => false,
        };
        if !waits {
            return Turn(None);
        }
        let of_container = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                turns
                    .entry(container.clone())
                    .or_insert_with(|| Arc::new(Semaphore::new(1))),
            )
        };
        // It is never closed, so there is always a turn to come.
        Turn(of_container.acquire_owned().await.ok())
    }
}
