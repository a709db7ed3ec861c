//! Syntax: every mistake of it at once, one a line, and what is left of the text without them.
//!
//! The parser recovers from mistakes, but loses its way after some: an unclosed list swallows all that follows. So the
//! first mistake is noted, its lines are blanked, and the rest is parsed again, until nothing is wrong with it.

mod wording;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::lines::Lines;
use super::mistake::{Mistake, Place, quoted};
use wording::Told;

/// After so many the file is no TOML, and each further one would only repeat that.
const MOST: usize = 50;

/// The parser's word for a key or table that stands twice. It is the one mistake that spoils nothing around it.
const TWICE: &str = "duplicate key";

/// A text without its syntax mistakes.
pub(super) struct Checked {
    /// As long as the original, with blanks where mistakes were.
    pub(super) text: String,
    /// The lines that were blanked, or that repeat others.
    pub(super) broken: BTreeSet<usize>,
    pub(super) mistakes: Vec<Mistake>,
}

pub(super) fn check(lines: &Lines<'_>) -> Checked {
    let mut checked = Checked {
        text: lines.text().to_owned(),
        broken: BTreeSet::new(),
        mistakes: Vec::new(),
    };
    loop {
        let (fault, twice) = parse(lines, &checked.text);
        let Some(fault) = fault else {
            checked.note_repeats(lines, &twice);
            return checked;
        };
        checked
            .mistakes
            .extend(fault.told.into_iter().map(|told| Mistake {
                key: fault.key.clone(),
                place: Place::text(lines, told.span),
                what: told.what,
                hint: told.hint,
            }));
        let is_hopeless = checked.mistakes.len() >= MOST;
        let end = if is_hopeless {
            lines.count() + 1
        } else {
            fault.spoiled.end
        };
        checked.blank(lines, fault.spoiled.start..end);
    }
}

impl Checked {
    /// Every offset after the blanks stays what it was.
    fn blank(&mut self, lines: &Lines<'_>, spoiled: Range<usize>) {
        let bytes = lines.start(spoiled.start)..lines.start(spoiled.end);
        let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
        let blanks: String = lines.slice(bytes.clone()).bytes().map(blank).collect();
        if self.text.get(bytes.clone()).is_some() {
            self.text.replace_range(bytes, &blanks);
        }
        self.broken.extend(spoiled);
    }

    /// The parser merges what stands twice, so the tree no longer tells where the first one was; the text does.
    fn note_repeats(&mut self, lines: &Lines<'_>, twice: &[Range<usize>]) {
        let mut first = BTreeMap::new();
        if !twice.is_empty() {
            for line in 1..=lines.count() {
                first.entry(key_at(lines, line)).or_insert(line);
            }
        }
        for span in twice {
            let line = lines.number(span.start);
            let key = key_at(lines, line);
            let first = first.get(&key).copied().filter(|first| *first < line);
            self.mistakes
                .push(repeated(lines, span.clone(), key, first));
            self.broken.insert(line);
        }
    }
}

/// What is wrong with one line or value, and the lines that must go so that the rest can be read.
struct Fault {
    told: Vec<Told>,
    key: String,
    spoiled: Range<usize>,
}

/// The first fault in a text, and what stands twice in it.
fn parse(lines: &Lines<'_>, text: &str) -> (Option<Fault>, Vec<Range<usize>>) {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let (twice, mut errors): (Vec<_>, Vec<_>) = errors
        .into_iter()
        .partition(|error| error.message() == TWICE);
    errors.sort_by_key(|error| span(error).start);
    let fault = errors.first().and_then(|first| {
        let value = enclosing(text, tree.get_ref(), span(first).start);
        match value {
            Some(value) => Some(in_value(lines, &value, &errors)),
            None => on_line(lines, text, first),
        }
    });
    (fault, twice.iter().map(span).collect())
}

fn in_value(lines: &Lines<'_>, value: &Range<usize>, errors: &[Error]) -> Fault {
    let line = lines.number(value.start);
    let key = key_at(lines, line);
    let text = lines.slice(value.clone());
    let is_open = errors.iter().any(|error| is_open_end(error, value, text));
    let mut inside = errors
        .iter()
        .filter(|error| value.start <= span(error).start && span(error).start <= value.end);
    if is_open {
        // A quote that is never closed hides the bracket after it.
        let quote =
            inside.find_map(|error| wording::open_quote(error.message(), &span(error), lines));
        return Fault {
            told: vec![quote.unwrap_or_else(|| wording::unclosed(text, value.start))],
            key,
            spoiled: line..next_setting(lines, line),
        };
    }
    // The members of a list are wrong each by itself; what else follows a mistake is its echo.
    let first = inside.next().into_iter();
    let members = inside.filter(|error| wording::is_of_member(error.message()));
    let mut told: Vec<Told> = first
        .chain(members)
        .map(|error| wording::told(error.message(), span(error), lines, Some(value.clone())))
        .collect();
    told.dedup_by_key(|told| told.span.start);
    Fault {
        told,
        key,
        spoiled: line..lines.number(value.end) + 1,
    }
}

fn on_line(lines: &Lines<'_>, text: &str, error: &Error) -> Option<Fault> {
    // The parser is sometimes wrong only past the end of what is left; its last line is where the fault lies.
    let line = (1..=lines.number(span(error).start)).rev().find(|line| {
        let left = text.get(lines.start(*line)..lines.start(line + 1));
        left.is_some_and(|left| !left.trim().is_empty())
    })?;
    // Under a broken header, keys would be taken for those of the table above.
    let end = if lines.header(line).is_some() {
        lines.header_below(line)
    } else {
        line + 1
    };
    let told = vec![wording::told(error.message(), span(error), lines, None)];
    Some(Fault {
        told,
        key: key_at(lines, line),
        spoiled: line..end,
    })
}

fn span(error: &Error) -> Range<usize> {
    error.span().unwrap_or_default()
}

/// Whether the parser came to the end of the file in search of this value's end.
fn is_open_end(error: &Error, value: &Range<usize>, text: &str) -> bool {
    let is_at_end = span(error).end == value.end;
    match error.message() {
        message if message.starts_with("unclosed array") => is_at_end,
        message if message.starts_with("unclosed inline table") => {
            is_at_end || text.starts_with('{') && !text.ends_with('}')
        }
        message => message.starts_with("invalid multi-line") && is_at_end,
    }
}

/// The whole value that this byte is in or at the end of, looking into tables that stand under a header.
fn enclosing(text: &str, table: &DeTable<'_>, offset: usize) -> Option<Range<usize>> {
    table.iter().find_map(|(_, value)| {
        let span = value.span();
        let opening = text.get(span.clone()).and_then(|text| text.chars().next());
        match (value.get_ref(), opening) {
            (DeValue::Table(inner), opening) if opening != Some('{') => {
                enclosing(text, inner, offset)
            }
            _ => (span.start <= offset && offset <= span.end).then_some(span),
        }
    })
}

/// The line at which people would take up reading after a value that is never closed.
fn next_setting(lines: &Lines<'_>, first: usize) -> usize {
    (first + 1..=lines.count())
        .find(|line| lines.key(*line).is_some() || lines.header(*line).is_some())
        .unwrap_or(lines.count() + 1)
}

/// The key that is set, or the table that is opened, on this line.
fn key_at(lines: &Lines<'_>, line: usize) -> String {
    if let Some(header) = lines.header(line) {
        return header.to_owned();
    }
    let Some(key) = lines.key(line) else {
        return String::new();
    };
    let header = lines.header_above(line).and_then(|line| lines.header(line));
    header.map_or_else(|| key.to_owned(), |header| format!("{header}.{key}"))
}

fn repeated(lines: &Lines<'_>, span: Range<usize>, key: String, first: Option<usize>) -> Mistake {
    let word = lines.slice(span.clone());
    let (what, hint) = match (lines.header(lines.number(span.start)), first) {
        (Some(header), first) => (
            format!("the table {} stands twice", quoted(&format!("[{header}]"))),
            first.map_or_else(
                || "put both together".to_owned(),
                |first| format!("it begins on line {first}; put both together"),
            ),
        ),
        (None, Some(first)) => (
            format!("{} is set twice", quoted(word)),
            format!("it is set on line {first}; keep one of them"),
        ),
        (None, None) => (
            format!("{} is set twice", quoted(word)),
            "keep one of them".to_owned(),
        ),
    };
    Mistake {
        place: Place::text(lines, span),
        what,
        key,
        hint,
    }
}
