//! Mistakes in a configuration, and how they are shown to the person who can mend them.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::lines::Lines;
use super::secret::{Secrets, masked};

/// The most mistakes that are written out; of further ones only the number is said.
const MOST_SHOWN: usize = 100;

/// The most characters of the user's text that a message repeats.
const MOST_QUOTED: usize = 60;

/// One thing that is wrong.
///
/// The order is that of reading: the file as a whole, then by position, then the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) key: String,
    pub(super) hint: String,
}

impl Mistake {
    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong, in lower case and without a full stop.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The key that it is about, such as `containers.muxer.allow`; empty where there is none.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What to do about it; empty where nobody can tell.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// Some text in the file.
    Text {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// The first byte of the text.
        start: usize,
        /// The byte after it.
        end: usize,
    },
    /// The environment variable of this name.
    Variable(String),
}

impl Place {
    pub(super) fn text(lines: &Lines<'_>, span: Range<usize>) -> Self {
        let start = span.start.min(lines.text().len());
        Self::Text {
            line: lines.number(start),
            column: lines.column(start),
            start,
            end: span.end.clamp(start, lines.text().len()),
        }
    }
}

/// Everything that is wrong with one configuration, in order; shown as a compiler would, without colour.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    name: String,
    text: String,
    list: Vec<Mistake>,
    files: Vec<PathBuf>,
}

impl Mistakes {
    pub(super) fn new(name: &str, text: &str, mut list: Vec<Mistake>) -> Self {
        let secrets = Secrets::new(&Lines::new(text));
        for mistake in &mut list {
            for said in [&mut mistake.what, &mut mistake.key, &mut mistake.hint] {
                *said = secrets.hide(said);
            }
        }
        list.sort();
        list.dedup();
        Self {
            name: message(name),
            text: text.to_owned(),
            list,
            files: Vec::new(),
        }
    }

    /// The same, of a configuration that names these files.
    pub(super) fn naming(self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self }
    }

    /// The other files that the configuration names: what is wrong may be mended in one of them.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Each mistake by itself; never empty.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        lines: &Lines<'_>,
        mistake: &Mistake,
    ) -> fmt::Result {
        let title = Level::ERROR.primary_title(message(&mistake.what));
        let mut group = match &mistake.place {
            Place::File => title.element(Origin::path(self.name.as_str())),
            Place::Variable(name) => title.element(Origin::path(format!(
                "environment variable {}",
                message(name)
            ))),
            Place::Text {
                line, start, end, ..
            } => title.element(self.snippet(lines, (*line, &mistake.key), *start..*end)),
        };
        if !mistake.key.is_empty() {
            let key = Level::NOTE.with_name("key").message(message(&mistake.key));
            group = group.element(key);
        }
        if !mistake.hint.is_empty() {
            group = group.element(Level::HELP.message(message(&mistake.hint)));
        }
        writeln!(f, "{}\n", Renderer::plain().render(&[group]))
    }

    /// The first line of the marked text. Only that line is handed over: its number is known, and a renderer that
    /// counts through the whole file for each mistake takes seconds over a long one.
    fn snippet(
        &self,
        lines: &Lines<'_>,
        (line, key): (usize, &str),
        span: Range<usize>,
    ) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let (from, shown) = (lines.start(line), masked(lines, line, key));
        let start = (span.start - from).min(shown.len());
        let end = (span.end - from).clamp(start, shown.len());
        let [before, marked, after] = [0..start, start..end, end..shown.len()]
            .map(|part| visible(shown.get(part).unwrap_or_default()));
        let mark = before.len()..before.len() + marked.len();
        Snippet::source(format!("{before}{marked}{after}"))
            .line_start(line)
            .path(self.name.as_str())
            .annotation(AnnotationKind::Primary.span(mark))
    }
}

/// Without the text, which may hold secrets.
impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = Lines::new(&self.text);
        for mistake in self.list.iter().take(MOST_SHOWN) {
            self.write(f, &lines, mistake)?;
        }
        if let Some(more) = self
            .list
            .len()
            .checked_sub(MOST_SHOWN)
            .filter(|more| *more > 0)
        {
            writeln!(f, "... and {more} more\n")?;
        }
        let outside = |mistake: &&Mistake| matches!(mistake.place, Place::Variable(_));
        let outside = self.list.iter().filter(outside).count();
        match (self.list.len() - outside, outside) {
            (0, outside) => write!(f, "environment: {}", counted(outside)),
            (inside, 0) => write!(f, "{}: {}", self.name, counted(inside)),
            (inside, outside) => write!(
                f,
                "{}: {}; environment: {}",
                self.name,
                counted(inside),
                counted(outside)
            ),
        }
    }
}

impl std::error::Error for Mistakes {}

fn counted(mistakes: usize) -> String {
    let plural = if mistakes == 1 { "" } else { "s" };
    format!("{mistakes} mistake{plural}")
}

/// The user's text as a message repeats it.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    let more = if text.chars().nth(MOST_QUOTED).is_some() {
        "..."
    } else {
        ""
    };
    format!(
        "`{}{more}`",
        text.chars().take(MOST_QUOTED).collect::<String>()
    )
}

/// SECURITY: text from a file can hold escape sequences that redraw a terminal, and marks that turn the direction
/// of writing; what is shown holds neither. Tabs are left to the renderer, which draws them as spaces.
fn visible(text: &str) -> String {
    text.chars().map(visible_char).collect()
}

/// The same on one line of its own.
fn message(text: &str) -> String {
    visible(text).replace('\t', " ")
}

const fn visible_char(c: char) -> char {
    match c {
        '\t' => c,
        // The pictures of the control characters stand in their order.
        '\0'..='\x1f' => match char::from_u32(0x2400 + c as u32) {
            Some(picture) => picture,
            None => char::REPLACEMENT_CHARACTER,
        },
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

#[cfg(test)]
pub(in crate::config) mod tests {
    use super::{quoted, visible, visible_char};

    pub(in crate::config) const fn is_invisible(c: char) -> bool {
        c != char::REPLACEMENT_CHARACTER && visible_char(c) == char::REPLACEMENT_CHARACTER
    }

    #[test]
    fn terminals_are_left_alone() {
        assert_eq!(
            visible("\u{1b}[31m\u{9b}1m\u{202e}ä\n"),
            "␛[31m\u{fffd}1m\u{fffd}ä␊"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quoted(&"ä".repeat(61)), format!("`{}...`", "ä".repeat(60)));
        assert_eq!(quoted(&"ä".repeat(60)), format!("`{}`", "ä".repeat(60)));
    }
}
