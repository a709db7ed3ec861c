//! Why nothing came of a command, and with which code the program ends.

use std::fmt;
use std::io;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;

use super::text::plain;
use crate::cli::{MISTAKE, NO, YES};

/// Why nothing came of a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was asked for in a way that cannot be; nothing was sent.
    Usage(String),
    /// There is no gateway to ask.
    Unreachable(String),
    /// The gateway said no.
    Refused(Box<Refusal>),
    /// The answer broke off, or is none of a gateway.
    Broken(String),
    /// What was to be shown cannot be written.
    Output(io::Error),
}

/// How a gateway says no.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The gateway's own words, and what to do about them.
    pub(super) told: String,
    /// The answer as it came, where it is a JSON text.
    pub(super) document: Option<Bytes>,
    /// What the container had to say meanwhile.
    pub(super) printed: Printed,
}

/// What a refusal repeats of a container's own words. Empty in most.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Printed {
    /// The last lines of one that did not become what was waited for.
    logs: Vec<String>,
    /// What a command printed that ran out of time.
    pub(super) stdout: String,
    /// The same on its standard error.
    pub(super) stderr: String,
}

impl Failure {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Unreachable(_) => MISTAKE,
            // Whoever has closed the other end has what they wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => YES,
            Self::Refused(_) | Self::Broken(_) | Self::Output(_) => NO,
        }
    }

    /// Whether there is anything to say about it.
    pub(super) fn is_quiet(&self) -> bool {
        self.code() == YES
    }

    /// The gateway's answer as it came, where that is what went wrong.
    pub(super) fn document(&self) -> Option<&Bytes> {
        match self {
            Self::Refused(refusal) => refusal.document.as_ref(),
            Self::Usage(_) | Self::Unreachable(_) | Self::Broken(_) | Self::Output(_) => None,
        }
    }
}

/// What is to be said, over several lines where a container's own last lines are part of it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Unreachable(what) | Self::Broken(what) => f.write_str(what),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)?;
        if !self.printed.logs.is_empty() {
            f.write_str("; the last that it printed:")?;
        }
        for line in &self.printed.logs {
            // SECURITY: what a container prints could move the cursor and rewrite what was said before it.
            write!(f, "\n  {}", plain(line.trim_end()))?;
        }
        Ok(())
    }
}
