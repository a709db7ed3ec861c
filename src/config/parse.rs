//! The settings, from what is written to what is meant.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::engine;
use crate::policy::Prefix;
use crate::server;
use crate::server::Listen;
use crate::telemetry;

use super::check::Check;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Field, OneOrMore, Root, TABLES};

/// The prefix of containers where neither the file nor a variable gives one.
const DEFAULT_PREFIX: &str = "relayer-";

/// The times that a time limit can have: less is no time at all, and more is no limit.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

const DURATION: &str = "a duration in quotes";
const TEXT: &str = "text in quotes";

/// Everything but the containers.
pub(super) struct Settings {
    /// None if it is malformed.
    pub(super) prefix: Option<Prefix>,
    pub(super) server: server::Settings,
    pub(super) engine: engine::Settings,
    pub(super) log: telemetry::Settings,
}

impl Check<'_> {
    /// The settings, each a default where it is absent. Where a mistake is noted, what is answered is not used.
    pub(super) fn settings(&mut self, root: &Root) -> Settings {
        let root = root.clone();
        let known: Vec<_> = raw::keys("").chain(TABLES).collect();
        self.unknown(&[], &root.unknown, &known);
        let prefix = match root.prefix {
            Field::Absent => DEFAULT_PREFIX.parse().ok(),
            field @ (Field::Wrong | Field::Given(_)) => self.text(&["prefix"], field, |text| {
                text.parse().map_err(|wrong| cannot_begin(text, &wrong))
            }),
        };
        let server = self.table("server", root.server);
        let engine = self.table("engine", root.engine);
        let log = self.table("log", root.log);
        Settings {
            prefix,
            server: self.server(server),
            engine: self.engine(engine),
            log: self.log(log),
        }
    }

    fn server(&mut self, raw: raw::Server) -> server::Settings {
        self.unknown(
            &["server"],
            &raw.unknown,
            &raw::keys("server").collect::<Vec<_>>(),
        );
        let mut settings = server::Settings::default();
        set(&mut settings.listen, self.listen(raw.listen));
        set(
            &mut settings.max_connections,
            self.number(&["server", "max_connections"], raw.max_connections, 65_536),
        );
        set(
            &mut settings.header_timeout,
            self.timeout(&["server", "header_timeout"], raw.header_timeout),
        );
        set(
            &mut settings.body_timeout,
            self.timeout(&["server", "body_timeout"], raw.body_timeout),
        );
        set(
            &mut settings.shutdown_timeout,
            self.timeout(&["server", "shutdown_timeout"], raw.shutdown_timeout),
        );
        set(
            &mut settings.workers,
            self.number(&["server", "workers"], raw.workers, 64),
        );
        settings
    }

    fn engine(&mut self, raw: raw::Engine) -> engine::Settings {
        self.unknown(
            &["engine"],
            &raw.unknown,
            &raw::keys("engine").collect::<Vec<_>>(),
        );
        let mut settings = engine::Settings::default();
        let host = self.text(&["engine", "host"], raw.host, |text| {
            text.parse().map_err(|form: &str| {
                (
                    format!("{} is no address of an engine", quoted(text)),
                    form.to_owned(),
                )
            })
        });
        set(&mut settings.host, host);
        set(
            &mut settings.timeout,
            self.timeout(&["engine", "timeout"], raw.timeout),
        );
        settings
    }

    fn log(&mut self, raw: raw::Log) -> telemetry::Settings {
        self.unknown(
            &["log"],
            &raw.unknown,
            &raw::keys("log").collect::<Vec<_>>(),
        );
        let mut settings = telemetry::Settings::default();
        let filter = self.text(&["log", "filter"], raw.filter, |text| {
            filter_parts(text)?;
            text.parse()
                .map_err(|_| (format!("{} is no filter", quoted(text)), FILTER.to_owned()))
        });
        set(&mut settings.filter, filter);
        let format = self.text(&["log", "format"], raw.format, |text| {
            text.parse().map_err(|form: &str| {
                let near = hint::nearest(text, ["text", "json"]);
                let near = near.map(|near| format!("did you mean `{near}`?"));
                (
                    format!("{} is no format", quoted(text)),
                    near.unwrap_or_else(|| form.to_owned()),
                )
            })
        });
        set(&mut settings.format, format);
        settings
    }

    /// The listeners, or none if they are absent or any of them is wrong.
    pub(super) fn listen(&mut self, field: Field<OneOrMore>) -> Option<Vec<Listen>> {
        let path = &["server", "listen"];
        let quote = |text: &str| {
            if text.parse::<f64>().is_ok() {
                format!("write `\"0.0.0.0:{text}\"`")
            } else {
                String::new()
            }
        };
        let members = match self.given(
            path,
            field,
            "an address in quotes, or a list of them",
            quote,
        )? {
            OneOrMore::One(text) => vec![Field::Given(text)],
            OneOrMore::More(members) => members,
        };
        if members.is_empty() {
            self.add(
                path,
                Part::Value,
                "there is no address in the list",
                "nobody could connect; name one, such as `\"127.0.0.1:8089\"`",
            );
            return None;
        }
        let mut seen = HashSet::new();
        let mut listen = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let Field::Given(text) = member else {
                self.wrong_type(path, Part::Element(index), "an address in quotes", "");
                continue;
            };
            match text.parse::<Listen>() {
                Ok(address) if !seen.insert(address.clone()) => {
                    self.add(
                        path,
                        Part::Element(index),
                        format!("{} stands twice", quoted(text)),
                        "remove one of them",
                    );
                }
                Ok(address) => listen.push(address),
                Err(form) => self.add(
                    path,
                    Part::Element(index),
                    format!("{} is no address to listen on", quoted(text)),
                    form,
                ),
            }
        }
        (listen.len() == members.len()).then_some(listen)
    }

    /// A text that something else makes sense of.
    fn text<T>(
        &mut self,
        path: &[&str],
        field: Field<String>,
        parse: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<T> {
        let text = self.given(path, field, TEXT, |_| String::new())?;
        parse(&text)
            .map_err(|(what, hint)| self.add(path, Part::Value, what, hint))
            .ok()
    }

    fn number(&mut self, path: &[&str], field: Field<i64>, most: usize) -> Option<usize> {
        let range = format!("a whole number from 1 to {most}");
        let without_quotes = |text: &str| {
            let inside = text.trim_matches(['"', '\'']);
            if inside != text && inside.parse::<u32>().is_ok() {
                return format!("write {inside} without the quotes");
            }
            String::new()
        };
        let number = self.given(path, field, &range, without_quotes)?;
        let fitting = usize::try_from(number)
            .ok()
            .filter(|number| (1..=most).contains(number));
        if fitting.is_none() {
            self.add(
                path,
                Part::Value,
                format!("`{number}` is out of range"),
                range,
            );
        }
        fitting
    }

    fn timeout(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let duration = self.duration(path, field)?;
        if TIMES.contains(&duration) {
            return Some(duration);
        }
        let what = if duration < *TIMES.start() {
            "too short"
        } else {
            "too long"
        };
        let shown = humantime::format_duration(duration);
        self.add(
            path,
            Part::Value,
            format!("`{shown}` is {what}"),
            "anything from `100ms` to `1h`",
        );
        None
    }

    /// Any duration, such as `1m 30s`.
    pub(super) fn duration(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let quote = |text: &str| {
            let seconds = if text.parse::<u32>().is_ok() {
                text
            } else {
                "10"
            };
            format!("write `\"{seconds}s\"`")
        };
        let text = self.given(path, field, DURATION, quote)?;
        let duration = humantime::parse_duration(&text);
        if duration.is_err() {
            let hint = match text.trim().parse::<u32>() {
                Ok(seconds) => format!("the unit is missing; `{seconds}s` is seconds"),
                Err(_) => "a duration is a number with a unit, such as `500ms`, `10s` or `1m 30s`"
                    .to_owned(),
            };
            self.add(
                path,
                Part::Value,
                format!("{} is no duration", quoted(&text)),
                hint,
            );
        }
        duration.ok()
    }
}

/// An absent setting keeps its default.
fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

fn cannot_begin(text: &str, wrong: &crate::policy::InvalidName) -> (String, String) {
    (
        format!("{} cannot begin a container's name", quoted(text)),
        wrong.to_string(),
    )
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
        let hint = near.map_or_else(
            || FILTER.to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let (word, what) = if known {
            (name, "part of the program")
        } else {
            (level, "level of the log")
        };
        return Err((format!("{} is no {what}", quoted(word)), hint));
    }
    Ok(())
}
