//! The roles: what each permits and forbids, on which containers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::policy::{ContainerName, Facility, Pattern, Principal, Role, Rule, Verbs};

use super::check::Check;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::{self, Field, ROLE_KEYS, Texts};
use super::verbs::{in_brackets, is_rest_of_name};

/// The most roles that a file can have.
const MOST_ROLES: usize = 1000;

/// The roles by name. One with a mistake is there too, so that whoever names it is not told that it is unknown; `None`
/// is what it comes to.
pub(super) type Roles = BTreeMap<String, Option<Arc<Role>>>;

/// What [`Check::roles`] goes by.
pub(super) struct Within<'a> {
    /// What rules call the file.
    pub(super) file: &'a str,
    /// The containers that have a table.
    pub(super) containers: &'a BTreeSet<ContainerName>,
}

impl Check<'_> {
    /// The roles; every mistake in them is noted.
    pub(super) fn roles(
        &mut self,
        within: &Within<'_>,
        field: Field<BTreeMap<String, Field<raw::Role>>>,
    ) -> Roles {
        let hint = |_: &str| "write `[roles.NAME]`, and below it `allow = [\"status\"]`".to_owned();
        let due = "a table for each role";
        let tables = self.given(&["roles"], field, due, hint).unwrap_or_default();
        if tables.len() > MOST_ROLES {
            let what = format!("there are {} roles", tables.len());
            self.add(&["roles"], Part::Key, what, format!("at most {MOST_ROLES}"));
        }
        tables
            .into_iter()
            .map(|(name, table)| {
                let role = self.role(within, &name, table);
                (name, role.map(Arc::new))
            })
            .collect()
    }

    fn role(&mut self, within: &Within<'_>, name: &str, table: Field<raw::Role>) -> Option<Role> {
        let path = ["roles", name];
        // Names of roles and of principals are written alike.
        if let Err(form) = name.parse::<Principal>() {
            let what = format!("{} cannot be a role's name", quoted(name));
            self.add(&path, Part::Key, what, form.to_string());
        }
        let hint = |_: &str| "write `[roles.NAME]`, and below it `allow = [\"status\"]`".to_owned();
        let table = self.given(&path, table, "a table", hint)?;
        self.unknown_in_named(&path, &table.unknown, &ROLE_KEYS);
        let says_nothing = [&table.allow, &table.forbid, &table.gateway]
            .iter()
            .all(|field| matches!(field, Field::Absent));
        if says_nothing && !self.has_misspelt(&path, &table.unknown, &ROLE_KEYS) {
            let what = "this role permits nothing and forbids nothing";
            let hint = "name verbs, such as `allow = [\"status\"]` or `forbid = [\"stop\"]`";
            self.add(&path, Part::Key, what, hint);
        }
        let allow = self.role_verbs(within.file, &["roles", name, "allow"], table.allow);
        let forbid = self.role_verbs(within.file, &["roles", name, "forbid"], table.forbid);
        self.allowed_and_forbidden(name, allow.as_ref(), forbid.as_ref());
        let containers = self.patterns(within, &["roles", name, "containers"], table.containers);
        let gateway = self.gateway(within.file, &["roles", name, "gateway"], table.gateway);
        Some(Role {
            name: name.to_owned(),
            allow,
            forbid,
            containers,
            gateway,
        })
    }

    fn role_verbs(&mut self, file: &str, path: &[&str], field: Field<Texts>) -> Option<Verbs> {
        if matches!(field, Field::Absent) {
            return None;
        }
        let empty = (
            "there is no verb in the list",
            "name the verbs, such as `[\"status\"]`, or remove the line",
        );
        let verbs = self.verbs(path, field, empty)?;
        let rule = self.rule(file, path)?;
        Some(Verbs { verbs, rule })
    }

    /// Forbid wins, so a verb in both lists is forbidden; whoever wrote it may have meant the other.
    fn allowed_and_forbidden(&mut self, name: &str, allow: Option<&Verbs>, forbid: Option<&Verbs>) {
        let (Some(allow), Some(forbid)) = (allow, forbid) else {
            return;
        };
        if let Some(verb) = allow.verbs.iter().find(|verb| forbid.verbs.contains(*verb)) {
            let what = format!("`{verb}` is both allowed and forbidden");
            let hint = "forbid wins over allow; remove one of them";
            self.add(&["roles", name, "forbid"], Part::Value, what, hint);
        }
    }

    fn patterns(
        &mut self,
        within: &Within<'_>,
        path: &[&str],
        field: Field<Texts>,
    ) -> Option<Vec<Pattern>> {
        let due = "a list of container names or patterns";
        let members = self.given(path, field, due, in_brackets)?;
        if members.is_empty() {
            let what = "there is no container in the list";
            let hint = "name some, such as `[\"ffmpeg-*\"]`; without the line the role is about every container";
            self.add(path, Part::Value, what, hint);
        }
        let mut seen = BTreeSet::new();
        let mut patterns = Vec::with_capacity(members.len());
        for (index, member) in members.into_iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = member else {
                self.wrong_type(path, part, "a container's name in quotes", "");
                continue;
            };
            match text.parse::<Pattern>() {
                Err(form) => {
                    let what = format!("{} is no pattern", quoted(&text));
                    self.add(path, part, what, form.to_string());
                }
                Ok(_) if !seen.insert(text.clone()) => self.stands_twice(path, part, &text),
                Ok(pattern) => {
                    if !within.containers.iter().any(|name| pattern.matches(name)) {
                        self.matches_nothing(within, path, part, &text);
                    }
                    patterns.push(pattern);
                }
            }
        }
        Some(patterns)
    }

    fn matches_nothing(&mut self, within: &Within<'_>, path: &[&str], part: Part, text: &str) {
        let names = || within.containers.iter().map(ContainerName::as_str);
        let hint = match hint::nearest(text, names()) {
            Some(near) => hint::did_you_mean(near),
            None if names().next().is_none() => String::new(),
            None => format!("the containers are {}", hint::list(names().take(10), "and")),
        };
        let what = format!("no container that is managed here matches {}", quoted(text));
        self.add(path, part, what, hint);
    }

    fn gateway(
        &mut self,
        file: &str,
        path: &[&str],
        field: Field<Texts>,
    ) -> Option<(Vec<Facility>, Rule)> {
        let words = Facility::ALL.map(Facility::as_str);
        let members = self.given(path, field, "a list of words in quotes", in_brackets)?;
        if members.is_empty() {
            let hint = format!("name {}, or remove the line", hint::list(words, "or"));
            self.add(path, Part::Value, "there is nothing in the list", hint);
        }
        let mut facilities = Vec::new();
        for (index, member) in members.into_iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = member else {
                self.wrong_type(path, part, "a word in quotes", "");
                continue;
            };
            let known = Facility::ALL
                .into_iter()
                .find(|known| known.as_str() == text);
            match known {
                Some(facility) if facilities.contains(&facility) => {
                    self.stands_twice(path, part, &text);
                }
                Some(facility) => facilities.push(facility),
                None => {
                    let what = format!("the gateway has no {} to permit", quoted(&text));
                    let hint = format!("it has {}", hint::list(words, "and"));
                    self.add(path, part, what, hint);
                }
            }
        }
        let rule = self.rule(file, path)?;
        Some((facilities, rule))
    }

    /// Whether a table may have one of these keys after all: spelled wrong, or lost to a syntax mistake.
    pub(super) fn has_misspelt(
        &self,
        table: &[&str],
        unknown: &raw::Unknown,
        keys: &[&'static str],
    ) -> bool {
        unknown.iter().any(|(key, value)| {
            hint::nearest(key, keys.iter().copied()).is_some() || is_rest_of_name(key, value)
        }) || self.document.is_section_broken(table)
    }
}
