//! The command line: which subcommand, with which file, and what the exit code says.

mod check;
mod completions;
mod confine;
mod connection;
mod ctl;
mod demo;
mod explain;
mod handshake;
mod healthcheck;
mod openapi;
mod serve;
mod token;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::config::Mistakes;
use crate::policy::{ContainerName, Principal, Verb};

/// Everything went well, or the answer is yes.
const YES: u8 = 0;
/// The answer is no.
const NO: u8 = 1;
/// Wrong usage, or a configuration with mistakes.
const MISTAKE: u8 = 2;

/// The least-privilege door to the Docker engine: these verbs on these containers, and nothing else.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    /// The configuration file
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "RELAYER_CONTROLLER_CONFIG",
        default_value = "relayer-controller.toml"
    )]
    config: PathBuf,

    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Exit codes: 0 good, 1 the answer is no, 2 wrong usage or configuration.

Settings of the file can be overridden by environment variables: RELAYER_CONTROLLER_ and the key, with __ \
between table and key, such as RELAYER_CONTROLLER_SERVER__LISTEN=127.0.0.1:8089.";

const COMPLETIONS: &str = "\
bash: source <(relayer-controller completions bash)      in ~/.bashrc
zsh:  source <(relayer-controller completions zsh)       in ~/.zshrc, after compinit
fish: relayer-controller completions fish | source       in ~/.config/fish/config.fish";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API; this is the default
    Serve,
    /// Check the configuration file and report every mistake in it
    Check,
    /// Say whether a caller may do a verb to a container, and by which rule
    Explain {
        /// Who asks
        #[arg(long = "as", value_name = "PRINCIPAL", default_value = Principal::ANONYMOUS)]
        principal: Principal,
        /// What is asked, such as `start`
        #[arg(value_parser = verb())]
        verb: Verb,
        /// The container's name, without the prefix
        container: ContainerName,
    },
    /// Make a new token: prints the secret, and the line for the configuration
    Token,
    /// Ask the running gateway on this machine whether it serves; for compose's health check
    Healthcheck,
    /// Print the description of the API for programs, in JSON (OpenAPI 3.1)
    Openapi,
    /// Ask a running gateway: look at containers, change them, read their logs
    Ctl(Box<ctl::Arguments>),
    /// Print what makes a shell complete the subcommands and options
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: completions::Shell,
    },
    /// Serve the API in front of a pretend engine, for a look at it without Docker
    Demo {
        /// Where to listen
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
        listen: crate::server::Listen,
    },
}

/// Reads the arguments, runs the subcommand, and gives the program's exit code.
#[must_use]
pub fn main() -> ExitCode {
    // clap itself ends the program for --help (0) and for wrong usage (2).
    let Arguments { config, command } = Arguments::parse();
    let code = match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&config),
        Command::Check => check::run(&config),
        Command::Explain {
            principal,
            verb,
            container,
        } => explain::run(&config, &principal, verb, &container),
        Command::Token => token::run(),
        Command::Healthcheck => healthcheck::run(&config),
        Command::Openapi => openapi::run(),
        Command::Ctl(arguments) => ctl::run(*arguments),
        Command::Completions { shell } => completions::run(shell),
        Command::Demo { listen } => demo::run(&listen),
    };
    ExitCode::from(code)
}

fn verb() -> impl clap::builder::TypedValueParser<Value = Verb> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Verb::ALL.map(Verb::as_str))
        .try_map(|text| text.parse().map_err(|_| "unknown verb"))
}

/// Runs what waits for others more than it works.
fn in_one_thread(run: impl Future<Output = u8>) -> u8 {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(run);
            // A name that is still being looked up keeps nobody waiting.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            complain(&format!("cannot wait for input and output: {error}"));
            NO
        }
    }
}

/// Says on standard error what is wrong with the configuration.
fn report(mistakes: &Mistakes) -> u8 {
    write(io::stderr(), &mistakes.to_string());
    MISTAKE
}

/// Says a result on standard output.
fn say(line: &str) {
    write(io::stdout(), line);
}

/// Says on standard error why nothing came of it.
fn complain(line: &str) {
    write(io::stderr(), &format!("error: {line}"));
}

/// Writes a line where it can be written: whoever has closed the other end has what they wanted, and the exit code
/// says the rest.
fn write(mut output: impl Write, line: &str) {
    let _unread = writeln!(output, "{line}").and_then(|()| output.flush());
}
