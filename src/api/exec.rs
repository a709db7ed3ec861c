//! Commands: the list of them, one of them run, and what is answered.

use std::collections::BTreeMap;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::problem::Problem;
use super::reply::{self, Response};
use crate::engine::CommandOutput;
use crate::gateway::{Asked, Caller, TookTooLong};
use crate::policy::ContainerName;

/// The answer to `/container/<name>/exec`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Commands<'config> {
    pub(super) container: &'config str,
    pub(super) commands: Vec<Offered<'config>>,
}

/// One command that can be run.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Offered<'config> {
    pub(super) command: &'config str,
    /// By name, the pattern that the whole of each parameter has to match.
    pub(super) params: BTreeMap<&'config str, &'config str>,
    /// How long it may take, such as `10s`.
    pub(super) timeout: String,
}

/// The answer to a command that has run to its end, whatever it ended with.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Executed<'run> {
    pub(super) container: &'run str,
    pub(super) command: &'run str,
    /// 128 and the signal's number where a signal ended it.
    pub(super) exit_code: i64,
    #[serde(flatten)]
    pub(super) output: Output<'run>,
}

/// What the answer to a command that took too long has besides the words.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Unfinished<'run> {
    container: &'run str,
    command: &'run str,
    /// Whether it may be running still.
    left_running: bool,
    #[serde(flatten)]
    output: Output<'run>,
}

/// What a command printed.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Output<'run> {
    pub(super) stdout: &'run str,
    pub(super) stderr: &'run str,
    /// Whether it printed more than that.
    pub(super) truncated: bool,
    pub(super) duration_ms: u64,
}

impl<'run> Unfinished<'run> {
    pub(super) fn new(told: &'run TookTooLong) -> Self {
        Self {
            container: &told.container,
            command: &told.command,
            left_running: told.is_left_running,
            output: Output::new(&told.printed),
        }
    }
}

impl<'run> Output<'run> {
    fn new(printed: &'run CommandOutput) -> Self {
        Self {
            stdout: &printed.stdout,
            stderr: &printed.stderr,
            truncated: printed.is_truncated,
            duration_ms: u64::try_from(printed.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Api {
    /// Lists the commands that this caller may run.
    pub(super) async fn commands(
        &self,
        caller: &Caller,
        name: &ContainerName,
    ) -> Result<Response, Problem> {
        let commands = self.gateway.commands(caller, name).await?;
        let commands = commands.iter().map(|(name, command)| Offered {
            command: name.as_str(),
            params: command.params().collect(),
            timeout: humantime::format_duration(command.timeout).to_string(),
        });
        let commands = Commands {
            container: name.as_str(),
            commands: commands.collect(),
        };
        Ok(reply::json(StatusCode::OK, &commands))
    }

    /// Runs a command.
    pub(super) async fn execute(
        &self,
        caller: &Caller,
        name: &ContainerName,
        command: &str,
        values: &BTreeMap<String, Value>,
    ) -> Result<Response, Problem> {
        let asked = Asked { command, values };
        let executed = self.gateway.execute(caller, name, asked).await?;
        let executed = Executed {
            container: name.as_str(),
            command,
            exit_code: executed.exit_code,
            output: Output::new(&executed.printed),
        };
        Ok(reply::json(StatusCode::OK, &executed))
    }
}
