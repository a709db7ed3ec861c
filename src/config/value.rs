//! The values that many settings have in common: texts, numbers, durations.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::check::Check;
use super::document::Part;
use super::hint;
use super::mistake::quoted;
use super::raw::Field;

/// The times that a time limit can have: less is no time at all, and more is no limit.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

const DURATION: &str = "a duration in quotes";
const TEXT: &str = "text in quotes";

impl Check<'_> {
    /// A text that something else makes sense of.
    pub(super) fn text<T>(
        &mut self,
        path: &[&str],
        field: Field<String>,
        parse: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<T> {
        let text = self.given(path, field, TEXT, in_quotes)?;
        parse(&text)
            .map_err(|(what, hint)| self.add(path, Part::Value, what, hint))
            .ok()
    }

    /// A whole number from 1 to `most`.
    pub(super) fn number(
        &mut self,
        path: &[&str],
        field: Field<i64>,
        most: usize,
    ) -> Option<usize> {
        let range = format!("a whole number from 1 to {most}");
        let without_quotes = |text: &str| {
            let inside = text.trim_matches(['"', '\'']);
            if inside != text && inside.parse::<u32>().is_ok() {
                return format!("write {inside} without the quotes");
            }
            String::new()
        };
        let number = self.given(path, field, &range, without_quotes)?;
        let fitting = usize::try_from(number)
            .ok()
            .filter(|number| (1..=most).contains(number));
        if fitting.is_none() {
            let what = format!("`{number}` is out of range");
            self.add(path, Part::Value, what, format!("write {range}"));
        }
        fitting
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, path: &[&str], field: Field<bool>) -> Option<bool> {
        let hint = |text: &str| match text.trim_matches(['"', '\'']) {
            word @ ("true" | "false") => format!("write {word} without the quotes"),
            word => {
                let near = hint::nearest(word, ["true", "false"]);
                near.map_or_else(String::new, hint::did_you_mean)
            }
        };
        self.given(path, field, "`true` or `false`", hint)
    }

    /// A time limit within [`TIMES`].
    pub(super) fn timeout(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let duration = self.duration(path, field)?;
        if TIMES.contains(&duration) {
            return Some(duration);
        }
        let too = if duration < *TIMES.start() {
            "short"
        } else {
            "long"
        };
        let what = format!("`{}` is too {too}", humantime::format_duration(duration));
        self.add(path, Part::Value, what, "anything from `100ms` to `1h`");
        None
    }

    /// Any duration, such as `1m 30s`.
    pub(super) fn duration(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let quote = |text: &str| {
            let seconds = if text.parse::<u32>().is_ok() {
                text
            } else {
                "10"
            };
            format!("write `\"{seconds}s\"`")
        };
        let text = self.given(path, field, DURATION, quote)?;
        let duration = humantime::parse_duration(&text);
        if duration.is_err() {
            let hint = match text.trim().parse::<u32>() {
                Ok(seconds) => format!("the unit is missing; `{seconds}s` is seconds"),
                Err(_) => "a duration is a number with a unit, such as `500ms`, `10s` or `1m 30s`"
                    .to_owned(),
            };
            let what = format!("{} is no duration", quoted(&text));
            self.add(path, Part::Value, what, hint);
        }
        duration.ok()
    }
}

fn in_quotes(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'));
    if plain {
        format!("write `\"{text}\"`")
    } else {
        String::new()
    }
}
