//! Programs run in a container: what can be asked for, and what came of it.

mod output;
mod process;
mod run;
mod sweep;

use std::time::Duration;

use crate::policy::{Operation, Verb};

pub use sweep::MARKER;

/// See which commands there are.
#[derive(Clone, Copy, Debug)]
pub struct Commands;

impl Operation for Commands {
    fn verb(&self) -> Verb {
        Verb::Exec
    }
}

/// Run a program: not through a shell, without a terminal, without input and without privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// As whom, as the engine takes it; `None`: as the container says.
    pub user: Option<String>,
    /// In which directory; `None`: as the container says.
    pub workdir: Option<String>,
    /// Variables besides the container's, each as `NAME=value`.
    pub env: Vec<String>,
    /// How long it may take before it is ended.
    pub timeout: Duration,
    /// How many bytes are kept of each of the two that it prints to.
    pub max_output: usize,
}

impl Operation for Run {
    fn verb(&self) -> Verb {
        Verb::Exec
    }
}

/// What came of a [`Run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Nothing: the container does not run.
    NotRunning,
    /// The program has ended.
    Ended {
        /// Its exit code; 128 and the signal's number where a signal ended it.
        exit_code: i64,
        /// What it printed.
        printed: CommandOutput,
    },
    /// The program took longer than it may.
    TookTooLong {
        /// Whether it may be running still: nothing in the container could end it and all that it has started.
        is_left_running: bool,
        /// What it had printed by then.
        printed: CommandOutput,
    },
}

/// What a program printed, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// Standard output. What is no UTF-8 became U+FFFD.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Whether it printed more than was kept.
    pub is_truncated: bool,
    /// From its start until its end was known.
    pub took: Duration,
}
