//! Gathers the mistakes of one reading: knows where each setting comes from, and leaves out the echoes of others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::Figment;

use super::document::{Document, Part, key};
use super::environment::Variable;
use super::hint;
use super::mistake::{Mistake, Place, quoted};
use super::raw::{Field, Root, SETTINGS, TABLES, Unknown, keys, tables_in};

/// The layers in force and what is wrong with them.
pub(super) struct Check<'a> {
    pub(super) document: &'a Document<'a>,
    /// The variable and its text, for each setting that one gives.
    given: BTreeMap<String, (String, String)>,
    /// Whether layers are left out, so that what is missing may be in one of them.
    pub(super) is_partial: bool,
    pub(super) mistakes: Vec<Mistake>,
    /// The other files that were read.
    pub(super) files: Vec<PathBuf>,
}

impl<'a> Check<'a> {
    /// Puts the variables over the file, with later ones over earlier ones.
    pub(super) fn new(
        document: &'a Document<'a>,
        project: Option<&'a Variable>,
        variables: &'a [Variable],
    ) -> (Self, Root) {
        let mut figment = Figment::new();
        if let Some(project) = project {
            figment = figment.merge(project);
        }
        figment = figment.merge(document);
        for variable in variables {
            figment = figment.merge(variable);
        }
        let mut check = Self {
            document,
            given: BTreeMap::new(),
            is_partial: false,
            mistakes: Vec::new(),
            files: Vec::new(),
        };
        for variable in project.into_iter().chain(variables) {
            let giver = figment
                .find_metadata(&variable.key)
                .map(|metadata| metadata.name.as_ref());
            if giver == Some(variable.name.as_str()) {
                check.given.insert(
                    variable.key.clone(),
                    (variable.name.clone(), variable.text.clone()),
                );
            }
        }
        let root = figment.extract().unwrap_or_else(|error: figment::Error| {
            check.mistakes.push(Mistake {
                place: Place::File,
                what: format!("the file is not understood: {error}"),
                key: String::new(),
                hint: String::new(),
            });
            Root::default()
        });
        (check, root)
    }

    /// Notes a mistake about what stands at this path.
    pub(super) fn add(
        &mut self,
        path: &[&str],
        part: Part,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let key = key(path);
        let place = match self.given.get(&key) {
            Some((variable, _)) => Place::Variable(variable.clone()),
            None => match self.document.entry(path).map(|entry| entry.span(part)) {
                Some(span) if self.document.is_broken(&span) => return,
                Some(span) => Place::text(self.document.lines(), span),
                None => Place::File,
            },
        };
        self.mistakes.push(Mistake {
            place,
            what: what.into(),
            key,
            hint: hint.into(),
        });
    }

    /// Notes that a value is of another type than is due.
    pub(super) fn wrong_type(
        &mut self,
        path: &[&str],
        part: Part,
        due: &str,
        hint: impl Into<String>,
    ) {
        let what = format!("expected {due}, found {}", self.found(path, part));
        self.add(path, part, what, hint);
    }

    /// What stands at a path, as it is written.
    pub(super) fn written(&self, path: &[&str]) -> &str {
        match (self.given.get(&key(path)), self.document.entry(path)) {
            (Some((_, text)), _) => text,
            (None, Some(entry)) => self.document.lines().slice(entry.value),
            (None, None) => "",
        }
    }

    /// What stands at a path, in words.
    fn found(&self, path: &[&str], part: Part) -> String {
        if let Some((_, text)) = self.given.get(&key(path)) {
            return quoted(text);
        }
        let entry = self.document.entry(path);
        entry.map_or_else(|| "nothing".to_owned(), |entry| entry.described(part))
    }

    /// The value of a field, if it is there and of the right type.
    pub(super) fn given<T>(
        &mut self,
        path: &[&str],
        field: Field<T>,
        due: &str,
        hint: impl FnOnce(&str) -> String,
    ) -> Option<T> {
        match field {
            Field::Given(value) => Some(value),
            Field::Absent => None,
            Field::Wrong => {
                let hint = hint(self.written(path));
                self.wrong_type(path, Part::Value, due, hint);
                None
            }
        }
    }

    /// A table of settings; an absent one is empty.
    pub(super) fn table<T: Default>(&mut self, name: &str, field: Field<T>) -> T {
        let hint = |_: &str| format!("write `[{name}]` and its settings below it");
        self.given(&[name], field, "a table", hint)
            .unwrap_or_default()
    }

    /// Notes the keys that nobody knows in a table of settings, such as `server` or `server.tls`.
    pub(super) fn unknown_settings(&mut self, table: &str, unknown: &Unknown) {
        let known: Vec<_> = keys(table).chain(tables_in(table)).collect();
        let path: Vec<_> = table.split('.').collect();
        self.unknown(&path, unknown, &known);
    }

    /// Notes the keys that nobody knows in any table.
    pub(super) fn unknown(&mut self, table: &[&str], unknown: &Unknown, known: &[&'static str]) {
        for name in unknown.keys() {
            let path: Vec<&str> = table.iter().copied().chain([name.as_str()]).collect();
            let (what, hint) = self.unknown_key(table, name, known);
            self.add(&path, Part::Key, what, hint);
        }
    }

    /// Whether an unknown table at the top is meant for a container, or for all of them.
    pub(super) fn is_container_table(&self, name: &str) -> bool {
        hint::nearest(name, TABLES) == Some("containers")
            || self.document.entry(&[name, "allow"]).is_some()
    }

    /// The variable that gives a setting.
    pub(super) fn giver(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(|(variable, _)| variable.as_str())
    }

    fn unknown_key(&self, table: &[&str], name: &str, known: &[&'static str]) -> (String, String) {
        let whose = match table {
            [] => "at the top of the file".to_owned(),
            table => format!("in {}", quoted(&format!("[{}]", key(table)))),
        };
        let what = format!("{} is not known {whose}", quoted(name));
        let of_that_name = || SETTINGS.iter().filter(|(_, key, _)| *key == name);
        let here = key(table);
        let is_inside = |owner: &str| owner.split('.').next() == Some(here.as_str());
        let elsewhere = of_that_name()
            .find(|(owner, _, _)| is_inside(owner))
            .or_else(|| of_that_name().next());
        let hint = match (elsewhere, hint::nearest(name, known.iter().copied())) {
            _ if table.is_empty() && self.document.entry(&[name, "allow"]).is_some() => {
                format!(
                    "is it a container? its table is `[containers.{}]`",
                    key(&[name])
                )
            }
            (Some(("", _, _)), _) => {
                "it stands at the top of the file, above the first `[table]`".to_owned()
            }
            (Some((owner, _, _)), _) => format!("it belongs in `[{owner}]`"),
            (None, Some(near)) => hint::did_you_mean(near),
            (None, None) => {
                let all = SETTINGS.iter().filter(|(owner, _, _)| !owner.is_empty());
                let near = hint::nearest(name, all.clone().map(|(_, key, _)| *key));
                match all.clone().find(|(_, key, _)| Some(*key) == near) {
                    Some((owner, near, _)) => {
                        format!("did you mean `{near}`? it belongs in `[{owner}]`")
                    }
                    None => format!("known here: {}", hint::list(known.iter().copied(), "and")),
                }
            }
        };
        (what, hint)
    }
}
