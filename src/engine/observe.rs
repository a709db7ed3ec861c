//! What the engine's side tells of each call, for whoever counts them.

use std::time::Duration;

use super::Error;

/// Who is told of every call to the engine, once it has ended. It is called on the way, so it must be quick.
pub type Observer = Box<dyn Fn(&Observation) + Send + Sync>;

/// A call to the engine that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was called: `ping`, `list`, `inspect`, a verb, or a step of one such as `exec_start`.
    pub call: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: End,
}

/// How a call to the engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine did it, or said that it was so already.
    Done,
    /// The engine said no.
    Refused,
    /// The engine could not be reached, or the connection broke.
    Unreachable,
    /// The engine did not answer in time.
    TimedOut,
    /// The engine answered something that is no answer.
    Garbled,
    /// Nobody waited to its end.
    Abandoned,
}

impl End {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Garbled => "garbled",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether the engine answered as it should; `None` where that is not known.
    #[must_use]
    pub const fn is_answer(self) -> Option<bool> {
        match self {
            Self::Done | Self::Refused => Some(true),
            Self::Unreachable | Self::TimedOut | Self::Garbled => Some(false),
            Self::Abandoned => None,
        }
    }

    pub(super) const fn of<T>(answer: &Result<T, Error>) -> Self {
        match answer {
            Ok(_) | Err(Error::Refused { status: 304, .. }) => Self::Done,
            Err(Error::NotFound | Error::OwnContainer | Error::Refused { .. }) => Self::Refused,
            Err(Error::Unreachable(_) | Error::Broken(_)) => Self::Unreachable,
            Err(Error::TimedOut(_)) => Self::TimedOut,
            Err(Error::Garbled(_)) => Self::Garbled,
        }
    }
}
