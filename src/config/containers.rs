//! The containers: the ceiling of each, and how it is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::policy::{Ceiling, ContainerName, Prefix, Verb, VerbSet};

use super::ContainerSettings;
use super::check::Check;
use super::document::{Part, key};
use super::hint;
use super::mistake::quoted;
use super::raw::{CONTAINER_KEYS, Container, Field, Root, Texts, Unknown};
use super::verbs::is_rest_of_name;

/// The longest that a container may be given to stop by itself.
const MAX_STOP_TIMEOUT: Duration = Duration::from_hours(1);

/// What is wrong with a container that allows nothing, and what to do.
const EMPTY: (&str, &str) = (
    "nothing is allowed on this container",
    "name the verbs, such as `[\"status\"]`, or remove the container",
);

/// The most containers that a file can have. Each takes four bytes for every set of roles that some principal has.
const MOST_CONTAINERS: usize = 5000;

/// What is said of the containers, by name.
pub(super) type Containers = BTreeMap<ContainerName, (Ceiling, ContainerSettings)>;

impl Check<'_> {
    /// The containers that are right; every mistake in the others is noted. `file` is what rules call the file.
    pub(super) fn containers(
        &mut self,
        file: &str,
        root: Root,
        prefix: Option<&Prefix>,
    ) -> Containers {
        const EXAMPLE: &str = "name one: `[containers.NAME]`, and below it `allow = [\"status\"]`";
        let is_elsewhere = root.unknown.keys().any(|key| self.is_container_table(key));
        let due = "a table for each container";
        let tables = match root.containers {
            Field::Absent => BTreeMap::new(),
            Field::Given(tables) => tables,
            Field::Wrong => {
                self.wrong_type(&["containers"], Part::Value, due, EXAMPLE);
                return Containers::new();
            }
        };
        // After a syntax mistake they may be there all the same.
        if tables.is_empty() && self.document.is_whole() && !is_elsewhere {
            let what = "no container is named, so nothing would be managed";
            self.add(&["containers"], Part::Key, what, EXAMPLE);
        }
        if tables.len() > MOST_CONTAINERS {
            let what = format!("there are {} containers", tables.len());
            let hint = format!("at most {MOST_CONTAINERS}");
            self.add(&["containers"], Part::Key, what, hint);
        }
        tables
            .into_iter()
            .filter_map(|(name, table)| self.container(file, &name, table, prefix))
            .collect()
    }

    /// The names of all containers that have a table, also of those with mistakes.
    pub(super) fn container_names(&self) -> BTreeSet<ContainerName> {
        let names = self.document.keys(&["containers"]);
        names.filter_map(|name| name.parse().ok()).collect()
    }

    fn container(
        &mut self,
        file: &str,
        name: &str,
        table: Field<Container>,
        prefix: Option<&Prefix>,
    ) -> Option<(ContainerName, (Ceiling, ContainerSettings))> {
        let path = ["containers", name];
        let parsed = self.name(&path, name, prefix);
        let hint =
            |_: &str| "write `[containers.NAME]`, and below it `allow = [\"status\"]`".to_owned();
        let table = self.given(&path, table, "a table", hint)?;
        self.unknown_in_named(&path, &table.unknown, &CONTAINER_KEYS);
        let stop_timeout =
            self.stop_timeout(&["containers", name, "stop_timeout"], table.stop_timeout);
        let cooldown = self.cooldown(&["containers", name, "cooldown"], table.cooldown);
        let exec = ["containers", name, "exec"];
        let has_exec = !matches!(table.exec, Field::Absent);
        let commands = self.commands(&exec, table.exec);
        let allow = self.allow(&path, table.allow, &table.unknown)?;
        let path = ["containers", name, "allow"];
        if has_exec && !allow.contains(Verb::Exec) {
            let what = "these commands can never be run";
            let hint = format!("add `\"exec\"` to `{}`, or remove them", key(&path));
            self.add(&exec, Part::Key, what, hint);
        }
        let ceiling = Ceiling {
            allow,
            rule: self.rule(file, &path)?,
        };
        let settings = ContainerSettings {
            stop_timeout,
            cooldown,
            commands,
        };
        Some((parsed?, (ceiling, settings)))
    }

    fn name(
        &mut self,
        path: &[&str],
        name: &str,
        prefix: Option<&Prefix>,
    ) -> Option<ContainerName> {
        let parsed: Result<ContainerName, _> = name.parse();
        if let Err(form) = &parsed {
            self.add(
                path,
                Part::Key,
                format!("{} cannot be a container's name", quoted(name)),
                form.to_string(),
            );
        }
        // Somebody who writes the full name would get a container that does not exist, and no word about it.
        let prefix = prefix
            .map(Prefix::as_str)
            .filter(|prefix| !prefix.is_empty());
        if let Some((prefix, short)) =
            prefix.and_then(|prefix| Some((prefix, name.strip_prefix(prefix)?)))
        {
            let hint = match short {
                "" => "names are written without the prefix".to_owned(),
                short => format!("names are written without the prefix: {}", quoted(short)),
            };
            let what = format!("{} begins with the prefix `{prefix}`", quoted(name));
            self.add(path, Part::Key, what, hint);
        }
        parsed.ok()
    }

    fn allow(&mut self, table: &[&str], field: Field<Texts>, unknown: &Unknown) -> Option<VerbSet> {
        if matches!(field, Field::Absent) {
            self.without_allow(table, unknown);
            return None;
        }
        self.verbs(&[table, &["allow"]].concat(), field, EMPTY)
    }

    /// Not said of a table whose `allow` is there, but spelled wrong, or lost to a syntax mistake.
    fn without_allow(&mut self, table: &[&str], unknown: &Unknown) {
        let is_misspelt = unknown
            .keys()
            .any(|key| hint::nearest(key, CONTAINER_KEYS) == Some("allow"));
        let is_dotted = unknown
            .iter()
            .any(|(key, value)| is_rest_of_name(key, value));
        if is_misspelt || is_dotted || self.document.is_section_broken(table) {
            return;
        }
        let hint =
            "name the verbs that may be used on it, such as `allow = [\"status\", \"start\"]`";
        self.add(table, Part::Key, "this container has no `allow`", hint);
    }

    fn stop_timeout(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let duration = self.duration(path, field)?;
        let (what, hint) = if duration.subsec_nanos() != 0 {
            (
                "has a fraction of a second",
                "the engine counts a stop in whole seconds, such as `10s`",
            )
        } else if duration > MAX_STOP_TIMEOUT {
            (
                "is too long",
                "anything from `0s`, which kills it at once, to `1h`",
            )
        } else {
            return Some(duration);
        };
        let shown = humantime::format_duration(duration);
        self.add(path, Part::Value, format!("`{shown}` {what}"), hint);
        None
    }
}
