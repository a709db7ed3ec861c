//! `ctl`: a client of the API, for people and for scripts.

mod address;
mod change;
mod client;
mod events;
mod exec;
mod failure;
mod lines;
mod list;
mod logs;
mod output;
mod path;
mod progress;
mod stats;
mod table;
mod text;
mod token;
mod trust;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use address::Address;
use change::{Changing, Verb};
use client::Client;
use failure::Failure;
use output::Output;
use token::{Token, variable};
use trust::Files;

use super::in_one_thread;
use crate::policy::ContainerName;

/// The variable with the address of the gateway.
const URL: &str = "RELAYER_CONTROLLER_URL";

/// Where a gateway listens unless it is told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8089";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
The token that says who you are is in RELAYER_CONTROLLER_TOKEN or in a file. No option takes the token itself: \
arguments can be read by every user of this machine, and stay in the shell's history.

Exit codes: 0 good, also where a container was running or stopped already; 1 the gateway says no, be it to one of \
several containers, or its answer breaks off; 2 wrong usage, or no gateway can be reached. `exec` ends with the code \
of the command that it ran.

Colours are for terminals, and not where NO_COLOR is set.";

const URL_HELP: &str = "Where it is: http://HOST:PORT, https://HOST:PORT or unix:///PATH \
    [env: RELAYER_CONTROLLER_URL] [default: http://127.0.0.1:8089]";

const TOKEN_HELP: &str = "A file with the token; without one it is taken from RELAYER_CONTROLLER_TOKEN \
    [env: RELAYER_CONTROLLER_TOKEN_FILE]";

const CACERT_HELP: &str = "A PEM file with the authorities to believe, instead of the system's \
    [env: RELAYER_CONTROLLER_CACERT]";

/// How the gateway is reached, and how its answers are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Options {
    #[arg(long, global = true, value_name = "URL", help = URL_HELP)]
    url: Option<String>,

    #[arg(long, global = true, value_name = "FILE", help = TOKEN_HELP)]
    token_file: Option<PathBuf>,

    /// Send the token over http:// to another machine too, where everybody on the way can read it
    #[arg(long, global = true)]
    plaintext_token: bool,

    #[arg(long, global = true, value_name = "FILE", help = CACERT_HELP)]
    cacert: Option<PathBuf>,

    /// A PEM file with the certificate to show, where the gateway asks for one
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// A PEM file with the key of that certificate [default: the same file]
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Print the gateway's own JSON, one text a line; where it says no, on standard error
    #[arg(long, global = true)]
    json: bool,

    /// The program's own, which means nothing to a client.
    #[arg(
        id = "config",
        long = "config",
        short = 'c',
        global = true,
        hide = true
    )]
    _config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the containers that you may see
    Ls,
    /// Show how containers are: health, since when, exit code, restarts, image
    Status {
        /// Which containers, without the prefix [default: all that you may see]
        #[arg(value_name = "NAME")]
        names: Vec<ContainerName>,
    },
    /// Start containers; several in the order in which they depend on each other
    Start(Changing),
    /// Stop containers; several in the order in which they depend on each other
    Stop(Changing),
    /// Restart containers; several in the order in which they depend on each other
    Restart(Changing),
    /// Freeze containers where they are
    Pause {
        /// Which containers, without the prefix
        #[arg(value_name = "NAME", required = true)]
        names: Vec<ContainerName>,
    },
    /// Let paused containers go on
    Unpause {
        /// Which containers, without the prefix
        #[arg(value_name = "NAME", required = true)]
        names: Vec<ContainerName>,
    },
    /// Send containers a signal
    Kill {
        /// Which containers, without the prefix
        #[arg(value_name = "NAME", required = true)]
        names: Vec<ContainerName>,
        /// Which signal, such as HUP [default: KILL]
        #[arg(long, short, value_name = "SIGNAL")]
        signal: Option<String>,
    },
    /// Show what a container has printed
    Logs(logs::Arguments),
    /// Show what running containers use: processor, memory, network, disk
    Stats(stats::Arguments),
    /// Show what happens to containers, as it happens
    Events(events::Arguments),
    /// Run a command that the gateway has for a container; without one, list them
    Exec(exec::Arguments),
    /// Show who you are to the gateway, and what you may do
    Whoami,
}

/// Runs the command, and gives the program's exit code.
pub(super) fn run(arguments: Arguments) -> u8 {
    let Arguments { options, command } = arguments;
    let output = Output::new(options.json);
    let is_exec = matches!(command, Command::Exec(_));
    let fail = |failure: &Failure| {
        let code = output.complain(None, failure);
        if is_exec { exec::code(failure) } else { code }
    };
    match connect(options) {
        Ok(client) => in_one_thread(async {
            let done = Box::pin(command.run(&client, &output)).await;
            done.unwrap_or_else(|failure| fail(&failure))
        }),
        Err(failure) => fail(&failure),
    }
}

fn connect(options: Options) -> Result<Client, Failure> {
    let (source, url) = match options.url {
        Some(url) => ("--url", url),
        None => match variable(URL) {
            Some(url) => (URL, url.to_string_lossy().into_owned()),
            None => ("--url", DEFAULT_URL.to_owned()),
        },
    };
    let address: Address = url
        .parse()
        .map_err(|why| Failure::Usage(format!("`{source}` is no address of a gateway: {why}")))?;
    let files = Files {
        cacert: options.cacert,
        cert: options.cert,
        key: options.key,
    };
    let token = Token::find(options.token_file.as_deref())?;
    Client::new(address, files, token, options.plaintext_token)
}

impl Command {
    async fn run(self, client: &Client, output: &Output) -> Result<u8, Failure> {
        match self {
            Self::Ls => list::ls(client, output).await,
            Self::Status { names } => list::status(client, output, names).await,
            Self::Whoami => list::whoami(client, output).await,
            Self::Start(changing) => changing.run(client, output, Verb::Start).await,
            Self::Stop(changing) => changing.run(client, output, Verb::Stop).await,
            Self::Restart(changing) => changing.run(client, output, Verb::Restart).await,
            Self::Pause { names } => change::each(client, output, &Verb::Pause, &names).await,
            Self::Unpause { names } => change::each(client, output, &Verb::Unpause, &names).await,
            Self::Kill { names, signal } => {
                change::each(client, output, &Verb::Kill(signal), &names).await
            }
            Self::Logs(arguments) => arguments.run(client, output).await,
            Self::Stats(arguments) => arguments.run(client, output).await,
            Self::Events(arguments) => arguments.run(client, output).await,
            Self::Exec(arguments) => arguments.run(client, output).await,
        }
    }
}
