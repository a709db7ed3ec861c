//! The limits: the `[limits]` table, and the cool-down of a container.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{MOST_CHANGES, Rate, Settings};

use super::check::Check;
use super::document::Part;
use super::mistake::quoted;
use super::raw::{Field, Limits};

/// The times that a cool-down can have.
const COOLDOWNS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

impl Check<'_> {
    /// The limits, and the most connections of one address. Where a mistake is noted, what is answered is not used.
    pub(super) fn limits(&mut self, raw: Limits) -> (Settings, Option<usize>) {
        self.unknown_settings("limits", &raw.unknown);
        let per_principal = self.rate(&["limits", "per_principal"], raw.per_principal);
        let per_address = self.rate(&["limits", "per_address"], raw.per_address);
        let path = &["limits", "connections_per_address"];
        let connections = self.number(path, raw.connections_per_address, 65_536);
        let changes = self.number(&["limits", "changes"], raw.changes, MOST_CHANGES);
        let path = &["limits", "changes_per_container"];
        let changes_per_container = self.number(path, raw.changes_per_container, MOST_CHANGES);
        let default = Settings::default();
        let settings = Settings {
            per_principal,
            per_address,
            changes: changes.unwrap_or(default.changes),
            changes_per_container: changes_per_container.unwrap_or(default.changes_per_container),
        };
        (settings, connections)
    }

    /// How long after a change the next is refused.
    pub(super) fn cooldown(&mut self, path: &[&str], field: Field<String>) -> Option<Duration> {
        let duration = self.duration(path, field)?;
        if COOLDOWNS.contains(&duration) {
            return Some(duration);
        }
        // An hour is as long as the gateway remembers a change.
        let (too, without) = if duration < *COOLDOWNS.start() {
            ("short", "; for none at all, remove the key")
        } else {
            ("long", "")
        };
        let what = format!("`{}` is too {too}", humantime::format_duration(duration));
        let hint = format!("anything from `1ms` to `1h`{without}");
        self.add(path, Part::Value, what, hint);
        None
    }

    fn rate(&mut self, path: &[&str], field: Field<String>) -> Option<Rate> {
        let quote = |text: &str| {
            let number = if text.parse::<u32>().is_ok() {
                text
            } else {
                "20"
            };
            format!(
                "write `\"{number}/s\"` for {number} a second; `/m` is a minute, and `/h` an hour"
            )
        };
        let text = self.given(path, field, "a rate in quotes", quote)?;
        let rate = text.parse();
        if let Err(form) = &rate {
            let hint = match text.trim().parse::<u32>() {
                Ok(number) => format!("the unit is missing; `{number}/s` is {number} a second"),
                Err(_) => String::from(*form),
            };
            let what = format!("{} is no rate", quoted(&text));
            self.add(path, Part::Value, what, hint);
        }
        rate.ok()
    }
}
