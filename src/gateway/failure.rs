//! Why a request was not carried out, in words that know nothing of HTTP.

use std::fmt;
use std::time::Duration;

use super::{Missed, Unreached, Until};
use crate::config::BadParameter;
use crate::engine;
use crate::engine::CommandOutput;
use crate::limits::Wait;
use crate::policy::{ContainerName, Facility, Verb};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such container, it is not managed, or the caller may not know of it. Carries the name as asked.
    NotFound(String),
    /// The caller may see the container, but not do this to it.
    Forbidden {
        /// What was asked.
        verb: Verb,
        /// Of which container.
        container: ContainerName,
    },
    /// The caller may not use this part of the gateway.
    FacilityForbidden(Facility),
    /// A start found it running.
    AlreadyRunning,
    /// A stop found it stopped.
    AlreadyStopped,
    /// Something that needs a running container found it otherwise.
    NotRunning,
    /// The container has no command of that name. Carries the name as asked.
    NoSuchCommand(String),
    /// A parameter of a command is not as it should be.
    BadParameter(BadParameter),
    /// A command took longer than it may.
    TookTooLong(Box<TookTooLong>),
    /// The engine failed, refused or could not be reached.
    Engine(engine::Error),
    /// As many changes as there may be are under way, or wait for their turn on this container.
    Busy,
    /// The audit trail is required, and has not taken the record of it. Nothing was done.
    Unrecorded,
    /// The container was changed too short a time ago.
    CoolingDown {
        /// Which one.
        container: ContainerName,
        /// Until it may be changed again.
        wait: Wait,
    },
    /// It is in a cycle of what containers need, which is told in words. Nothing was done.
    Cycle(String),
    /// Another container that it needs is not what it must be. Nothing was done.
    Unmet(Missed),
    /// The gateway stops, and begins nothing any more. Nothing was done.
    Stopping,
    /// It shall become healthy and has no health check. Nothing was done.
    NoHealthCheck(ContainerName),
    /// It was done, and the container did not become what it should.
    Unreached(Box<Unreached>),
    /// It was done, and the gateway stops before the container became this.
    NotAwaited(ContainerName, Until),
    /// A fault of the gateway's own. What became of the request is not known.
    Broken,
}

/// A command that took longer than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TookTooLong {
    /// In which container.
    pub container: String,
    /// Its name.
    pub command: String,
    /// How long it may take.
    pub limit: Duration,
    /// Whether it may be running still, because nothing in the container could end it.
    pub is_left_running: bool,
    /// What it had printed by then.
    pub printed: CommandOutput,
}

impl fmt::Display for TookTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = humantime::format_duration(self.limit);
        let end = if self.is_left_running {
            "may be running still: the container has no means to end it"
        } else {
            "was ended"
        };
        write!(f, "{} took longer than {limit} and {end}", self.command)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(name) => write!(f, "Container not found: {name}"),
            Self::Forbidden { verb, container } => {
                write!(f, "Forbidden: {verb} is not allowed on {container}")
            }
            Self::FacilityForbidden(facility) => {
                write!(f, "Forbidden: {} is not allowed", facility.as_str())
            }
            Self::AlreadyRunning => f.write_str("Container already running"),
            Self::AlreadyStopped => f.write_str("Container already stopped"),
            Self::NotRunning => f.write_str("Container not running"),
            Self::NoSuchCommand(name) => write!(f, "Command not found: {name}"),
            Self::BadParameter(bad) => bad.fmt(f),
            Self::TookTooLong(told) => told.fmt(f),
            Self::Engine(error) => write!(f, "Docker error: {error}"),
            Self::Busy => f.write_str("Too many changes are under way: try again later"),
            Self::Unrecorded => {
                f.write_str("Audit record could not be written: see the log of relayer-controller")
            }
            Self::CoolingDown { container, wait } => {
                write!(f, "{container} is cooling down: try again in {wait}")
            }
            Self::Cycle(way) => write!(f, "Dependency cycle: {way}"),
            Self::Unmet(missed) => write!(f, "Dependency {missed}"),
            Self::Stopping => f.write_str("Nothing was done: relayer-controller is stopping"),
            Self::NoHealthCheck(container) => write!(
                f,
                "Bad parameter: wait: {container} has no health check, so it never becomes healthy"
            ),
            Self::Unreached(unreached) => unreached.fmt(f),
            Self::NotAwaited(container, until) => write!(
                f,
                "It was done, but relayer-controller is stopping and did not see {container} {until}"
            ),
            Self::Broken => f.write_str("Internal error: see the log of relayer-controller"),
        }
    }
}

impl std::error::Error for Failure {}
