//! What has happened to containers, and the lines in which dockerd tells of it: pure, the date is a parameter.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use super::container::Container;

/// The most events that are kept. Who is further behind than that cannot be told any more.
const MAX_KEPT: usize = 1024;

/// How many of the last ones dockerd tells those who ask for the past.
const MAX_PAST: usize = 256;

/// One thing that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) at: SystemTime,
}

/// What is sent to those who listen.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Event(Event),
    /// A line that a test sends to all.
    Raw(String),
}

/// What happened last, in order.
#[derive(Debug, Default)]
pub(super) struct Feed {
    kept: VecDeque<Told>,
    /// How many are not kept any more.
    gone: usize,
    /// Nothing that happens is told.
    pub(super) is_deaf: bool,
    /// How often all who listened were cut off.
    pub(super) cuts: usize,
}

impl Feed {
    /// Tells what happens to a container. As in dockerd, its labels come over the attributes that are the event's own.
    pub(super) fn tell(
        &mut self,
        container: &Container,
        action: &str,
        own: &[(&str, &str)],
        at: SystemTime,
    ) {
        let own = own.iter();
        let mut attributes: BTreeMap<_, _> = own
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        attributes.extend(container.config.labels.clone());
        if !container.config.image.is_empty() {
            attributes.insert("image".to_owned(), container.config.image.clone());
        }
        attributes.insert("name".to_owned(), container.name.clone());
        self.add(Told::Event(Event {
            id: container.id.clone(),
            action: action.to_owned(),
            attributes,
            at,
        }));
    }

    /// Sends a line to all who listen, whatever they asked for.
    pub(super) fn send(&mut self, line: &str) {
        self.add(Told::Raw(line.to_owned()));
    }

    /// Forgets the past, as an engine does that starts anew.
    pub(super) fn forget(&mut self) {
        self.gone = self.end();
        self.kept.clear();
    }

    /// How much there has ever been to tell.
    pub(super) fn end(&self) -> usize {
        self.gone + self.kept.len()
    }

    /// All from this one on; none if not all of it is kept.
    pub(super) fn from(&self, place: usize) -> Option<impl Iterator<Item = &Told>> {
        let skipped = place.checked_sub(self.gone)?;
        Some(self.kept.iter().skip(skipped))
    }

    /// The past, as much of it as dockerd keeps.
    pub(super) fn past(&self) -> impl Iterator<Item = &Event> {
        let events = self.kept.iter().filter_map(|told| match told {
            Told::Event(event) => Some(event),
            Told::Raw(_) => None,
        });
        let count = events.clone().count();
        events.skip(count.saturating_sub(MAX_PAST))
    }

    /// Puts what was told from this place on into the order of its dates.
    pub(super) fn sort_from(&mut self, place: usize) {
        let skipped = place.saturating_sub(self.gone);
        if self.kept.len() > skipped + 1 {
            let (_, fresh) = self.kept.make_contiguous().split_at_mut(skipped);
            fresh.sort_by_key(|told| match told {
                Told::Event(event) => Some(event.at),
                Told::Raw(_) => None,
            });
        }
    }

    fn add(&mut self, told: Told) {
        if self.is_deaf {
            return;
        }
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
            self.gone += 1;
        }
        self.kept.push_back(told);
    }
}

impl Event {
    /// The line that dockerd writes, with its end.
    pub(super) fn line(&self) -> String {
        let (id, action) = (quoted(&self.id), quoted(&self.action));
        let from = self.attributes.get("image").map_or("", String::as_str);
        // dockerd leaves out what is empty.
        let from = if from.is_empty() {
            String::new()
        } else {
            format!("\"from\":{},", quoted(from))
        };
        let attributes = self.attributes.iter();
        let attributes = attributes
            .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
            .collect::<Vec<_>>()
            .join(",");
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = (since.as_secs(), since.as_nanos());
        format!(
            "{{\"status\":{action},\"id\":{id},{from}\"Type\":\"container\",\"Action\":{action},\"Actor\":{{\"ID\":{id},\"Attributes\":{{{attributes}}}}},\"scope\":\"local\",\"time\":{seconds},\"timeNano\":{nanoseconds}}}\n"
        )
    }
}

/// A text in JSON, escaped as Go escapes it: also what would mean something in HTML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..=' ' if letter != ' ' => out.push_str(&escaped(letter)),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&escaped(letter)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn escaped(letter: char) -> String {
    format!("\\u{:04x}", u32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::{Feed, MAX_KEPT, quoted};

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        for (text, expected) in [
            ("", r#""""#),
            ("a/b é 😀", r#""a/b é 😀""#),
            ("\"\\", r#""\"\\""#),
            (
                "\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}",
                "\"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\u{7f}\"",
            ),
            (
                "<b>&\u{2028}\u{2029}",
                r#""\u003cb\u003e\u0026\u2028\u2029""#,
            ),
        ] {
            assert_eq!(quoted(text), expected);
            let read: String = serde_json::from_str(expected).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn who_is_too_far_behind_is_told_nothing() {
        let mut feed = Feed::default();
        for number in 0..MAX_KEPT + 7 {
            feed.send(&number.to_string());
        }
        assert_eq!(feed.end(), MAX_KEPT + 7);
        for (place, expected) in [
            (6, None),
            (7, Some(MAX_KEPT)),
            (MAX_KEPT, Some(7)),
            (MAX_KEPT + 7, Some(0)),
        ] {
            let count = feed.from(place).map(Iterator::count);
            assert_eq!(count, expected, "{place}");
        }
    }
}
