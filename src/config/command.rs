//! A command that may be run in a container: what is fixed of it, what a caller fills in, and with what.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

use crate::engine::Run;

/// The most bytes that the value of a parameter can have.
pub const MAX_VALUE_BYTES: usize = 4096;

/// The most bytes that the program and its arguments can have together; Linux takes no more in one of them.
pub const MAX_ARGV_BYTES: usize = 128 * 1024;

/// The most memory that a compiled pattern may take, in bytes.
const PATTERN_MEMORY: usize = 256 * 1024;

/// The name of a command. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandName(Arc<str>);

impl CommandName {
    /// What every name matches, and nothing else, as a regular expression.
    pub const PATTERN: &str = "^[a-z0-9][a-z0-9_-]{0,62}$";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no name of a command; says what one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCommandName;

impl fmt::Display for InvalidCommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a name has at most 63 of `a` to `z`, `0` to `9`, `_` and `-`, and begins with a letter or a digit",
        )
    }
}

impl FromStr for CommandName {
    type Err = InvalidCommandName;

    fn from_str(text: &str) -> Result<Self, InvalidCommandName> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = text.len() <= 63
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || matches!(c, '_' | '-'));
        if is_name {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCommandName)
        }
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub(super) argv: Vec<Argument>,
    pub(super) params: BTreeMap<String, Param>,
    /// How long it may take.
    pub timeout: Duration,
    /// How many bytes are kept of what it prints to standard output, and as many of standard error.
    pub max_output: usize,
    /// As whom it runs, as the engine takes it; `None`: as the container says.
    pub user: Option<String>,
    /// In which directory; `None`: in the container's.
    pub workdir: Option<String>,
    /// Variables besides the container's, each as `NAME=value`.
    pub env: Vec<String>,
}

impl Command {
    /// Its parameters by name, with the pattern that the whole of each value has to match.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.params.iter();
        params.map(|(name, param)| (name.as_str(), param.pattern.as_str()))
    }

    /// What is to be run where a caller gives these values.
    ///
    /// # Errors
    ///
    /// The first parameter that is missing, that there is none of, or that has another value than it may.
    pub fn filled(&self, values: &BTreeMap<String, Value>) -> Result<Run, BadParameter> {
        for name in values.keys() {
            if !self.params.contains_key(name) {
                return Err(BadParameter::Unknown { name: name.clone() });
            }
        }
        let mut texts = BTreeMap::new();
        for (name, param) in &self.params {
            texts.insert(name.as_str(), param.check(name, values.get(name))?);
        }
        let mut argv = Vec::with_capacity(self.argv.len());
        let mut bytes = 0;
        for argument in &self.argv {
            bytes += argument.length(&texts);
            if bytes > MAX_ARGV_BYTES {
                return Err(BadParameter::TooMuch);
            }
            argv.push(argument.filled(&texts));
        }
        Ok(Run {
            argv,
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            env: self.env.clone(),
            timeout: self.timeout,
            max_output: self.max_output,
        })
    }
}

/// What a caller fills in.
#[derive(Clone, Debug)]
pub(super) struct Param {
    pattern: String,
    whole: Regex,
}

impl PartialEq for Param {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Param {}

impl Param {
    /// A parameter whose whole value has to match this pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with the pattern.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let compiled = |pattern: &str| {
            let built = RegexBuilder::new(pattern)
                .size_limit(PATTERN_MEMORY)
                .build();
            built.map_err(|error| error.to_string())
        };
        // SECURITY: by itself first. `a)|(?:b` is none, but within the anchors it would be one that they do not hold.
        compiled(pattern)?;
        Ok(Self {
            pattern: pattern.to_owned(),
            whole: compiled(&format!(r"\A(?:{pattern})\z"))?,
        })
    }

    fn check<'value>(
        &self,
        name: &str,
        value: Option<&'value Value>,
    ) -> Result<&'value str, BadParameter> {
        let (name, pattern) = (name.to_owned(), self.pattern.clone());
        let Some(value) = value else {
            return Err(BadParameter::Missing { name, pattern });
        };
        let Some(text) = value.as_str() else {
            let found = described(value);
            return Err(BadParameter::NoText {
                name,
                pattern,
                found,
            });
        };
        if text.len() > MAX_VALUE_BYTES {
            return Err(BadParameter::TooLong { name });
        }
        // SECURITY: the kernel would end the argument there, after the pattern has seen the whole.
        if text.contains('\0') || !self.whole.is_match(text) {
            return Err(BadParameter::NoMatch { name, pattern });
        }
        Ok(text)
    }
}

/// One argument, in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// What stands there.
    Text(String),
    /// The value of this parameter.
    Param(String),
}

/// A brace in an argument is neither doubled nor part of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoneBrace(pub(super) char);

impl Argument {
    /// Reads an argument with placeholders such as `{url}`, and doubled braces for single ones.
    ///
    /// # Errors
    ///
    /// The first brace that is neither.
    pub(super) fn read(text: &str) -> Result<Self, LoneBrace> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, brace)) = rest
            .find(['{', '}'])
            .and_then(|at| rest.split_at_checked(at))
        {
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inside = brace.strip_prefix('{').ok_or(LoneBrace('}'))?;
                let (name, after) = inside.split_once('}').ok_or(LoneBrace('{'))?;
                if !is_param(name) {
                    return Err(LoneBrace('{'));
                }
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Param(name.to_owned()));
                rest = after;
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// The parameters that it has placeholders for.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Param(name) => Some(name.as_str()),
        })
    }

    fn length(&self, values: &BTreeMap<&str, &str>) -> usize {
        self.texts(values).map(str::len).sum()
    }

    fn filled(&self, values: &BTreeMap<&str, &str>) -> String {
        self.texts(values).collect()
    }

    fn texts<'all>(
        &'all self,
        values: &'all BTreeMap<&str, &str>,
    ) -> impl Iterator<Item = &'all str> {
        self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Param(name) => values.get(name.as_str()).copied().unwrap_or_default(),
        })
    }
}

/// Whether a text can be the name of a parameter.
pub(super) fn is_param(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// What is wrong with what a caller gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadParameter {
    /// The command has none of that name.
    Unknown {
        /// As it was given.
        name: String,
    },
    /// It has to be given.
    Missing {
        /// Which one.
        name: String,
        /// What it has to match.
        pattern: String,
    },
    /// It is something else than a text.
    NoText {
        /// Which one.
        name: String,
        /// What it has to match.
        pattern: String,
        /// What it is.
        found: &'static str,
    },
    /// It does not match.
    NoMatch {
        /// Which one.
        name: String,
        /// What it has to match.
        pattern: String,
    },
    /// It has more than [`MAX_VALUE_BYTES`].
    TooLong {
        /// Which one.
        name: String,
    },
    /// All together would be more than [`MAX_ARGV_BYTES`].
    TooMuch,
}

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "Unknown parameter: {name}"),
            Self::Missing { name, pattern } => {
                write!(
                    f,
                    "Missing parameter: {name}: a text that matches `{pattern}`"
                )
            }
            Self::NoText {
                name,
                pattern,
                found,
            } => write!(
                f,
                "Bad parameter: {name}: a text that matches `{pattern}` is expected, not {found}"
            ),
            Self::NoMatch { name, pattern } => {
                write!(
                    f,
                    "Bad parameter: {name}: the whole value must match `{pattern}`"
                )
            }
            Self::TooLong { name } => {
                write!(
                    f,
                    "Bad parameter: {name}: more than {MAX_VALUE_BYTES} bytes"
                )
            }
            Self::TooMuch => write!(
                f,
                "Bad parameters: the whole command would have more than {MAX_ARGV_BYTES} bytes"
            ),
        }
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
