//! What is held of one container, and how it is written, once each time that it changes.

use bytes::Bytes;

use crate::engine::{ContainerId, Live, Moment, Rendered, View};
use crate::policy::ContainerName;

/// One container as it was seen, with what is said of it in text.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Under which name.
    pub name: ContainerName,
    /// All that is shown of it.
    pub view: View,
    /// The answer to `status`.
    pub status: Rendered,
    /// What those are told who follow along, as JSON: a [`Live`].
    pub live: Bytes,
    pub(in crate::engine) id: ContainerId,
}

impl Seen {
    /// What was seen of a container that is so since `at`.
    pub(in crate::engine) fn new(
        id: ContainerId,
        name: ContainerName,
        view: View,
        at: Moment,
    ) -> Self {
        let live = Live {
            container: name.as_str(),
            status: view.status.status,
            running: view.status.running,
            health: view.health.as_deref(),
            time: &at.to_string(),
        };
        Self {
            // Our own type with text for keys: that cannot fail.
            live: serde_json::to_vec(&live).unwrap_or_default().into(),
            status: Rendered::of(&view.status),
            name,
            view,
            id,
        }
    }
}
