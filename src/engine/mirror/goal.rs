//! What a change comes to, by which it is known that the mirror has seen it.

use super::Seen;
use crate::engine::inspected::Inspected;
use crate::engine::{Change, State};

/// What is to be seen of a container after a change.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Goal {
    /// Another run than this one began; whether it goes on is another matter.
    Ran {
        /// When the run before it began; none where there was none.
        before: Option<String>,
    },
    /// No process of it is left.
    Stopped,
    /// It is frozen.
    Paused,
    /// It is not.
    Unpaused,
}

impl Goal {
    /// What this change of this container comes to; none where it may come to anything, such as a signal.
    pub(in crate::engine) fn of(change: &Change, before: &Inspected) -> Option<Self> {
        match change {
            Change::Start | Change::Restart { .. } => Some(Self::Ran {
                before: before.started_at().map(ToOwned::to_owned),
            }),
            Change::Stop { .. } => Some(Self::Stopped),
            Change::Pause => Some(Self::Paused),
            Change::Unpause => Some(Self::Unpaused),
            Change::Kill { .. } => None,
        }
    }

    pub(super) fn is_reached(&self, seen: &Seen) -> bool {
        let state = seen.view.status.status;
        match self {
            Self::Ran { before } => seen.view.started_at != *before,
            Self::Stopped => match state {
                State::Created | State::Exited | State::Dead | State::Removing => true,
                State::Running | State::Paused | State::Restarting | State::Stopping => false,
            },
            Self::Paused => state == State::Paused,
            Self::Unpaused => state != State::Paused,
        }
    }
}
