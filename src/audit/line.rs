//! A record as one line of plain text, whatever stands in it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::Record;

/// The most characters of a text that are written; rules and names are shorter, and an engine may say anything.
const MOST: usize = 2048;

/// The record as JSON with the end of the line.
pub(super) fn line(record: &Record) -> Vec<u8> {
    let mut record = record.clone();
    let texts = [
        &mut record.request_id,
        &mut record.principal,
        &mut record.container,
        &mut record.command,
        &mut record.rule,
        &mut record.error,
    ];
    texts.into_iter().flatten().for_each(cut);
    let mut line = Vec::with_capacity(512);
    // A struct of texts and numbers, into memory: this cannot fail.
    let _whole = record.serialize(&mut Serializer::with_formatter(&mut line, Visible));
    line.push(b'\n');
    line
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push_str("...");
    }
}

/// SECURITY: JSON escapes what would end the line. What people look at the file with also obeys terminal escapes of one
/// character, other ends of lines, and marks that turn the direction of writing or are not seen: a name with those in
/// it could pass for another, so they are escaped too.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for part in fragment.split_inclusive(is_unseen) {
            let unseen = part.chars().next_back().filter(|c| is_unseen(*c));
            let plain = part.strip_suffix(is_unseen).unwrap_or(part);
            writer.write_all(plain.as_bytes())?;
            for unit in unseen.map_or_else(String::new, String::from).encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{MOST, line};
    use crate::audit::{Decision, Event, Outcome, Record};

    fn check(text: &str, expected: &str) {
        let record = Record {
            container: Some(text.to_owned()),
            ..Record::now(Event::Denied)
        };
        let line = String::from_utf8(line(&record)).unwrap();
        let (_, rest) = line.split_once("\"container\":\"").unwrap();
        assert_eq!(rest.split_once("\",\"command\"").unwrap().0, expected);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["container"], text, "as it was");
        assert!(!line.trim_end_matches('\n').contains(char::is_control));
    }

    #[test]
    fn a_whole_record() {
        let record = Record {
            event: Event::Ended,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_007),
            request_id: Some("r1".to_owned()),
            revision: Some("9f86d081884c".to_owned()),
            principal: Some("anonymous".to_owned()),
            peer: Some("127.0.0.1:5".to_owned()),
            verb: Some("stop"),
            container: Some("muxer".to_owned()),
            command: None,
            decision: Some(Decision::Allow),
            rule: Some("containers.muxer.allow (x.toml:1:1)".to_owned()),
            outcome: Some(Outcome::AlreadyStopped),
            status: Some(409),
            duration_ms: Some(12),
            error: None,
        };
        let expected = concat!(
            r#"{"event":"ended","time":"2023-11-14T22:13:20.007Z","request_id":"r1","#,
            r#""revision":"9f86d081884c","principal":"anonymous","peer":"127.0.0.1:5","#,
            r#""verb":"stop","container":"muxer","command":null,"decision":"allow","#,
            r#""rule":"containers.muxer.allow (x.toml:1:1)","outcome":"already_stopped","#,
            r#""status":409,"duration_ms":12,"error":null}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line(&record)).unwrap(), expected);
    }

    #[test]
    fn every_key_is_always_there() {
        let record = Record {
            time: SystemTime::UNIX_EPOCH,
            ..Record::now(Event::ReloadFailed)
        };
        let expected = concat!(
            r#"{"event":"reload_failed","time":"1970-01-01T00:00:00.000Z","request_id":null,"#,
            r#""revision":null,"principal":null,"peer":null,"verb":null,"container":null,"#,
            r#""command":null,"decision":null,"rule":null,"outcome":null,"status":null,"#,
            r#""duration_ms":null,"error":null}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line(&record)).unwrap(), expected);
    }

    #[test]
    fn nothing_forges_a_line() {
        for (text, expected) in [
            ("plain ä 漢 🎥", "plain ä 漢 🎥"),
            ("a\"b\\c", r#"a\"b\\c"#),
            ("a\r\n{\"event\":", r#"a\r\n{\"event\":"#),
            ("\0\x1b[2K\x08", r"\u0000\u001b[2K\b"),
            ("a\x7fb", r"a\u007fb"),
            (
                "\u{80}\u{85}\u{9b}1m\u{9f}\u{a0}",
                "\\u0080\\u0085\\u009b1m\\u009f\u{a0}",
            ),
            ("\u{2028}\u{2029}", r"\u2028\u2029"),
            ("a\u{202e}b\u{2066}c\u{2069}", r"a\u202eb\u2066c\u2069"),
            ("\u{61c}\u{200e}\u{200f}", r"\u061c\u200e\u200f"),
            ("stop\u{200b}\u{feff}\u{ad}", r"stop\u200b\ufeff\u00ad"),
            ("\u{e0041}x\u{e0042}", r"\udb40\udc41x\udb40\udc42"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let record = Record {
            error: Some("\u{1}".repeat(MOST + 1)),
            ..Record::now(Event::Denied)
        };
        let line = line(&record);
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["error"], "\u{1}".repeat(MOST) + "...");
    }
}
