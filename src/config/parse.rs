//! The settings, from what is written to what is meant.

use std::collections::HashSet;

use crate::audit;
use crate::confine;
use crate::engine::{self, Host};
use crate::limits;
use crate::policy::{InvalidName, Prefix};
use crate::server;
use crate::server::Listen;
use crate::telemetry;

use super::browsers::Browsers;
use super::check::Check;
use super::document::Part;
use super::environment::PROJECT;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Field, OneOrMore, Root, TABLES};

/// The prefix of containers where neither the file nor a variable gives one.
const DEFAULT_PREFIX: &str = "relayer-";

/// Everything but the containers.
pub(super) struct Settings {
    /// None if it is malformed.
    pub(super) prefix: Option<Prefix>,
    pub(super) server: server::Settings,
    pub(super) user: Option<confine::User>,
    pub(super) browsers: Browsers,
    pub(super) limits: limits::Settings,
    pub(super) engine: engine::Settings,
    pub(super) log: telemetry::Settings,
    pub(super) audit: audit::Settings,
}

impl Check<'_> {
    /// The settings, each a default where it is absent. Where a mistake is noted, what is answered is not used.
    pub(super) fn settings(&mut self, root: &Root) -> Settings {
        let root = root.clone();
        let known: Vec<_> = raw::keys("").chain(TABLES).collect();
        self.unknown(&[], &root.unknown, &known);
        let prefix = self.prefix(root.prefix);
        let server = self.table("server", root.server);
        let user = self.user(server.user.clone());
        let engine = self.table("engine", root.engine);
        let limits = self.table("limits", root.limits);
        let log = self.table("log", root.log);
        let audit = self.table("audit", root.audit);
        let browsers = self.browsers(&server);
        let (limits, connections_per_address) = self.limits(limits);
        let server = server::Settings {
            connections_per_address,
            ..self.server(server)
        };
        Settings {
            prefix,
            server,
            user,
            browsers,
            limits,
            engine: self.engine(engine),
            log: self.log(log),
            audit: self.audit(audit),
        }
    }

    fn prefix(&mut self, field: Field<String>) -> Option<Prefix> {
        if matches!(field, Field::Absent) {
            return DEFAULT_PREFIX.parse().ok();
        }
        let is_project = self.giver("prefix") == Some(PROJECT);
        self.text(&["prefix"], field, |text| {
            text.parse().map_err(|form: InvalidName| {
                let what = format!("{} cannot begin a container's name", quoted(text));
                let way_out = if is_project {
                    "; or say `prefix` in the file"
                } else {
                    ""
                };
                (what, format!("{form}{way_out}"))
            })
        })
    }

    fn server(&mut self, raw: raw::Server) -> server::Settings {
        self.unknown_settings("server", &raw.unknown);
        let listen = self.listen(raw.listen);
        let max_connections =
            self.number(&["server", "max_connections"], raw.max_connections, 65_536);
        let header_timeout = self.timeout(&["server", "header_timeout"], raw.header_timeout);
        let body_timeout = self.timeout(&["server", "body_timeout"], raw.body_timeout);
        let shutdown_timeout = self.timeout(&["server", "shutdown_timeout"], raw.shutdown_timeout);
        let workers = self.number(&["server", "workers"], raw.workers, 64);
        let tls = self.server_tls(raw.tls);
        let default = server::Settings::default();
        server::Settings {
            listen: listen.unwrap_or(default.listen),
            max_connections: max_connections.unwrap_or(default.max_connections),
            header_timeout: header_timeout.unwrap_or(default.header_timeout),
            body_timeout: body_timeout.unwrap_or(default.body_timeout),
            shutdown_timeout: shutdown_timeout.unwrap_or(default.shutdown_timeout),
            workers: workers.or(default.workers),
            connections_per_address: None,
            tls,
        }
    }

    fn engine(&mut self, raw: raw::Engine) -> engine::Settings {
        self.unknown_settings("engine", &raw.unknown);
        let has_tls = matches!(raw.tls, Field::Given(_));
        let has_host = !matches!(raw.host, Field::Absent);
        let host = self.text(&["engine", "host"], raw.host, |text| {
            let what = || format!("{} is no address of an engine", quoted(text));
            let host = if has_tls {
                Host::with_tls(text)
            } else {
                text.parse()
            };
            host.map_err(|form: &str| (what(), form.to_owned()))
        });
        let timeout = self.timeout(&["engine", "timeout"], raw.timeout);
        let default = engine::Settings::default();
        let default_host = (!has_host).then_some(&default.host);
        let tls = self.engine_tls(raw.tls, host.as_ref().or(default_host));
        engine::Settings {
            host: host.unwrap_or(default.host),
            timeout: timeout.unwrap_or(default.timeout),
            tls,
        }
    }

    fn log(&mut self, raw: raw::Log) -> telemetry::Settings {
        self.unknown_settings("log", &raw.unknown);
        let filter = self.text(&["log", "filter"], raw.filter, |text| {
            filter_parts(text)?;
            text.parse()
                .map_err(|_| (format!("{} is no filter", quoted(text)), FILTER.to_owned()))
        });
        let format = self.text(&["log", "format"], raw.format, |text| {
            text.parse().map_err(|form: &str| {
                let near = hint::nearest(text, ["text", "json"]);
                let hint = near.map_or_else(|| form.to_owned(), hint::did_you_mean);
                (format!("{} is no format", quoted(text)), hint)
            })
        });
        let default = telemetry::Settings::default();
        telemetry::Settings {
            filter: filter.unwrap_or(default.filter),
            format: format.unwrap_or(default.format),
        }
    }

    /// The listeners, or none if they are absent or any of them is wrong.
    pub(super) fn listen(&mut self, field: Field<OneOrMore<String>>) -> Option<Vec<Listen>> {
        let path = &["server", "listen"];
        let quote = |text: &str| {
            if text.parse::<f64>().is_ok() {
                format!("write `\"0.0.0.0:{text}\"`")
            } else {
                String::new()
            }
        };
        let due = "an address in quotes, or a list of them";
        let members = match self.given(path, field, due, quote)? {
            OneOrMore::One(text) => vec![Field::Given(text)],
            OneOrMore::More(members) => members,
        };
        if members.is_empty() {
            let what = "there is no address in the list";
            let hint = "nobody could connect; name one, such as `\"127.0.0.1:8089\"`";
            self.add(path, Part::Value, what, hint);
            return None;
        }
        let mut seen = HashSet::new();
        let mut listen = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = member else {
                self.wrong_type(path, part, "an address in quotes", "");
                continue;
            };
            match text.parse::<Listen>() {
                Ok(address) if seen.insert(address.clone()) => listen.push(address),
                Ok(_) => {
                    let what = format!("{} stands twice", quoted(text));
                    self.add(path, part, what, "remove one of them");
                }
                Err(form) => {
                    let what = format!("{} is no address to listen on", quoted(text));
                    self.add(path, part, what, form);
                }
            }
        }
        (listen.len() == members.len()).then_some(listen)
    }
}

const FILTER: &str = "write a level (`error`, `warn`, `info`, `debug` or `trace`), or levels by part, such as \
                      `warn,relayer_controller::engine=debug`";

/// The library takes a word that is no level for the name of a part, so that `inof` would silence the log.
fn filter_parts(text: &str) -> Result<(), (String, String)> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    for part in text.split(',') {
        let (name, level) = part.split_once('=').unwrap_or(("default", part));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        let known = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
        if known && !name.is_empty() && name.chars().all(plain) {
            continue;
        }
        let near = hint::nearest(level, LEVELS).filter(|_| !known);
        let hint = near.map_or_else(|| FILTER.to_owned(), hint::did_you_mean);
        let (word, what) = if known {
            (name, "part of the program")
        } else {
            (level, "level of the log")
        };
        return Err((format!("{} is no {what}", quoted(word)), hint));
    }
    Ok(())
}
