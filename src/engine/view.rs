//! What the engine knows about one container, in the words in which it is shown.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::policy::ContainerName;

/// Docker's word for what a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Made, and never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs, by its restart policy.
    Restarting,
    /// Podman's word for one that is about to have exited.
    Stopping,
    /// Being deleted.
    Removing,
    /// Ran, and runs no more.
    Exited,
    /// Could not be deleted.
    Dead,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}

/// A container's state by name; the answer to `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Status {
    /// The short name.
    #[schemars(regex(pattern = ContainerName::PATTERN))]
    pub container: String,
    /// Docker's word.
    pub status: State,
    /// Whether that word is `running`; a paused container is not.
    pub running: bool,
}

impl Status {
    /// The status of the container with this short name.
    #[must_use]
    pub fn new(container: &str, state: State) -> Self {
        Self {
            container: container.to_owned(),
            status: state,
            running: state == State::Running,
        }
    }
}

/// What is live of a container, as those who follow along are told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Live<'view> {
    /// The short name.
    #[schemars(regex(pattern = ContainerName::PATTERN))]
    pub container: &'view str,
    /// Docker's word.
    pub status: State,
    /// Whether that word is `running`; a paused container is not.
    pub running: bool,
    /// `starting`, `healthy` or `unhealthy`; `null` without a health check.
    #[schemars(extend("enum" = ["starting", "healthy", "unhealthy", null]))]
    pub health: Option<&'view str>,
    /// Since when it is so, as far as is known: when the engine said so, or when the gateway found it.
    #[schemars(extend("format" = "date-time"))]
    pub time: &'view str,
}

/// How far a container has come, for whoever waits until it is so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Docker's word.
    pub state: State,
    /// `starting`, `healthy` or `unhealthy`; `None` without a health check, and before its first run.
    pub health: Option<String>,
    /// Whether it has a health check.
    pub is_checked: bool,
    /// What its latest run ended with; `None` while it runs and before its first run.
    pub exit_code: Option<i64>,
}

impl Phase {
    /// Whether it runs no more, and nothing is about to change that.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self.state {
            State::Exited | State::Dead | State::Removing => true,
            State::Created
            | State::Running
            | State::Paused
            | State::Restarting
            | State::Stopping => false,
        }
    }
}

/// All that is shown of a container. Its environment, command and mounts are not: they hold secrets.
///
/// Times are RFC 3339 in UTC as the engine writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct View {
    /// Name and state.
    #[serde(flatten)]
    pub status: Status,
    /// `starting`, `healthy` or `unhealthy`; `null` without a health check.
    #[schemars(extend("enum" = ["starting", "healthy", "unhealthy", null]))]
    pub health: Option<String>,
    /// The image as it was named when the container was made.
    pub image: Option<String>,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: Option<String>,
    /// When its latest run began; `null` before the first.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    /// When its latest finished run ended; `null` before that.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    /// What its latest run ended with; `null` while it runs and before its first run.
    pub exit_code: Option<i64>,
    /// Whether its latest run ended for want of memory.
    pub oom_killed: bool,
    /// How often the engine has restarted it by its restart policy.
    pub restart_count: i64,
}
