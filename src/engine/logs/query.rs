//! What can be asked of what a container printed, and how the engine is asked for it.

use std::fmt;

use super::Moment;
use crate::engine::ContainerId;
use crate::engine::upstream::Question;
use crate::policy::{Operation, Verb};

/// Read what a container printed.
#[derive(Clone, Copy, Debug)]
pub struct ReadLogs {
    /// How much of the past.
    pub tail: Tail,
    /// Nothing that was printed before this.
    pub since: Option<Moment>,
    /// Nothing that was printed after this.
    pub until: Option<Moment>,
    /// Which of its two streams.
    pub streams: Streams,
    /// Whether to go on with what it will print, also after it was started again or replaced.
    pub follow: bool,
    /// Whether each piece has to say when it was printed.
    pub is_timed: bool,
}

impl Operation for ReadLogs {
    fn verb(&self) -> Verb {
        Verb::Logs
    }
}

/// How much of the past, in lines. As the engine counts them: of both streams, and a line of more than 16 KiB as several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// All that there is.
    All,
    /// So many of the latest.
    Last(u32),
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Last(lines) => lines.fmt(f),
        }
    }
}

/// Which streams of a container to read. A terminal has only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// Both, as they were printed.
    Both,
}

/// One of the streams that a container prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

impl Source {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl ReadLogs {
    /// The last lines of both streams.
    #[must_use]
    pub const fn last(lines: u32) -> Self {
        Self {
            tail: Tail::Last(lines),
            since: None,
            until: None,
            streams: Streams::Both,
            follow: false,
            is_timed: true,
        }
    }

    /// Whether the engine has to say when a message was printed: who follows has to know where it is.
    pub(super) const fn needs_times(&self) -> bool {
        self.follow || self.is_timed
    }

    /// The question of it.
    pub(super) fn question(&self, id: &ContainerId) -> Question {
        let (stdout, stderr) = match self.streams {
            Streams::Stdout => (1, 0),
            Streams::Stderr => (0, 1),
            Streams::Both => (1, 1),
        };
        let (follow, timestamps) = (u8::from(self.follow), u8::from(self.needs_times()));
        let tail = self.tail;
        let mut path = format!(
            "/containers/{id}/logs?stdout={stdout}&stderr={stderr}&follow={follow}&timestamps={timestamps}&tail={tail}"
        );
        for (key, moment) in [("since", self.since), ("until", self.until)] {
            if let Some(moment) = moment {
                path.extend(["&", key, "=", &moment.in_seconds()]);
            }
        }
        let question = Question::get(path);
        if self.follow {
            // Each line would be a chunk of its own. Without chunks an end cannot be told from a break, and here it
            // need not be: either way the container is looked at.
            question.without_chunks()
        } else {
            question
        }
    }
}
