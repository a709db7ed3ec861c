//! The environment as a layer over the file: `RELAYER_CONTROLLER_SERVER__LISTEN` is `listen` of `[server]`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::hint;
use super::mistake::{Mistake, Place, quoted};
use super::raw::{Form, SETTINGS};

const PREFIX: &str = "RELAYER_CONTROLLER_";

/// Names the file itself, so it is the command line's business.
const CONFIG: &str = "RELAYER_CONTROLLER_CONFIG";

/// What the client of the API, `relayer-controller ctl`, goes by. People set these for a whole shell or host, and the
/// gateway must start there all the same.
const OF_CLIENT: [&str; 4] = [
    "RELAYER_CONTROLLER_URL",
    "RELAYER_CONTROLLER_TOKEN",
    "RELAYER_CONTROLLER_TOKEN_FILE",
    "RELAYER_CONTROLLER_CACERT",
];

/// The name of the compose project, which compose puts before the names of its containers.
pub(super) const PROJECT: &str = "COMPOSE_PROJECT_NAME";

/// The environment variables that have a say, as they are given. Empty ones count as not set: compose passes those
/// on for variables that nobody has set.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, _)| (name.to_string_lossy().into_owned(), value);
        std::env::vars_os().map(named).collect()
    }

    /// The settings that variables give, and the mistakes in the names of variables and in their encoding.
    pub(super) fn read(&self) -> (Vec<Variable>, Vec<Mistake>) {
        let mut variables = Vec::new();
        let mut mistakes = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            match variable(name, value) {
                Ok(variable) => variables.push(variable),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        (variables, mistakes)
    }

    /// The prefix that the compose project gives, for where nobody else does.
    pub(super) fn project(&self) -> Option<Variable> {
        let project = self.0.get(PROJECT)?;
        Some(Variable {
            name: PROJECT.to_owned(),
            key: "prefix".to_owned(),
            // What is not UTF-8 becomes a replacement character, which no prefix may have.
            text: format!("{}-", project.to_string_lossy()),
            form: Form::Text,
        })
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let ours = |(name, value): &(String, OsString)| {
            let is_others = name == CONFIG || OF_CLIENT.contains(&name.as_str());
            (name.starts_with(PREFIX) && !is_others || name == PROJECT) && !value.is_empty()
        };
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .filter(ours)
                .collect(),
        )
    }
}

/// One variable that gives one setting: a layer of its own, so that each value knows who gave it.
pub(super) struct Variable {
    pub(super) name: String,
    /// Such as `server.listen`.
    pub(super) key: String,
    pub(super) text: String,
    form: Form,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let value = match self.form {
            Form::Text => Value::from(self.text.as_str()),
            // What is no number, or no flag, stays text, and `parse` finds it wrong.
            Form::Number => (self.text.parse::<i64>())
                .map_or_else(|_| Value::from(self.text.as_str()), Value::from),
            Form::Flag => (self.text.parse::<bool>())
                .map_or_else(|_| Value::from(self.text.as_str()), Value::from),
            Form::List => self
                .text
                .split(',')
                .map(str::trim)
                .collect::<Vec<_>>()
                .into(),
        };
        let dict = figment::util::nest(&self.key, value).into_dict();
        Ok(Profile::Default.collect(dict.unwrap_or_default()))
    }
}

fn variable(name: &str, value: &OsString) -> Result<Variable, Mistake> {
    let mistake = |what: String, hint: String| Mistake {
        place: Place::Variable(name.to_owned()),
        what,
        key: String::new(),
        hint,
    };
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let table = rest.split("__").next().unwrap_or(rest);
    if ["CONTAINERS", "ROLES", "PRINCIPALS"].contains(&table) {
        return Err(mistake(
            format!("{} cannot be set by a variable", quoted(name)),
            "what is allowed is decided in the file alone; unset the variable".to_owned(),
        ));
    }
    let known = || {
        SETTINGS
            .iter()
            .map(|(table, key, form)| (variable_part(table, key), table, key, form))
    };
    let Some((_, table, key, form)) = known().find(|(known, ..)| known == rest) else {
        let parts: Vec<String> = known().map(|(known, ..)| known).collect();
        let hint = match hint::nearest(rest, parts.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{PREFIX}{near}`?"),
            None => format!(
                "a variable is `{PREFIX}` and the key, with `__` between table and key, such as \
                 `{PREFIX}SERVER__LISTEN`; unset this one"
            ),
        };
        return Err(mistake(format!("{} is no setting", quoted(name)), hint));
    };
    let Some(text) = value.to_str() else {
        return Err(mistake(
            format!("the value of {} is not UTF-8", quoted(name)),
            "settings are plain text".to_owned(),
        ));
    };
    let key = if table.is_empty() {
        (*key).to_owned()
    } else {
        format!("{table}.{key}")
    };
    Ok(Variable {
        name: name.to_owned(),
        key,
        text: text.to_owned(),
        form: *form,
    })
}

/// What a variable has after the common beginning, such as `SERVER__LISTEN`.
fn variable_part(table: &str, key: &str) -> String {
    let between = if table.is_empty() { "" } else { "__" };
    let table = table.replace('.', "__");
    format!("{table}{between}{key}").to_uppercase()
}
