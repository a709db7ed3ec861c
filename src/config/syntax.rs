//! Syntax: every mistake of it at once, one a line, and what is left of the text without them.
//!
//! The parser recovers from mistakes, but loses its way after some: an unclosed list swallows all that follows. So the
//! first mistake is noted, its lines are blanked, and the rest is parsed again, until nothing is wrong with it.

mod wording;

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::lines::Lines;
use super::mistake::{Mistake, Place, quoted};

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
    while let Some((mistake, spoiled)) = first(lines, &mut checked) {
        checked.mistakes.push(mistake);
        let spoiled = if checked.mistakes.len() < MOST {
            spoiled
        } else {
            spoiled.start..lines.count() + 1
        };
        checked.blank(lines, spoiled);
    }
    checked
}

impl Checked {
    /// Every offset after the blanks stays what it was.
    fn blank(&mut self, lines: &Lines<'_>, spoiled: Range<usize>) {
        let bytes = lines.start(spoiled.start)..lines.start(spoiled.end);
        let blanks: String = lines
            .slice(bytes.clone())
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
            .collect();
        if self.text.get(bytes.clone()).is_some() {
            self.text.replace_range(bytes, &blanks);
        }
        self.broken.extend(spoiled);
    }
}

/// The first mistake in what is left, and the lines that it spoils. When none is left, what stands twice is noted.
fn first(lines: &Lines<'_>, checked: &mut Checked) -> Option<(Mistake, Range<usize>)> {
    let (tree, errors) = DeTable::parse_recoverable(&checked.text);
    let (twice, mut errors): (Vec<_>, Vec<_>) = errors
        .into_iter()
        .partition(|error| error.message() == TWICE);
    errors.sort_by_key(|error| span(error).start);
    let Some(error) = errors.first() else {
        for error in &twice {
            checked.broken.insert(lines.number(span(error).start));
            checked.mistakes.push(repeated(lines, span(error)));
        }
        return None;
    };
    let at = span(error);
    // The parser is sometimes wrong only past the end of what is left; its last line is where the fault lies.
    let line = (1..=lines.number(at.start)).rev().find(|line| {
        let bytes = lines.start(*line)..lines.start(line + 1);
        checked
            .text
            .get(bytes)
            .is_some_and(|left| !left.trim().is_empty())
    })?;
    let value = enclosing(&checked.text, tree.get_ref(), at.start);
    let (told, spoiled) = match value {
        Some(value) if errors.iter().any(|error| is_open_end(error, &value)) => {
            let first = lines.number(value.start);
            (
                wording::unclosed(lines.slice(value.clone()), value.start),
                first..next_setting(lines, first),
            )
        }
        Some(value) => {
            let spoiled = lines.number(value.start)..lines.number(value.end) + 1;
            (
                wording::told(error.message(), at, lines, Some(value)),
                spoiled,
            )
        }
        None => {
            let end = if lines.header(line).is_some() {
                lines.header_below(line)
            } else {
                line + 1
            };
            (wording::told(error.message(), at, lines, None), line..end)
        }
    };
    let mistake = Mistake {
        key: key_at(lines, lines.number(told.span.start)),
        place: Place::text(lines, told.span),
        what: told.what,
        hint: told.hint,
    };
    Some((mistake, spoiled))
}

fn span(error: &Error) -> Range<usize> {
    error.span().unwrap_or_default()
}

/// Whether the parser came to the end of the file in search of this value's end.
fn is_open_end(error: &Error, value: &Range<usize>) -> bool {
    let message = error.message();
    let open = message.starts_with("unclosed array")
        || message.starts_with("unclosed inline table")
        || message.starts_with("invalid multi-line");
    open && span(error).end == value.end
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

/// The parser merges what stands twice, so the tree no longer tells where the first one was; the text does.
fn repeated(lines: &Lines<'_>, span: Range<usize>) -> Mistake {
    let line = lines.number(span.start);
    let key = key_at(lines, line);
    let (what, hint) = if let Some(header) = lines.header(line) {
        let first = (1..line).find(|line| lines.header(*line) == Some(header));
        let what = format!("the table {} stands twice", quoted(&format!("[{header}]")));
        (
            what,
            first.map(|first| format!("it begins on line {first}; put both together")),
        )
    } else {
        let word = lines.slice(span.clone());
        let top = lines.header_above(line).unwrap_or(1);
        let first = (top..line).find(|line| lines.key(*line).is_some_and(|key| key == word));
        let what = format!("{} is set twice", quoted(word));
        (
            what,
            first.map(|first| format!("it is set on line {first}; keep one of them")),
        )
    };
    Mistake {
        place: Place::text(lines, span),
        what,
        key,
        hint: hint.unwrap_or_else(|| "it is set above already; keep one of them".to_owned()),
    }
}
