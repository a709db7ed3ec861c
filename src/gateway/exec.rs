//! Commands: which of them there are, and one of them run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::receipt::Receipt;
use super::{Caller, Failure, Gateway, TookTooLong, entry, receipt};
use crate::audit::Record;
use crate::config;
use crate::engine::{CommandOutput, Commands, Ran, Run};
use crate::policy::ContainerName;

/// A command that is asked for: as the caller wrote its name, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name.
    pub command: &'a str,
    /// The parameters by name.
    pub values: &'a BTreeMap<String, Value>,
}

/// A command that has run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// What it ended with.
    pub exit_code: i64,
    /// What it printed.
    pub printed: CommandOutput,
}

impl Gateway {
    /// The commands that the caller may run in a container.
    ///
    /// # Errors
    ///
    /// A denial, or the engine's.
    pub async fn commands<'caller>(
        &self,
        caller: &'caller Caller,
        name: &ContainerName,
    ) -> Result<&'caller config::Commands, Failure> {
        let permitted = self.permit(caller, Commands, name).await?;
        let receipt = Receipt::admitted(caller, &permitted);
        receipt.close(self.engine.look_for(permitted).await)?;
        commands(caller, name).ok_or_else(|| Failure::NotFound(name.to_string()))
    }

    /// Runs a command. Once admitted it runs to its end, or to the end of its time, also when nobody waits for the answer
    /// any more. It waits for no turn and for no cool-down: what it finds out is needed most while something goes wrong.
    ///
    /// # Errors
    ///
    /// A denial, that there is no such command or that a parameter is not as it should be, that the container does not
    /// run, that the command took too long, the engine's, that too many changes are under way, or that there would be no
    /// record of it.
    pub async fn execute(
        &self,
        caller: &Caller,
        name: &ContainerName,
        asked: Asked<'_>,
    ) -> Result<Executed, Failure> {
        let command = Some(asked.command);
        let run = match run(caller, name, asked) {
            Ok(run) => run,
            Err(failure) => {
                // Who may run nothing there learns nothing of what could be run.
                let permitted = self.permit_command(caller, Commands, name, command);
                let permitted = permitted.await?;
                receipt::stood_down(caller, &permitted, &failure);
                return Err(self.refuse(caller, &permitted, command, failure).await);
            }
        };
        let limit = run.timeout;
        let permitted = self.permit_command(caller, run, name, command).await?;
        let Some(place) = self.turns.place_beside() else {
            let failure = receipt::refused(caller, &permitted);
            return Err(self.refuse(caller, &permitted, command, failure).await);
        };
        // SECURITY: not with the values, which may be secrets.
        let admitted = Record {
            command: command.map(ToOwned::to_owned),
            ..entry::admitted(caller, &permitted)
        };
        let account = self.account(caller, admitted);
        let receipt = Receipt::admitted(caller, &permitted).into_owned();
        let (engine, container) = (Arc::clone(&self.engine), name.to_string());
        let (command, permitted) = (asked.command.to_owned(), permitted.into_owned());
        let run = async move {
            let entry = account.open().await?;
            let result = Box::pin(engine.run(permitted)).await;
            drop(place);
            let answer = receipt
                .close(result)
                .and_then(|ran| executed(ran, container, command, limit));
            entry.end(answer.as_ref().map(|_| ())).await;
            answer
        };
        self.to_its_end(caller, run).await
    }
}

/// What is to be run, by the caller's configuration.
fn run(caller: &Caller, name: &ContainerName, asked: Asked<'_>) -> Result<Run, Failure> {
    let command = commands(caller, name)
        .zip(asked.command.parse().ok())
        .and_then(|(commands, name)| commands.get(&name));
    let command = command.ok_or_else(|| Failure::NoSuchCommand(asked.command.to_owned()))?;
    command.filled(asked.values).map_err(Failure::BadParameter)
}

fn commands<'caller>(
    caller: &'caller Caller,
    name: &ContainerName,
) -> Option<&'caller config::Commands> {
    let settings = caller.config.containers.get(name)?;
    Some(&settings.commands)
}

fn executed(
    ran: Ran,
    container: String,
    command: String,
    limit: Duration,
) -> Result<Executed, Failure> {
    match ran {
        Ran::NotRunning => Err(Failure::NotRunning),
        Ran::Ended { exit_code, printed } => Ok(Executed { exit_code, printed }),
        Ran::TookTooLong {
            is_left_running,
            printed,
        } => Err(Failure::TookTooLong(Box::new(TookTooLong {
            container,
            command,
            limit,
            is_left_running,
            printed,
        }))),
    }
}
