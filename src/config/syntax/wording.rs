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

/// Any other mistake: `message` is the parser's, `at` its place, `value` the one that it is in.
pub(super) fn told(
    message: &str,
    at: Range<usize>,
    lines: &Lines<'_>,
    value: Option<Range<usize>>,
) -> Told {
    let starts = |prefix: &str| message.starts_with(prefix);
    if let Some(told) = value.and_then(|value| in_value(message, &at, lines, value)) {
        return told;
    }
    let (what, hint) = if starts("unclosed table") || starts("unclosed array table") {
        (
            "the closing `]` of this table's name is missing",
            "a table begins with its name in brackets, such as `[server]`",
        )
    } else if starts("unexpected key or value") || starts("unexpected content") {
        (
            "there is something more on this line",
            "each setting and each `[table]` has a line of its own",
        )
    } else if starts("key with no value") {
        (
            "there is no `=` on this line",
            "a setting is written `key = value`",
        )
    } else if starts("invalid key-value pair") {
        (
            "this is neither a `[table]` nor a setting",
            "a setting is written `key = value`",
        )
    } else if starts("missing comma") {
        (
            "the comma before this is missing",
            "write a comma between the members, as in `[\"start\", \"stop\"]`",
        )
    } else if starts("extra comma") {
        ("there is a comma too many", "remove it")
    } else if starts("unquoted keys cannot be empty") {
        (
            "a name is missing here",
            "an empty name is no name; `[table]` and `key = value` need one",
        )
    } else if starts("invalid unquoted key") {
        (
            "this cannot stand in a key",
            "a key has letters, digits, `-` and `_`; `=` separates it from the value",
        )
    } else if starts("cannot recurse further") {
        (
            "lists or tables are nested too deeply",
            "no setting needs more than a list of texts",
        )
    } else if starts("invalid comment character") {
        ("a control character stands in this comment", "remove it")
    } else {
        let plain = message.split(", expected").next().unwrap_or(message);
        return Told {
            span: at,
            what: format!("this is not valid TOML: {plain}"),
            hint: String::new(),
        };
    };
    Told {
        span: at,
        what: what.to_owned(),
        hint: hint.to_owned(),
    }
}

/// A mistake within text or a bare word.
fn in_value(
    message: &str,
    at: &Range<usize>,
    lines: &Lines<'_>,
    value: Range<usize>,
) -> Option<Told> {
    let text = lines.slice(value.clone());
    let tell = |span: Range<usize>, what: String, hint: &str| {
        Some(Told {
            span,
            what,
            hint: hint.to_owned(),
        })
    };
    if text.is_empty() {
        return tell(
            value,
            "the value after `=` is missing".to_owned(),
            "a setting is written `key = value`",
        );
    }
    if text.starts_with(['"', '\'']) {
        let mark = text.get(..1).unwrap_or_default();
        let wrong = lines.slice(at.clone());
        if at.end >= value.end && wrong.is_empty() && !message.contains("escaped") {
            return tell(
                value,
                "the closing quote is missing".to_owned(),
                &format!("add {mark} at the end of the text"),
            );
        }
        if wrong.chars().any(char::is_control) {
            return tell(
                at.clone(),
                "a control character stands in this text".to_owned(),
                "remove it",
            );
        }
        if message.contains("escape") || message.contains("unicode") {
            let hint = "write a backslash as `\\\\`, or put the text in single quotes";
            return tell(
                at.start.saturating_sub(1)..at.end,
                "after a backslash only certain letters have a meaning".to_owned(),
                hint,
            );
        }
        return None;
    }
    if text.starts_with(['[', '{']) {
        let wrong = lines.slice(at.clone());
        let bare = wrong.chars().next().is_some_and(char::is_alphanumeric);
        return bare.then(|| bare_word(wrong, at.clone()));
    }
    Some(bare_word(text, value))
}

fn bare_word(text: &str, span: Range<usize>) -> Told {
    let number = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '_' | '+' | '-'));
    let hint = if number {
        "a number is written with digits alone, such as `100`".to_owned()
    } else {
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
