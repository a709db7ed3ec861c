//! `exec`: the commands that the gateway has for a container.

use std::collections::BTreeMap;
use std::io;

use clap::Args;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{Ask, Client};
use super::failure::{Failure, Printed};
use super::output::{Output, bytes};
use super::path::Path;
use super::progress;
use super::table::{Cell, Table};
use crate::cli::YES;
use crate::policy::ContainerName;

/// The exit code where the command ran out of time, as that of `timeout`.
const OUT_OF_TIME: u8 = 124;

/// The exit code where it did not come to the command's own, as that of `docker run`.
const NO_CODE: u8 = 125;

/// Which command of which container.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Which container, without the prefix
    #[arg(value_name = "NAME")]
    name: ContainerName,

    /// Which of its commands; without one they are listed
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// The command's parameters
    #[arg(value_name = "PARAM=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
}

const AFTER_HELP: &str = "\
Ends with the command's own exit code; with 124 where the command ran out of time, as `timeout` does; and with 125 \
where there is no such code, because the gateway says no or cannot be reached, as `docker run` does.";

fn parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a parameter is written `name=value`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The exit code of what came to nothing.
pub(super) fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused(refusal) if refusal.status == StatusCode::GATEWAY_TIMEOUT => OUT_OF_TIME,
        failure if failure.is_quiet() => failure.code(),
        Failure::Usage(_)
        | Failure::Unreachable(_)
        | Failure::Refused(_)
        | Failure::Broken(_)
        | Failure::Output(_) => NO_CODE,
    }
}

/// The answer that lists the commands.
#[derive(Deserialize)]
struct Commands {
    commands: Vec<Command>,
}

#[derive(Deserialize)]
struct Command {
    #[serde(rename = "command")]
    name: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    timeout: Option<String>,
}

/// The answer of a command that has ended.
#[derive(Deserialize)]
struct Ended {
    exit_code: Option<i64>,
    stdout: String,
    stderr: String,
    #[serde(default)]
    truncated: bool,
}

impl Arguments {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<u8, Failure> {
        let path = Path::container(&self.name).then("exec");
        let Some(command) = self.command else {
            return list(client, output, path).await;
        };
        let mut body = Map::new();
        for (name, value) in self.parameters {
            if body.contains_key(&name) {
                return Err(Failure::Usage(format!("`{name}` is given twice")));
            }
            body.insert(name, Value::from(value));
        }
        let label = format!("running {command} in {}", self.name.as_str());
        let ask = Ask::post(path.then(&command), Some(&Value::Object(body)));
        let document = match progress::shown(&label, client.document(ask)).await {
            Ok(document) => document,
            Err(failure) => {
                if let (Failure::Refused(refusal), false) = (&failure, output.is_json) {
                    let Printed { stdout, stderr, .. } = &refusal.printed;
                    show(stdout, stderr)?;
                }
                return Err(failure);
            }
        };
        let ended: Ended = document.read()?;
        if output.is_json {
            output.json(&document.text)?;
        } else {
            show(&ended.stdout, &ended.stderr)?;
            if ended.truncated {
                output.remark("warning: the command printed more, which the gateway cut off");
            }
        }
        let code = ended.exit_code.and_then(|code| u8::try_from(code).ok());
        Ok(code.unwrap_or(NO_CODE))
    }
}

/// Gives what the command printed to whom it was for, as it is.
fn show(stdout: &str, stderr: &str) -> Result<(), Failure> {
    bytes(&mut io::stdout().lock(), stdout.as_bytes())?;
    bytes(&mut io::stderr().lock(), stderr.as_bytes())
}

async fn list(client: &Client, output: &Output, path: Path) -> Result<u8, Failure> {
    let document = client.document(Ask::get(path)).await?;
    let Commands { commands } = document.read()?;
    if output.is_json {
        output.json(&document.text)?;
        return Ok(YES);
    }
    let mut table = Table::new(&["COMMAND", "TIMEOUT", "PARAMETERS"]);
    for Command {
        name,
        params,
        timeout,
    } in commands
    {
        let params = params
            .iter()
            .map(|(name, pattern)| format!("{name}={pattern}"));
        table.push(vec![
            Cell::new(name),
            Cell::or_none(timeout),
            Cell::new(params.collect::<Vec<_>>().join(" ")),
        ]);
    }
    output.table(&table)?;
    Ok(YES)
}
