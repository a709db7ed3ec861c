//! The TOML tree with the place of every key and value in the text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use figment::value::{Dict, Empty, Map, Tag, Value};
use figment::{Error, Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::mistake::quoted;

/// What was left of the file after its syntax mistakes were taken out.
pub(super) struct Document<'a> {
    lines: &'a Lines<'a>,
    tree: DeValue<'a>,
    broken: BTreeSet<usize>,
}

/// The part of an entry that a mistake is about.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Key,
    Value,
    /// A member of a list, by its place in it.
    Element(usize),
}

/// A key with its value.
pub(super) struct Entry<'a> {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) node: &'a DeValue<'a>,
}

impl<'a> Document<'a> {
    /// `text` is that of `lines` with the broken ones blanked, so that both have the same offsets.
    pub(super) fn new(lines: &'a Lines<'a>, text: &'a str, broken: BTreeSet<usize>) -> Self {
        let (tree, _reported_before) = DeTable::parse_recoverable(text);
        Self {
            lines,
            tree: DeValue::Table(tree.into_inner()),
            broken,
        }
    }

    pub(super) const fn lines(&self) -> &'a Lines<'a> {
        self.lines
    }

    /// Whether the syntax was right everywhere.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether part of this text had a syntax mistake: what else looks wrong there is only its echo.
    pub(super) fn is_broken(&self, span: &Range<usize>) -> bool {
        let (first, last) = (self.lines.number(span.start), self.lines.number(span.end));
        self.broken.range(first..=last).next().is_some()
    }

    /// Whether a syntax mistake may have swallowed keys of this table.
    pub(super) fn is_section_broken(&self, table: &[&str]) -> bool {
        let Some(entry) = self.entry(table) else {
            return false;
        };
        let first = self.lines.number(entry.key.start);
        let next = self.lines.header_below(first);
        self.broken.range(first..next).next().is_some()
    }

    /// The keys of the table at this path.
    pub(super) fn keys(&self, path: &[&str]) -> impl Iterator<Item = &str> {
        let table = match self.entry(path).map(|entry| entry.node) {
            Some(DeValue::Table(table)) => Some(table),
            Some(_) | None => None,
        };
        let keys = table.into_iter().flat_map(|table| table.keys());
        keys.map(|key| key.get_ref().as_ref())
    }

    /// What stands at this path of keys.
    pub(super) fn entry(&self, path: &[&str]) -> Option<Entry<'_>> {
        let (last, tables) = path.split_last()?;
        let mut node = &self.tree;
        for key in tables {
            let DeValue::Table(table) = node else {
                return None;
            };
            node = table.get(*key)?.get_ref();
        }
        let DeValue::Table(table) = node else {
            return None;
        };
        let (key, value) = table.get_key_value(*last)?;
        Some(Entry {
            key: key.span(),
            value: value.span(),
            node: value.get_ref(),
        })
    }
}

impl Entry<'_> {
    /// Where a part of it stands.
    pub(super) fn span(&self, part: Part) -> Range<usize> {
        match part {
            Part::Key => self.key.clone(),
            Part::Value => self.value.clone(),
            Part::Element(index) => {
                let element = self.node.get(index);
                element.map_or_else(|| self.value.clone(), toml::Spanned::span)
            }
        }
    }

    /// A part of it in the words of a message.
    pub(super) fn described(&self, part: Part) -> String {
        match part {
            Part::Key | Part::Value => described(self.node),
            Part::Element(index) => described(
                self.node
                    .get(index)
                    .map_or(self.node, toml::Spanned::get_ref),
            ),
        }
    }
}

/// A value in the words of a message.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", quoted(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", quoted(number.as_str())),
        DeValue::Boolean(word) => format!("the word `{word}`"),
        DeValue::Datetime(date) => format!("the date `{date}`"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A path as it is written in the file.
pub(super) fn key(path: &[&str]) -> String {
    let bare = |key: &str| {
        !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let written = |key: &&str| match *key {
        key if bare(key) => key.to_owned(),
        key => format!("{key:?}"),
    };
    path.iter().map(written).collect::<Vec<_>>().join(".")
}

impl Provider for Document<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("file")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(value(&self.tree).into_dict().unwrap_or_default()))
    }
}

/// The tree without its places. What no setting can be (a date, a number beyond all bounds) becomes an empty value,
/// which is of the wrong type for every key.
fn value(node: &DeValue<'_>) -> Value {
    let nothing = Value::Empty(Tag::Default, Empty::Unit);
    match node {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(nothing, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(nothing, Value::from),
        DeValue::Boolean(word) => (*word).into(),
        DeValue::Datetime(_) => nothing,
        DeValue::Array(array) => array
            .iter()
            .map(|element| value(element.get_ref()))
            .collect::<Vec<_>>()
            .into(),
        DeValue::Table(table) => {
            let entry = |(key, node): (&toml::Spanned<_>, &toml::Spanned<_>)| -> (String, Value) {
                let key: &Cow<'_, str> = key.get_ref();
                (key.clone().into_owned(), value(node.get_ref()))
            };
            table.iter().map(entry).collect::<Dict>().into()
        }
    }
}
