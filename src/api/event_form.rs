//! How what happens is written: JSON texts that can be told apart by their keys, as server-sent events or lines.

use std::sync::Arc;
use std::vec;

use bytes::{BufMut, Bytes, BytesMut};
use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{Live, Seen};
use crate::gateway::Happened;
use crate::policy::ContainerName;

/// After how many bytes of a snapshot those are sent first: who reads slowly has no more of it in memory.
const PIECE: usize = 4 * 1024;

/// Something that happened, as it is told.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(deny_unknown_fields)]
pub(super) enum LiveEvent<'told> {
    /// All that there is and that the caller may see: whatever was told before is to be forgotten. As a server-sent event
    /// it is called `snapshot`.
    Snapshot {
        /// Sorted by name.
        containers: Vec<Live<'told>>,
    },
    /// A container is there, or has changed. As a server-sent event it has no name.
    Changed(Live<'told>),
    /// There is no container of that name any more. As a server-sent event it is called `gone`.
    Gone {
        /// The short name.
        #[schemars(regex(pattern = ContainerName::PATTERN))]
        container: &'told str,
        /// Always true.
        #[schemars(extend("const" = true))]
        gone: bool,
        /// Since when, as far as is known.
        #[schemars(extend("format" = "date-time"))]
        time: &'told str,
    },
    /// One of a container's processes was killed for want of memory. As a server-sent event it is called `oom`.
    OutOfMemory {
        /// The short name.
        #[schemars(regex(pattern = ContainerName::PATTERN))]
        container: &'told str,
        /// Always true.
        #[schemars(extend("const" = true))]
        oom_killed: bool,
        /// When.
        #[schemars(extend("format" = "date-time"))]
        time: &'told str,
    },
    /// From now on it is not known what changes, such as while the engine is away; a snapshot follows. As a server-sent
    /// event it is called `interrupted`.
    Interrupted {
        /// Always false.
        #[schemars(extend("const" = false))]
        current: bool,
        /// Since when.
        #[schemars(extend("format" = "date-time"))]
        time: &'told str,
    },
}

/// A message that is being written, piece by piece.
pub(super) enum Message {
    /// What it begins with as a server-sent event, and its JSON.
    Whole(&'static str, Bytes),
    /// A snapshot, of which these containers are left.
    Snapshot {
        left: vec::IntoIter<Arc<Seen>>,
        is_begun: bool,
    },
}

impl Message {
    pub(super) fn of(happened: Happened) -> Self {
        match happened {
            Happened::Snapshot(seen) => Self::Snapshot {
                left: seen.into_iter(),
                is_begun: false,
            },
            Happened::Changed(seen) => Self::Whole("data: ", seen.live.clone()),
            Happened::Gone { name, at } => Self::whole(
                "event: gone\ndata: ",
                &LiveEvent::Gone {
                    container: name.as_str(),
                    gone: true,
                    time: &at.to_string(),
                },
            ),
            Happened::OutOfMemory { name, at } => Self::whole(
                "event: oom\ndata: ",
                &LiveEvent::OutOfMemory {
                    container: name.as_str(),
                    oom_killed: true,
                    time: &at.to_string(),
                },
            ),
            Happened::Interrupted { at } => Self::whole(
                "event: interrupted\ndata: ",
                &LiveEvent::Interrupted {
                    current: false,
                    time: &at.to_string(),
                },
            ),
        }
    }

    fn whole(beginning: &'static str, event: &LiveEvent<'_>) -> Self {
        // Our own type with text for keys: that cannot fail.
        let json = serde_json::to_vec(event).unwrap_or_default();
        Self::Whole(beginning, json.into())
    }

    /// What is before the next piece of a server-sent event: nothing where it has begun.
    const fn before(&self) -> &'static str {
        match self {
            Self::Whole(beginning, _) => beginning,
            Self::Snapshot {
                is_begun: false, ..
            } => "event: snapshot\ndata: ",
            Self::Snapshot { is_begun: true, .. } => "",
        }
    }

    /// Writes the next piece. Whether it was the last.
    pub(super) fn write(&mut self, out: &mut BytesMut) -> bool {
        let (left, is_begun) = match self {
            Self::Whole(_, json) => {
                out.put_slice(json);
                return true;
            }
            Self::Snapshot { left, is_begun } => (left, is_begun),
        };
        let mut between: &[u8] = b",";
        if !std::mem::replace(is_begun, true) {
            between = b"{\"containers\":[";
        }
        while out.len() < PIECE {
            let Some(seen) = left.next() else {
                // Where there is none at all, the beginning is yet to be written.
                if between != b"," {
                    out.put_slice(between);
                }
                out.put_slice(b"]}");
                return true;
            };
            out.put_slice(between);
            out.put_slice(&seen.live);
            between = b",";
        }
        false
    }
}

/// How messages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// One a line.
    Line,
    /// As server-sent events.
    Event,
}

impl Around {
    /// Writes the next piece of a message. Whether it was the last.
    pub(super) fn write(self, message: &mut Message, out: &mut BytesMut) -> bool {
        if self == Self::Event {
            out.put_slice(message.before().as_bytes());
        }
        let is_last = message.write(out);
        if is_last {
            out.put_slice(match self {
                Self::Line => b"\n",
                Self::Event => b"\n\n",
            });
        }
        is_last
    }
}
