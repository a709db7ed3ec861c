//! The many ways in which an engine fails to do something, as few as a caller can tell apart.

use std::fmt;
use std::time::Duration;

/// Why the engine did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no container of that name.
    NotFound,
    /// The container is the gateway's own, on which it does not act.
    OwnContainer,
    /// The engine answered, and said no.
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// The engine cannot be reached, so it was asked nothing. Says which engine and what to do.
    Unreachable(String),
    /// The connection broke before the engine answered. It may have done what was asked.
    Broken(String),
    /// The engine did not answer in time. It may still do what was asked.
    TimedOut(Duration),
    /// The engine answered something that is no answer.
    Garbled(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such container"),
            Self::OwnContainer => f.write_str("the gateway does not act on its own container"),
            Self::Refused { message, .. } if !message.is_empty() => f.write_str(message.trim()),
            Self::Refused { status, .. } => write!(f, "the engine answered with status {status}"),
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
            Self::TimedOut(limit) => write!(
                f,
                "no answer from the engine within {}",
                humantime::format_duration(*limit)
            ),
            Self::Garbled(why) => write!(f, "the engine's answer makes no sense: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<bollard::errors::Error> for Error {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "bollard's enum is not ours: what it grows is about answers that cannot be read"
    )]
    fn from(error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as Theirs;
        match error {
            Theirs::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                status: status_code,
                message,
            },
            Theirs::IOError { err } => Self::Unreachable(err.to_string()),
            Theirs::HyperResponseError { err } if err.is_parse() => Self::Garbled(err.to_string()),
            Theirs::HyperResponseError { err } => {
                Self::Broken(format!("the connection to the engine broke: {err}"))
            }
            other => Self::Garbled(other.to_string()),
        }
    }
}
