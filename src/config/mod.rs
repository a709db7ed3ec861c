//! The configuration: a file and the environment in, settings and a policy out, or every mistake at once.
//!
//! Built-in defaults lie under the file, and the file under the environment. Nothing malformed is ever replaced by a
//! default, and a value in the file is checked even where a variable overrides it.

mod audit;
mod browsers;
mod check;
mod command;
mod containers;
mod credentials;
mod document;
mod environment;
mod exec;
mod file;
mod fixed;
mod hint;
mod lines;
mod mistake;
mod parse;
mod principals;
mod rates;
mod raw;
mod revision;
mod roles;
mod secret;
mod syntax;
mod tls;
mod user;
mod value;
mod verbs;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::authn::Register;
use crate::confine;
use crate::engine;
use crate::limits;
use crate::policy::{ContainerName, Policy};
use crate::server;
use crate::server::Listen;
use crate::telemetry;

pub use browsers::{Browsers, Host, Origin};
pub use command::{
    BadParameter, Command, CommandName, InvalidCommandName, MAX_ARGV_BYTES, MAX_VALUE_BYTES,
};
pub use environment::Environment;
pub use mistake::{Mistake, Mistakes, Place};
pub use revision::Revision;
pub use watch::Watch;

use check::Check;
use document::Document;
use environment::Variable;
use lines::Lines;
use raw::{Field, Root};
use roles::Within;

/// Everything that can be configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which text this is.
    pub revision: Revision,
    /// Who may do what to which container.
    pub policy: Policy,
    /// By what the principals are known.
    pub register: Register,
    /// How each managed container is handled; the same containers as in the policy.
    pub containers: BTreeMap<ContainerName, ContainerSettings>,
    /// `[server]`.
    pub server: server::Settings,
    /// The user who serves, where root starts the gateway; `user` of `[server]`.
    pub user: Option<confine::User>,
    /// Which browsers are served: `hosts` and `cors` of `[server]`.
    pub browsers: Browsers,
    /// `[limits]`, but for what the server sees to.
    pub limits: limits::Settings,
    /// `[engine]`.
    pub engine: engine::Settings,
    /// `[log]`.
    pub log: telemetry::Settings,
    /// `[audit]`.
    pub audit: crate::audit::Settings,
    /// The other files that were read, such as those with tokens.
    pub files: Vec<PathBuf>,
}

/// The commands that may be run in one container, by name.
pub type Commands = BTreeMap<CommandName, Arc<Command>>;

/// How one container is handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSettings {
    /// How long it has to stop by itself before it is killed: whole seconds, from none at all to an hour. Without
    /// one, the container's own.
    pub stop_timeout: Option<Duration>,
    /// How long after a change of it the next is refused: from a millisecond to an hour. Without one, not at all.
    pub cooldown: Option<Duration>,
    /// What may be run in it.
    pub commands: Commands,
}

/// Reads the file and lays the environment over it.
///
/// # Errors
///
/// Every mistake in the file and in the environment, or the one reason why the file cannot be read.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Mistakes> {
    let text = file::read(path)?;
    parse(&path.display().to_string(), &text, environment)
}

/// The same as [`load`], from a text; `name` is what mistakes and rules call the file.
///
/// # Errors
///
/// Every mistake in the text and in the environment.
pub fn parse(name: &str, text: &str, environment: &Environment) -> Result<Config, Mistakes> {
    let revision = Revision::of(text);
    let text = without_mark(text);
    let lines = Lines::new(text);
    let syntax = syntax::check(&lines);
    let document = Document::new(&lines, &syntax.text, syntax.broken);
    let (variables, mut mistakes) = environment.read();
    mistakes.extend(syntax.mistakes);

    if !variables.is_empty() {
        // A value that a variable overrides is checked all the same: the variable may be gone tomorrow.
        let (mut check, root) = Check::new(&document, None, &[]);
        check.is_partial = true;
        check.settings(&root);
        mistakes.append(&mut check.mistakes);
    }
    let project = environment.project();
    let (mut check, root) = Check::new(&document, project.as_ref(), &variables);
    let settings = check.settings(&root);
    let (roles, principals) = (root.roles.clone(), root.principals.clone());
    check.audit_output();
    let containers = check.containers(name, root, settings.prefix.as_ref());
    let within = Within {
        file: name,
        containers: &check.container_names(),
    };
    let roles = check.roles(&within, roles);
    let principals = check.principals(name, principals, &roles);
    mistakes.append(&mut check.mistakes);

    let (Some(prefix), true) = (settings.prefix, mistakes.is_empty()) else {
        return Err(Mistakes::new(name, text, mistakes).naming(check.files));
    };
    let (ceilings, containers) = containers
        .into_iter()
        .map(|(name, (ceiling, settings))| ((name.clone(), ceiling), (name, settings)))
        .unzip();
    Ok(Config {
        revision,
        policy: Policy::new(prefix, ceilings, principals.access),
        register: Register::new(principals.credentials),
        containers,
        server: settings.server,
        user: settings.user,
        browsers: settings.browsers,
        limits: settings.limits,
        engine: settings.engine,
        log: settings.log,
        files: check.files,
        audit: settings.audit,
    })
}

/// What a health check has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Where the server listens.
    pub listen: Vec<Listen>,
    /// Whether the TCP listeners speak TLS.
    pub is_tls: bool,
}

/// The listeners alone, whatever is wrong elsewhere: a health check must go on to work against a running server after
/// somebody has broken its file. Where a variable gives them, there need not even be a file.
///
/// # Errors
///
/// The mistakes in the listeners; all mistakes, where one that is elsewhere may be
/// the reason.
pub fn listeners(path: &Path, environment: &Environment) -> Result<Listeners, Mistakes> {
    let (variables, _named_by_parse) = environment.read();
    let is_given = |variable: &Variable| variable.key == "server.listen";
    let text = match file::read(path) {
        Err(mistakes) if !variables.iter().any(is_given) => return Err(mistakes),
        read => read.unwrap_or_default(),
    };
    let name = path.display().to_string();

    let text = without_mark(&text);
    let lines = Lines::new(text);
    let syntax = syntax::check(&lines);
    let is_whole = syntax.mistakes.is_empty();
    let document = Document::new(&lines, &syntax.text, syntax.broken);
    let (mut check, root) = Check::new(&document, None, &variables);
    let all = || parse(&name, text, environment).map(|config| of_config(config.server));
    let (server, is_misplaced) = server_table(root);
    let is_absent = matches!(server.listen, Field::Absent);
    let listen = match check.listen(server.listen) {
        Some(listen) => listen,
        None if is_absent && is_whole && !is_misplaced => server::Settings::default().listen,
        None if is_absent => return all(),
        None => return Err(Mistakes::new(&name, text, check.mistakes)),
    };
    let is_plain = matches!(server.tls, Field::Absent) || !listen.iter().any(is_tcp);
    Ok(Listeners {
        listen,
        is_tls: !is_plain,
    })
}

/// The table as it is written, and whether what is missing in it may be meant by a key that nobody knows.
fn server_table(root: Root) -> (raw::Server, bool) {
    match root.server {
        Field::Given(server) => {
            let is_misplaced = !server.unknown.is_empty() || !root.unknown.is_empty();
            (server, is_misplaced)
        }
        Field::Absent => (raw::Server::default(), !root.unknown.is_empty()),
        Field::Wrong => (raw::Server::default(), true),
    }
}

const fn is_tcp(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp(_) => true,
        Listen::Unix(_) => false,
    }
}

fn of_config(server: server::Settings) -> Listeners {
    Listeners {
        listen: server.listen,
        is_tls: server.tls.is_some(),
    }
}

/// Some editors begin a file with a byte order mark; it is no text, and takes no column.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests;
