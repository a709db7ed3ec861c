//! What is shown, and on which stream: results on standard output, all else on standard error.

use std::io::{self, IsTerminal, Write};

use bytes::Bytes;
use serde_json::json;

use super::failure::Failure;
use super::table::Table;
use super::text::plain_json;
use super::token::variable;

/// How results are shown.
pub(super) struct Output {
    /// As the gateway's own JSON, one text a line.
    pub(super) is_json: bool,
    /// Whether standard output is a terminal that can be drawn on.
    pub(super) is_screen: bool,
    is_coloured: bool,
}

impl Output {
    /// How this process's streams take it.
    pub(super) fn new(is_json: bool) -> Self {
        let is_screen = io::stdout().is_terminal() && !is_dumb();
        Self {
            is_json,
            is_screen,
            is_coloured: is_screen && variable("NO_COLOR").is_none(),
        }
    }

    /// Shows a table.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(super) fn table(&self, table: &Table) -> Result<(), Failure> {
        let lines = self.lines(table);
        self.text(&(lines.join("\n") + "\n"))
    }

    /// The lines of a table as they are shown.
    pub(super) fn lines(&self, table: &Table) -> Vec<String> {
        table.lines(self.is_coloured)
    }

    /// Shows text as it is.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    #[expect(
        clippy::unused_self,
        reason = "who has this may write to standard output"
    )]
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        bytes(&mut io::stdout().lock(), text.as_bytes())
    }

    /// Shows a JSON text of the gateway's as it came, in one line that a terminal only shows.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(super) fn json(&self, text: &Bytes) -> Result<(), Failure> {
        self.text(&(one_line(text) + "\n"))
    }

    /// Says what went wrong, and gives the exit code.
    pub(super) fn complain(&self, about: Option<&str>, failure: &Failure) -> u8 {
        if failure.is_quiet() {
            return failure.code();
        }
        let told = failure.to_string();
        let about = match about {
            // Most refusals name the container.
            Some(about) if !names(&told, about) => format!("{about}: "),
            Some(_) | None => String::new(),
        };
        let line = match (self.is_json, failure.document()) {
            (false, _) => format!("error: {about}{told}\n"),
            (true, Some(document)) => one_line(document) + "\n",
            (true, None) => json!({ "error": format!("{about}{told}") }).to_string() + "\n",
        };
        note(&line);
        failure.code()
    }

    /// Says something beside the result; to people only.
    pub(super) fn remark(&self, line: &str) {
        if !self.is_json {
            note(&format!("{line}\n"));
        }
    }
}

/// Writes all of it at once.
///
/// # Errors
///
/// Where it cannot be written.
pub(super) fn bytes(to: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    to.write_all(bytes)
        .and_then(|()| to.flush())
        .map_err(Failure::Output)
}

/// Says something on standard error, where somebody listens.
pub(super) fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    let _unread = stderr.write_all(text.as_bytes());
}

/// Whether a text has this name in it as a whole word.
fn names(text: &str, name: &str) -> bool {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-');
    text.split(is_end)
        .any(|word| word.trim_end_matches('.') == name)
}

/// Whether the terminal can do no more than show characters.
pub(super) fn is_dumb() -> bool {
    variable("TERM").is_none_or(|term| term == "dumb")
}

/// A JSON text has no ends of lines but between its parts, where they mean nothing.
fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let parts = text.split(['\r', '\n']).map(str::trim);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    plain_json(&parts.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{names, one_line};

    #[test]
    fn names_are_words() {
        for (text, expected) in [
            ("Container not found: muxer", true),
            ("Forbidden: stop is not allowed on muxer.", true),
            ("muxer is cooling down: try again in 2s", true),
            ("Container not found: muxer-2", false),
            ("Container not found: the.muxer", false),
            ("Container already running", false),
            ("", false),
        ] {
            assert_eq!(names(text, "muxer"), expected, "{text}");
        }
    }

    #[test]
    fn a_json_text_is_one_line() {
        for (text, expected) in [
            ("{\"a\":1}", "{\"a\":1}"),
            ("\n{\r\n  \"a\": 1\n}\n", "{ \"a\": 1 }"),
            ("{\"a\":\r1}", "{\"a\": 1}"),
            (
                "{\"a\":\"\u{9b}2J\u{202e}\u{7f}+\"}",
                r#"{"a":"\u009b2J\u202e\u007f+"}"#,
            ),
            ("\u{1b}[2J", r"\u001b[2J"),
        ] {
            assert_eq!(one_line(text.as_bytes()), expected);
        }
    }
}
