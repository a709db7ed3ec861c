//! The parser's messages in words for people who have never heard of its grammar.

use std::ops::Range;

use crate::config::lines::Lines;
use crate::config::mistake::quoted;

/// A mistake as it is told.
pub(super) struct Told {
    pub(super) span: Range<usize>,
    pub(super) what: String,
    pub(super) hint: String,
}

const SETTING: &str = "a setting is written `key = value`";

/// How the parser begins a message, what is said instead, and what to do.
const WORDS: [(&str, &str, &str); 13] = [
    (
        "unclosed table",
        "the closing `]` of this table's name is missing",
        "a table begins with its name in brackets, such as `[server]`",
    ),
    (
        "unclosed array table",
        "the closing `]]` of this table's name is missing",
        "a table begins with its name in brackets, such as `[server]`",
    ),
    (
        "unexpected key or value",
        "there is something more on this line",
        "each setting and each `[table]` has a line of its own",
    ),
    ("key with no value", "there is no `=` on this line", SETTING),
    (
        "invalid key-value pair",
        "this is neither a `[table]` nor a setting",
        SETTING,
    ),
    (
        "missing table open",
        "this is neither a `[table]` nor a setting",
        SETTING,
    ),
    (
        "missing comma",
        "the comma before this is missing",
        "write a comma between the members, as in `[\"start\", \"stop\"]`",
    ),
    ("extra comma", "there is a comma too many", "remove it"),
    (
        "missing opening quote",
        "the opening quote is missing",
        "text stands in quotes, such as `\"text\"`",
    ),
    (
        "unquoted keys cannot be empty",
        "a name is missing here",
        "an empty name is no name; `[table]` and `key = value` need one",
    ),
    (
        "invalid unquoted key",
        "this cannot stand in a key",
        "a key has letters, digits, `-` and `_`; `=` separates it from the value",
    ),
    (
        "cannot recurse further",
        "lists or tables are nested too deeply",
        "no setting needs more than a list of texts",
    ),
    (
        "invalid comment character",
        "a control character stands in this comment",
        "remove it",
    ),
];

/// Whether the parser says this of one member of a list, whatever is wrong with the others.
pub(super) fn is_of_member(message: &str) -> bool {
    [
        "string values must be quoted",
        "invalid boolean",
        "missing comma",
        "extra comma",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// A value that goes on to the end of the file.
pub(super) fn unclosed(value: &str, start: usize) -> Told {
    let (opening, what, closing) = match value.get(..3) {
        Some("\"\"\"") => (3, "text", "\"\"\""),
        Some("'''") => (3, "text", "'''"),
        _ if value.starts_with('{') => (1, "table", "}"),
        _ => (1, "list", "]"),
    };
    Told {
        span: start..start + opening,
        what: format!("this {what} is never closed"),
        hint: format!("add the missing `{closing}`"),
    }
}

/// A text on one line that lacks its closing quote.
pub(super) fn open_quote(message: &str, at: &Range<usize>, lines: &Lines<'_>) -> Option<Told> {
    let quote = match message {
        message if message.starts_with("invalid basic string") => '"',
        message if message.starts_with("invalid literal string") => '\'',
        _ => return None,
    };
    let line = lines.start(lines.number(at.start));
    let before = lines.slice(line..at.start);
    let start = line + before.rfind(quote).filter(|_| at.is_empty())?;
    Some(Told {
        span: start..at.end,
        what: "the closing quote is missing".to_owned(),
        hint: format!("add {quote} at the end of the text"),
    })
}

/// Any other mistake: `message` is the parser's, `at` its place, `value` the one that it is in.
pub(super) fn told(
    message: &str,
    at: Range<usize>,
    lines: &Lines<'_>,
    value: Option<Range<usize>>,
) -> Told {
    let in_value = value.and_then(|value| match lines.slice(value.clone()).chars().next() {
        None => Some(missing_value(value)),
        Some('"' | '\'') => {
            open_quote(message, &at, lines).or_else(|| in_text(message, &at, lines))
        }
        Some('[' | '{') => bare_member(&at, lines),
        Some(_) => Some(bare_word(lines.slice(value.clone()), value)),
    });
    if let Some(told) = in_value {
        return told;
    }
    let known = WORDS.iter().find(|(start, ..)| message.starts_with(start));
    let (what, hint) = known.map_or_else(
        || {
            let plain = message.split(", expected").next().unwrap_or(message);
            (format!("this is not valid TOML: {plain}"), String::new())
        },
        |(_, what, hint)| ((*what).to_owned(), (*hint).to_owned()),
    );
    Told {
        span: at,
        what,
        hint,
    }
}

fn missing_value(span: Range<usize>) -> Told {
    Told {
        span,
        what: "the value after `=` is missing".to_owned(),
        hint: SETTING.to_owned(),
    }
}

fn in_text(message: &str, at: &Range<usize>, lines: &Lines<'_>) -> Option<Told> {
    let (span, what, hint) = if lines.slice(at.clone()).chars().any(char::is_control) {
        let what = "a control character stands in this text";
        (at.clone(), what, "remove it")
    } else if message.contains("escape") || message.contains("unicode") {
        let what = "after a backslash only certain letters have a meaning";
        let hint = "write a backslash as `\\\\`, or put the text in single quotes";
        (at.start.saturating_sub(1)..at.end, what, hint)
    } else {
        return None;
    };
    Some(Told {
        span,
        what: what.to_owned(),
        hint: hint.to_owned(),
    })
}

fn bare_member(at: &Range<usize>, lines: &Lines<'_>) -> Option<Told> {
    let word = lines.slice(at.clone());
    let is_bare = word.starts_with(char::is_alphanumeric);
    is_bare.then(|| bare_word(word, at.clone()))
}

fn bare_word(text: &str, span: Range<usize>) -> Told {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '_' | '+' | '-');
    let hint = if text.chars().all(is_number) {
        "a number is written with digits alone, such as `100`".to_owned()
    } else {
        // A word processor's quotes look right to whoever pasted them.
        let curly = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}'];
        let kind = if text.contains(curly) {
            "straight quotes"
        } else {
            "quotes"
        };
        let inside = text.trim_matches(curly).replace(['"', '\\'], "");
        format!("text stands in {kind}; write `\"{inside}\"`")
    };
    Told {
        span,
        what: format!("{} is no value", quoted(text)),
        hint,
    }
}
