//! What changes containers: `start`, `stop`, `restart`, `pause`, `unpause` and `kill`.

use clap::{Args, ValueEnum};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Client, Document};
use super::failure::Failure;
use super::list;
use super::output::Output;
use super::path::Path;
use super::progress;
use super::text::plain;
use crate::cli::{NO, YES};
use crate::policy::ContainerName;

/// Which containers to change, and what to wait for.
#[derive(Debug, Args)]
pub(super) struct Changing {
    /// Which containers, without the prefix
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<ContainerName>,

    /// All containers that exist and to which you may do this
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Wait until the container is so; where it does not become so, its last lines tell why
    #[arg(long, value_name = "STATE", conflicts_with = "all")]
    wait: Option<Awaited>,

    /// How long to wait at most, such as 30s [default: the gateway's]
    #[arg(long, value_name = "DURATION", requires = "wait")]
    timeout: Option<String>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Awaited {
    Healthy,
    Running,
    Exited,
}

impl Awaited {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Running => "running",
            Self::Exited => "exited",
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
    Pause,
    Unpause,
    /// With this signal, or the gateway's default.
    Kill(Option<String>),
}

impl Verb {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Kill(_) => "kill",
        }
    }

    /// What is going on meanwhile.
    const fn doing(&self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
            Self::Pause => "pausing",
            Self::Unpause => "unpausing",
            Self::Kill(_) => "sending a signal to",
        }
    }

    /// How a container is that this need not be done to.
    const fn already(&self) -> &'static str {
        match self {
            Self::Start => "already running",
            Self::Stop => "already stopped",
            Self::Restart | Self::Pause | Self::Unpause | Self::Kill(_) => "unchanged",
        }
    }

    /// Whether the gateway says no because it is so already: to a script that is what it wanted.
    fn is_done(&self, failure: &Failure) -> bool {
        let Failure::Refused(refusal) = failure else {
            return false;
        };
        let told = match self {
            Self::Start => "Container already running",
            Self::Stop => "Container already stopped",
            Self::Restart | Self::Pause | Self::Unpause | Self::Kill(_) => return false,
        };
        refusal.status == StatusCode::CONFLICT && refusal.told == told
    }

    /// Whether a container to which this was done before is what it was to become.
    async fn is_so(
        &self,
        client: &Client,
        name: &ContainerName,
        wait: Option<Awaited>,
    ) -> Result<bool, Failure> {
        match (self, wait) {
            (_, None)
            | (Self::Start, Some(Awaited::Running))
            | (Self::Stop, Some(Awaited::Exited)) => Ok(true),
            (Self::Start, Some(Awaited::Healthy)) => list::is_healthy(client, name).await,
            // It runs, and shall have ended, or the other way round.
            (
                Self::Start
                | Self::Stop
                | Self::Restart
                | Self::Pause
                | Self::Unpause
                | Self::Kill(_),
                Some(_),
            ) => Ok(false),
        }
    }
}

/// The answer to a change.
#[derive(Deserialize)]
struct Changed {
    status: String,
}

/// The answer to a change of several.
#[derive(Deserialize)]
struct Results {
    results: Vec<Item>,
}

/// What became of one of several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Failed {
        container: String,
        error: String,
    },
    Done {
        container: String,
        status: String,
        #[serde(default = "yes")]
        changed: bool,
    },
}

const fn yes() -> bool {
    true
}

impl Changing {
    pub(super) async fn run(
        self,
        client: &Client,
        output: &Output,
        verb: Verb,
    ) -> Result<u8, Failure> {
        match self.names.as_slice() {
            [name] => {
                let path = Path::container(name)
                    .then(verb.as_str())
                    .with("wait", self.wait.map(Awaited::as_str))
                    .with("timeout", self.timeout.as_deref());
                let label = label(&verb, name.as_str(), self.wait);
                let done = progress::shown(&label, client.document(Ask::post(path, None))).await;
                let is_so = match (&done, self.wait) {
                    (Err(failure), wait) if verb.is_done(failure) => {
                        verb.is_so(client, name, wait).await?
                    }
                    _ => false,
                };
                one(output, &verb, name, is_so, done)
            }
            _ if self.wait.is_some() => Err(Failure::Usage(
                "`--wait` is for one container at a time".to_owned(),
            )),
            names => several(client, output, &verb, names).await,
        }
    }
}

/// Does the same to each container, one after the other.
pub(super) async fn each(
    client: &Client,
    output: &Output,
    verb: &Verb,
    names: &[ContainerName],
) -> Result<u8, Failure> {
    let mut code = YES;
    for name in names {
        let signal = match verb {
            Verb::Kill(signal) => signal.as_deref(),
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Pause | Verb::Unpause => None,
        };
        let path = Path::container(name)
            .then(verb.as_str())
            .with("signal", signal);
        let label = label(verb, name.as_str(), None);
        let done = progress::shown(&label, client.document(Ask::post(path, None))).await;
        code = one(output, verb, name, false, done)?.max(code);
    }
    Ok(code)
}

fn label(verb: &Verb, what: &str, wait: Option<Awaited>) -> String {
    let until = wait.map(|state| format!(" until it is {}", state.as_str()));
    format!("{} {what}{}", verb.doing(), until.unwrap_or_default())
}

/// Shows what became of one container; `is_so` where it need not be done.
fn one(
    output: &Output,
    verb: &Verb,
    name: &ContainerName,
    is_so: bool,
    done: Result<Document, Failure>,
) -> Result<u8, Failure> {
    let failure = match done.and_then(|document| Ok((document.read::<Changed>()?, document))) {
        Ok((_, document)) if output.is_json => {
            output.json(&document.text)?;
            return Ok(YES);
        }
        Ok((Changed { status }, _)) => {
            output.text(&format!("{}: {}\n", name.as_str(), plain(&status)))?;
            return Ok(YES);
        }
        Err(failure) => failure,
    };
    if !is_so {
        return Ok(output.complain(Some(name.as_str()), &failure));
    }
    match failure.document() {
        Some(document) if output.is_json => output.json(document)?,
        Some(_) | None => output.text(&format!("{}: {}\n", name.as_str(), verb.already()))?,
    }
    Ok(YES)
}

async fn several(
    client: &Client,
    output: &Output,
    verb: &Verb,
    names: &[ContainerName],
) -> Result<u8, Failure> {
    let path = Path::new("/containers").then(verb.as_str());
    let (which, label) = match names {
        [] => (json!("*"), label(verb, "all containers", None)),
        names => {
            let count = format!("{} containers", names.len());
            let names: Vec<_> = names.iter().map(ContainerName::as_str).collect();
            (json!(names), label(verb, &count, None))
        }
    };
    let body = json!({ "containers": which });
    let asked = client.document(Ask::post(path, Some(&body)));
    let document = progress::shown(&label, asked).await?;
    let Results { results } = document.read()?;
    let failed = |item: &Item| matches!(item, Item::Failed { .. });
    let code = if document.status == StatusCode::MULTI_STATUS || results.iter().any(failed) {
        NO
    } else {
        YES
    };
    if output.is_json {
        output.json(&document.text)?;
        return Ok(code);
    }
    for item in &results {
        match item {
            Item::Failed { container, error } => {
                output.remark(&format!("error: {}: {}", plain(container), plain(error)));
            }
            Item::Done {
                container,
                status,
                changed,
            } => {
                let how = if *changed { status } else { verb.already() };
                output.text(&format!("{}: {}\n", plain(container), plain(how)))?;
            }
        }
    }
    Ok(code)
}
