//! The tables as they are written: one struct a table, each field by itself right, wrong or absent.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use serde::{Deserialize, Deserializer};

use super::document::Part;

/// What stands at a key. A value of the wrong type is kept as such, so that it does not hide its neighbours.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// A value of another type.
    Wrong,
    /// A value of the right type; whether it makes sense is for `parse` to say.
    Given(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: Value = Deserialize::deserialize(deserializer)?;
        Ok(value.deserialize().map_or(Self::Wrong, Self::Given))
    }
}

/// Keys that nobody knows.
pub(super) type Unknown = Dict;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Root {
    pub(super) prefix: Field<String>,
    pub(super) server: Field<Server>,
    pub(super) engine: Field<Engine>,
    pub(super) limits: Field<Limits>,
    pub(super) log: Field<Log>,
    pub(super) audit: Field<Audit>,
    pub(super) containers: Field<BTreeMap<String, Field<Container>>>,
    pub(super) roles: Field<BTreeMap<String, Field<Role>>>,
    pub(super) principals: Field<BTreeMap<String, Field<Principal>>>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[server]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    pub(super) listen: Field<OneOrMore<String>>,
    pub(super) max_connections: Field<i64>,
    pub(super) header_timeout: Field<String>,
    pub(super) body_timeout: Field<String>,
    pub(super) shutdown_timeout: Field<String>,
    pub(super) workers: Field<i64>,
    pub(super) user: Field<String>,
    pub(super) hosts: Field<OneOrMore<String>>,
    pub(super) cors: Field<OneOrMore<String>>,
    pub(super) tls: Field<ServerTls>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[server.tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerTls {
    pub(super) certificate: Field<String>,
    pub(super) key: Field<String>,
    pub(super) client_ca: Field<String>,
    pub(super) client_auth: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[engine]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Engine {
    pub(super) host: Field<String>,
    pub(super) timeout: Field<String>,
    pub(super) tls: Field<EngineTls>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[engine.tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EngineTls {
    pub(super) ca: Field<String>,
    pub(super) certificate: Field<String>,
    pub(super) key: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[limits]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) per_principal: Field<String>,
    pub(super) per_address: Field<String>,
    pub(super) connections_per_address: Field<i64>,
    pub(super) changes: Field<i64>,
    pub(super) changes_per_container: Field<i64>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[log]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) filter: Field<String>,
    pub(super) format: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[audit]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Audit {
    pub(super) output: Field<String>,
    pub(super) required: Field<bool>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[containers.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) allow: Field<Texts>,
    pub(super) stop_timeout: Field<String>,
    pub(super) cooldown: Field<String>,
    pub(super) exec: Field<BTreeMap<String, Field<Command>>>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[containers.NAME.exec.COMMAND]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Command {
    pub(super) argv: Field<Texts>,
    pub(super) params: Field<BTreeMap<String, Field<String>>>,
    pub(super) timeout: Field<String>,
    pub(super) max_output: Field<Amount>,
    pub(super) user: Field<String>,
    pub(super) workdir: Field<String>,
    pub(super) env: Field<BTreeMap<String, Field<String>>>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[roles.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    pub(super) allow: Field<Texts>,
    pub(super) forbid: Field<Texts>,
    pub(super) containers: Field<Texts>,
    pub(super) gateway: Field<Texts>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// `[principals.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Principal {
    pub(super) token: Field<OneOrMore<TokenForm>>,
    pub(super) token_file: Field<OneOrMore<String>>,
    pub(super) certificate: Field<OneOrMore<String>>,
    pub(super) uid: Field<OneOrMore<i64>>,
    pub(super) gid: Field<OneOrMore<i64>>,
    pub(super) roles: Field<Texts>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// A token's hash alone, or with more about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum TokenForm {
    /// `"sha256:…"`
    Hash(String),
    /// `{ hash = "sha256:…", expires = "2027-01-31" }`
    Table(TokenTable),
}

/// The long form of a token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenTable {
    pub(super) hash: Field<String>,
    pub(super) expires: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// A list of texts.
pub(super) type Texts = Vec<Field<String>>;

/// A list, or its only member without the brackets.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore<T> {
    /// `"a"`
    One(T),
    /// `["a", "b"]`
    More(Vec<Field<T>>),
}

impl<T> OneOrMore<T> {
    /// The members, and for each the part of the entry that it is.
    pub(super) fn members(self) -> Vec<(Part, Field<T>)> {
        match self {
            Self::One(member) => vec![(Part::Value, Field::Given(member))],
            Self::More(members) => {
                let numbered = members.into_iter().enumerate();
                numbered
                    .map(|(index, member)| (Part::Element(index), member))
                    .collect()
            }
        }
    }
}

/// A number of bytes, by itself or with a unit.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Amount {
    /// `65536`
    Bytes(i64),
    /// `"64KiB"`
    Text(String),
}

/// How a setting is written in an environment variable, which is text whatever it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Number,
    /// `true` or `false`.
    Flag,
    /// Separated by commas.
    List,
}

/// Every setting that a variable can give, with its table; the top of the file is the table without a name.
pub(super) const SETTINGS: &[(&str, &str, Form)] = &[
    ("", "prefix", Form::Text),
    ("server", "listen", Form::List),
    ("server", "max_connections", Form::Number),
    ("server", "header_timeout", Form::Text),
    ("server", "body_timeout", Form::Text),
    ("server", "shutdown_timeout", Form::Text),
    ("server", "workers", Form::Number),
    ("server", "user", Form::Text),
    ("server", "hosts", Form::List),
    ("server", "cors", Form::List),
    ("server.tls", "certificate", Form::Text),
    ("server.tls", "key", Form::Text),
    ("server.tls", "client_ca", Form::Text),
    ("server.tls", "client_auth", Form::Text),
    ("engine", "host", Form::Text),
    ("engine", "timeout", Form::Text),
    ("engine.tls", "ca", Form::Text),
    ("engine.tls", "certificate", Form::Text),
    ("engine.tls", "key", Form::Text),
    ("limits", "per_principal", Form::Text),
    ("limits", "per_address", Form::Text),
    ("limits", "connections_per_address", Form::Number),
    ("limits", "changes", Form::Number),
    ("limits", "changes_per_container", Form::Number),
    ("log", "filter", Form::Text),
    ("log", "format", Form::Text),
    ("audit", "output", Form::Text),
    ("audit", "required", Form::Flag),
];

/// The keys of `[containers.NAME]`.
pub(super) const CONTAINER_KEYS: [&str; 4] = ["allow", "stop_timeout", "cooldown", "exec"];

/// The keys of `[containers.NAME.exec.COMMAND]`.
pub(super) const COMMAND_KEYS: [&str; 7] = [
    "argv",
    "params",
    "timeout",
    "max_output",
    "user",
    "workdir",
    "env",
];

/// The keys of `[roles.NAME]`.
pub(super) const ROLE_KEYS: [&str; 4] = ["allow", "forbid", "containers", "gateway"];

/// The keys of `[principals.NAME]`.
pub(super) const PRINCIPAL_KEYS: [&str; 6] =
    ["token", "token_file", "certificate", "uid", "gid", "roles"];

/// The tables of the file.
pub(super) const TABLES: [&str; 8] = [
    "server",
    "engine",
    "limits",
    "log",
    "audit",
    "containers",
    "roles",
    "principals",
];

/// The keys of one table, such as `server`.
pub(super) fn keys(table: &str) -> impl Iterator<Item = &'static str> {
    SETTINGS
        .iter()
        .filter(move |(of, _, _)| *of == table)
        .map(|(_, key, _)| *key)
}

/// The tables within one table, such as `tls` in `server`.
pub(super) fn tables_in(table: &str) -> impl Iterator<Item = &'static str> {
    let mut tables: Vec<_> = SETTINGS
        .iter()
        .filter_map(|(of, _, _)| of.strip_prefix(table)?.strip_prefix('.'))
        .collect();
    tables.dedup();
    tables.into_iter()
}
