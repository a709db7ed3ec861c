//! What tables with a name have in common: lists of verbs, the rules that they make, and names with a dot in them.

use figment::value::Value;

use crate::policy::{Rule, Verb, VerbSet};

use super::check::Check;
use super::document::{Part, key};
use super::hint;
use super::mistake::quoted;
use super::raw::{Field, Texts, Unknown};

impl Check<'_> {
    /// A list of verbs; `empty` says what is wrong with one that has none, and what to do.
    pub(super) fn verbs(
        &mut self,
        path: &[&str],
        field: Field<Texts>,
        empty: (&str, &str),
    ) -> Option<VerbSet> {
        let verbs = self.given(path, field, "a list of verbs", in_brackets)?;
        if verbs.is_empty() {
            self.add(path, Part::Value, empty.0, empty.1);
        }
        let mut set = VerbSet::default();
        for (index, verb) in verbs.iter().enumerate() {
            let part = Part::Element(index);
            let Field::Given(text) = verb else {
                self.wrong_type(path, part, "a verb in quotes", "");
                continue;
            };
            match text.parse::<Verb>() {
                Ok(verb) if set.insert(verb) => {}
                Ok(_) => self.stands_twice(path, part, text),
                Err(_) => {
                    let what = format!("{} is no verb", quoted(text));
                    self.add(path, part, what, verbs_like(text));
                }
            }
        }
        Some(set)
    }

    /// Notes that a member of a list is there already.
    pub(super) fn stands_twice(&mut self, path: &[&str], part: Part, text: &str) {
        let what = format!("{} stands twice", quoted(text));
        self.add(path, part, what, "remove one of them");
    }

    /// The rule that stands at this path; `file` is what rules call the file.
    pub(super) fn rule(&self, file: &str, path: &[&str]) -> Option<Rule> {
        let lines = self.document.lines();
        let at = self.document.entry(path)?.key.start;
        let place = format!("{file}:{}:{}", lines.number(at), lines.column(at));
        Some(Rule::new(&key(path), &place))
    }

    /// A dot in a name that stands without quotes begins a table within the table, which nobody means.
    pub(super) fn unknown_in_named(
        &mut self,
        path: &[&str],
        unknown: &Unknown,
        known: &[&'static str],
    ) {
        let (dotted, others): (Unknown, Unknown) = unknown
            .clone()
            .into_iter()
            .partition(|(key, value)| is_rest_of_name(key, value));
        let (kind, first) = match path {
            [kind, first] => (*kind, *first),
            _ => ("", ""),
        };
        let one = kind.strip_suffix('s').unwrap_or(kind);
        for name in dotted.keys() {
            let what = format!("{} is not known in a {one}'s table", quoted(name));
            let hint =
                format!("a name with a dot in it stands in quotes: `[{kind}.\"{first}.{name}\"]`");
            self.add(&[path, &[name]].concat(), Part::Key, what, hint);
        }
        self.unknown(path, &others, known);
    }
}

/// What to write where a list is due.
pub(super) fn in_brackets(text: &str) -> String {
    if text.starts_with(['"', '\'']) {
        format!("write `[{text}]`")
    } else {
        String::new()
    }
}

/// Whether an unknown key is in truth the second half of a name.
pub(super) fn is_rest_of_name(key: &str, value: &Value) -> bool {
    hint::nearest(key, ["exec"]).is_none() && value.as_dict().is_some()
}

fn verbs_like(text: &str) -> String {
    let verbs = Verb::ALL.map(Verb::as_str);
    match hint::nearest(text, verbs) {
        Some(near) => hint::did_you_mean(near),
        None => format!("the verbs are {}", hint::list(verbs, "and")),
    }
}
