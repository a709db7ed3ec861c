//! The commands of a container: `[containers.NAME.exec.COMMAND]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::MARKER;

use super::Commands;
use super::check::Check;
use super::command::{Argument, Command, CommandName, LoneBrace, Param, is_param};
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Amount, COMMAND_KEYS, Field, Texts};

/// What a command has that does not say otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_OUTPUT: usize = 64 * 1024;

/// The most bytes that can be kept of each stream.
const MOST_OUTPUT: usize = 1024 * 1024;

/// The most commands of one container.
const MOST_COMMANDS: usize = 64;
/// The most arguments of one command, with the program.
const MOST_ARGUMENTS: usize = 128;
/// The most parameters, and variables, of one command.
const MOST_PARAMS: usize = 16;
const MOST_VARIABLES: usize = 64;
/// The most bytes of one argument, value or directory as it is written.
const MOST_BYTES: usize = 4096;
/// The most bytes of one pattern.
const MOST_PATTERN: usize = 1000;

const ARGV: &str =
    "name the program and its arguments, such as `argv = [\"nginx\", \"-s\", \"reload\"]`";

impl Check<'_> {
    /// The commands that are right; every mistake in the others is noted. `path` is that of `exec`.
    pub(super) fn commands(
        &mut self,
        path: &[&str],
        field: Field<BTreeMap<String, Field<raw::Command>>>,
    ) -> Commands {
        let hint = |_: &str| {
            "write `[containers.NAME.exec.COMMAND]`, and below it `argv = [\"program\"]`".to_owned()
        };
        let tables = self.given(path, field, "a table for each command", hint);
        let tables = tables.unwrap_or_default();
        self.bound(path, tables.len(), MOST_COMMANDS, "commands");
        let mut commands = Commands::new();
        for (name, table) in tables {
            let path = [path, &[&name]].concat();
            let parsed = name.parse::<CommandName>();
            if let Err(form) = &parsed {
                let what = format!("{} cannot be a command's name", quoted(&name));
                self.add(&path, Part::Key, what, form.to_string());
            }
            let Some(table) = self.given(&path, table, "a table", hint) else {
                continue;
            };
            if let (Some(command), Ok(name)) = (self.command(&path, table), parsed) {
                commands.insert(name, Arc::new(command));
            }
        }
        commands
    }

    fn command(&mut self, path: &[&str], table: raw::Command) -> Option<Command> {
        self.unknown(path, &table.unknown, &COMMAND_KEYS);
        let at = |key| [path, &[key]].concat();
        let params = self.params(&at("params"), table.params);
        let argv = self.argv(path, table.argv, params.as_ref());
        let timeout = self.timeout(&at("timeout"), table.timeout);
        let max_output = self.amount(&at("max_output"), table.max_output, MOST_OUTPUT);
        let user = self.text(&at("user"), table.user, user);
        let workdir = self.text(&at("workdir"), table.workdir, workdir);
        let env = self.variables(&at("env"), table.env);
        Some(Command {
            argv: argv?,
            params: params?
                .into_iter()
                .map(|(name, param)| Some((name, param?)))
                .collect::<Option<_>>()?,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            max_output: max_output.unwrap_or(DEFAULT_OUTPUT),
            user,
            workdir,
            env,
        })
    }

    /// The parameters by name; those whose pattern is wrong have none. `None` where they are no table.
    fn params(
        &mut self,
        path: &[&str],
        field: Field<BTreeMap<String, Field<String>>>,
    ) -> Option<Params> {
        let hint = |_: &str| "write `params.NAME = \"a regular expression\"`".to_owned();
        if matches!(field, Field::Absent) {
            return Some(Params::new());
        }
        let fields = self.given(path, field, "a pattern for each parameter", hint)?;
        self.bound(path, fields.len(), MOST_PARAMS, "parameters");
        let mut params = Params::new();
        for (name, field) in fields {
            let path = [path, &[&name]].concat();
            if !is_param(&name) {
                let what = format!("{} cannot be a parameter's name", quoted(&name));
                let form =
                    "a name has at most 63 letters, digits, `_` and `-`, and begins with a letter";
                self.add(&path, Part::Key, what, form);
            }
            if let Some(other) = params
                .keys()
                .find(|other| other.eq_ignore_ascii_case(&name))
            {
                let what = format!(
                    "{} and `{other}` differ only in capital letters",
                    quoted(&name)
                );
                self.add(&path, Part::Key, what, "rename or remove one of them");
            }
            let param = self.text(&path, field, pattern);
            params.insert(name, param);
        }
        Some(params)
    }

    /// The program and its arguments. `path` is that of the command.
    fn argv(
        &mut self,
        path: &[&str],
        field: Field<Texts>,
        params: Option<&Params>,
    ) -> Option<Vec<Argument>> {
        let at = &[path, &["argv"]].concat();
        if matches!(field, Field::Absent) {
            if !self.document.is_section_broken(path) {
                self.add(path, Part::Key, "this command has no `argv`", ARGV);
            }
            return None;
        }
        let texts = self.given(at, field, "a list of texts", in_words)?;
        if texts.is_empty() {
            self.add(at, Part::Value, "there is no program in the list", ARGV);
        }
        self.bound(at, texts.len(), MOST_ARGUMENTS, "arguments");
        let mut argv = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let Field::Given(text) = text else {
                self.wrong_type(at, Part::Element(index), "a text in quotes", "");
                continue;
            };
            match argument(text, index, params) {
                Ok(argument) => argv.push(argument),
                Err((what, hint)) => self.add(at, Part::Element(index), what, hint),
            }
        }
        if argv.len() < texts.len() {
            return None;
        }
        let used: BTreeSet<_> = argv.iter().flat_map(Argument::params).collect();
        let names = params.into_iter().flat_map(BTreeMap::keys);
        for name in names.filter(|name| is_param(name) && !used.contains(name.as_str())) {
            let path = [path, &["params", name]].concat();
            let what = format!("no argument contains {}", quoted(&format!("{{{name}}}")));
            let hint = "write that where the value belongs, or remove the parameter";
            self.add(&path, Part::Key, what, hint);
        }
        Some(argv)
    }

    /// The variables, each as `NAME=value`.
    fn variables(
        &mut self,
        path: &[&str],
        field: Field<BTreeMap<String, Field<String>>>,
    ) -> Vec<String> {
        let hint = |_: &str| "write `env.NAME = \"value\"`".to_owned();
        let fields = self.given(path, field, "a text for each variable", hint);
        let fields = fields.unwrap_or_default();
        self.bound(path, fields.len(), MOST_VARIABLES, "variables");
        let mut variables = Vec::new();
        for (name, field) in fields {
            let path = [path, &[&name]].concat();
            if name.is_empty() || name.contains(['=', '\0']) {
                let what = format!("{} cannot be a variable's name", quoted(&name));
                self.add(&path, Part::Key, what, "a name has no `=` and no NUL in it");
            }
            if name == MARKER {
                let what = format!("`{MARKER}` is the gateway's own variable");
                self.add(&path, Part::Key, what, "rename or remove it");
            }
            let value = self.text(&path, field, |text| plain(text).map(|()| text.to_owned()));
            variables.extend(value.map(|value| format!("{name}={value}")));
        }
        variables
    }

    /// A number of bytes from 1 to `most`.
    fn amount(&mut self, path: &[&str], field: Field<Amount>, most: usize) -> Option<usize> {
        const FORM: &str = "from 1 byte to `1MiB`, such as `65536` or `\"64KiB\"`";
        let due = "a number of bytes, or a text such as `64KiB`";
        let (text, bytes) = match self.given(path, field, due, |_| FORM.to_owned())? {
            Amount::Bytes(number) => (number.to_string(), usize::try_from(number).ok()),
            Amount::Text(text) => (text.clone(), bytes(&text)),
        };
        let fitting = bytes.filter(|bytes| (1..=most).contains(bytes));
        if fitting.is_none() {
            let what = if bytes.is_some() || text.parse::<i64>().is_ok() {
                "is out of range"
            } else {
                "is no number of bytes"
            };
            self.add(path, Part::Value, format!("{} {what}", quoted(&text)), FORM);
        }
        fitting
    }

    /// Notes that there are more of something than there can be.
    fn bound(&mut self, path: &[&str], count: usize, most: usize, what: &str) {
        if count > most {
            let found = format!("there are {count} {what}");
            self.add(path, Part::Key, found, format!("at most {most}"));
        }
    }
}

/// The parameters of a command by name; none for those whose pattern is wrong.
type Params = BTreeMap<String, Option<Param>>;

/// What is wrong, and what to do.
type Told = (String, String);

/// What to write where a list of words is due and one text stands.
fn in_words(text: &str) -> String {
    let inside = text.trim_matches(['"', '\'']);
    let plain = |c: char| c.is_alphanumeric() || " -_./:=".contains(c);
    if inside.trim().is_empty() || !inside.chars().all(plain) {
        return ARGV.to_owned();
    }
    let words: Vec<_> = inside
        .split_whitespace()
        .map(|word| format!("\"{word}\""))
        .collect();
    format!("write `[{}]`", words.join(", "))
}

fn argument(text: &str, index: usize, params: Option<&Params>) -> Result<Argument, Told> {
    plain(text)?;
    if index == 0 && text.is_empty() {
        return Err(("the program has no name".to_owned(), ARGV.to_owned()));
    }
    let argument = Argument::read(text).map_err(|LoneBrace(brace)| {
        let what = format!("`{brace}` is no part of a placeholder");
        let hint = "a placeholder is a parameter's name in braces, such as `{url}`; a brace itself is written twice";
        (what, hint.to_owned())
    })?;
    for name in argument.params() {
        let placeholder = format!("{{{name}}}");
        if index == 0 {
            let what = format!("{} stands in the program's name", quoted(&placeholder));
            let hint = "only arguments can be filled in; the program is the same every time";
            return Err((what, hint.to_owned()));
        }
        if let Some(params) = params.filter(|params| !params.contains_key(name)) {
            let what = format!("nothing says what {} may be", quoted(&placeholder));
            let near = hint::nearest(name, params.keys().map(String::as_str));
            let hint = match near {
                Some(near) => hint::did_you_mean(&format!("{{{near}}}")),
                None => format!("add a pattern, such as `params.{name} = \"[a-z0-9]+\"`"),
            };
            return Err((what, hint));
        }
    }
    Ok(argument)
}

fn pattern(text: &str) -> Result<Param, Told> {
    if text.len() > MOST_PATTERN {
        let hint = format!("at most {MOST_PATTERN} bytes");
        return Err(("this pattern is too long".to_owned(), hint));
    }
    Param::new(text).map_err(|why| {
        let what = format!("{} cannot be used as a pattern", quoted(text));
        (what, why)
    })
}

fn user(text: &str) -> Result<String, Told> {
    let is_name = |name: &str| {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ':';
        !name.is_empty() && name.chars().all(is_plain)
    };
    let (name, group) = text.split_once(':').unwrap_or((text, "0"));
    if is_name(name) && is_name(group) && text.len() <= MOST_BYTES {
        return Ok(text.to_owned());
    }
    let what = format!("{} is no user", quoted(text));
    let hint = "a user is a name or a number, and so is a group after a colon, such as `nobody` or `1000:1000`";
    Err((what, hint.to_owned()))
}

fn workdir(text: &str) -> Result<String, Told> {
    plain(text)?;
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let what = format!("{} is no whole path", quoted(text));
    Err((
        what,
        "a directory in the container begins with `/`".to_owned(),
    ))
}

/// What the kernel takes for an argument, a variable or a path.
fn plain(text: &str) -> Result<(), Told> {
    if text.contains('\0') {
        let what = format!("{} has a NUL in it", quoted(text));
        return Err((what, "no program can be given one; remove it".to_owned()));
    }
    if text.len() > MOST_BYTES {
        let hint = format!("at most {MOST_BYTES} bytes");
        return Err(("this text is too long".to_owned(), hint));
    }
    Ok(())
}

/// A number with a unit, in bytes.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.strip_prefix(digits)?.trim() {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<usize>().ok())??;
    number.checked_mul(unit)
}
