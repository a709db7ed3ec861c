//! Text for people: what a terminal would obey made visible, sizes, shares and times.

use std::borrow::Cow;
use std::fmt::Write;

/// Units of memory, as `docker stats` writes them.
const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Units of what was sent, received, read or written, as `docker stats` writes them.
const DECIMAL: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// What stands where there is nothing to say.
pub(super) const NONE: &str = "-";

/// The text in one line that a terminal only shows.
///
/// SECURITY: a gateway repeats names, and containers choose their words: a control character can rewrite the screen or
/// type for the user, and one that turns the direction of writing makes a text look like another.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            // Writing to a string does not fail.
            let _written = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A JSON text that means the same and that a terminal only shows.
///
/// SECURITY: JSON has only the control characters of ASCII escaped, and terminals obey others as well.
pub(super) fn plain_json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) && c != '\t' {
            // Writing to a string does not fail.
            let _written = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does something else with it than to show it, or turns the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Memory, as `211.5MiB`: four digits.
pub(super) fn memory(bytes: u64) -> String {
    size(bytes, 1024.0, 4, BINARY)
}

/// An amount of data, as `1.45GB`: three digits.
pub(super) fn amount(bytes: u64) -> String {
    size(bytes, 1000.0, 3, DECIMAL)
}

/// A share in percent, as `12.34%`.
pub(super) fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

/// A time of RFC 3339 to the second; as it is where it is none.
pub(super) fn moment(time: &str) -> String {
    let whole = time.split_once('.').map(|(whole, rest)| {
        let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{whole}{zone}")
    });
    plain(whole.as_deref().unwrap_or(time)).into_owned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "four digits are shown, and 64-bit floats have fifteen"
)]
fn size(bytes: u64, base: f64, digits: usize, units: [&'static str; 6]) -> String {
    let mut size = bytes as f64;
    let mut units = units.into_iter();
    let mut unit = units.next();
    while size >= base {
        let Some(next) = units.next() else { break };
        size /= base;
        unit = Some(next);
    }
    let before_the_point = match size {
        ..10.0 => 1,
        ..100.0 => 2,
        ..1000.0 => 3,
        _ => 4,
    };
    let number = format!("{size:.*}", digits.saturating_sub(before_the_point));
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &number
    };
    format!("{number}{}", unit.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{amount, memory, moment, percent, plain};

    /// As `docker stats` of Docker 20.10 writes them.
    #[test]
    fn sizes() {
        for (bytes, in_memory, as_data) in [
            (0, "0B", "0B"),
            (1, "1B", "1B"),
            (999, "999B", "999B"),
            (1000, "1000B", "1kB"),
            (1023, "1023B", "1.02kB"),
            (1024, "1KiB", "1.02kB"),
            (1536, "1.5KiB", "1.54kB"),
            (10_240, "10KiB", "10.2kB"),
            (1_048_575, "1024KiB", "1.05MB"),
            (1_048_576, "1MiB", "1.05MB"),
            (221_747_609, "211.5MiB", "222MB"),
            (999_999_999, "953.7MiB", "1000MB"),
            (2_092_957_696, "1.949GiB", "2.09GB"),
            (u64::MAX, "16384PiB", "18447PB"),
        ] {
            let shown = (memory(bytes), amount(bytes));
            assert_eq!(shown, (in_memory.to_owned(), as_data.to_owned()), "{bytes}");
        }
    }

    #[test]
    fn shares_and_times() {
        assert_eq!(percent(0.0), "0.00%");
        assert_eq!(percent(123.456), "123.46%");
        for (time, shown) in [
            ("2026-11-23T13:04:05.678901234Z", "2026-11-23T13:04:05Z"),
            ("2026-11-23T13:04:05Z", "2026-11-23T13:04:05Z"),
            ("2026-11-23T13:04:05.5+01:00", "2026-11-23T13:04:05+01:00"),
            ("never\u{1b}[2J", "never\\u{1b}[2J"),
        ] {
            assert_eq!(moment(time), shown);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("plain, \u{e4}\u{20ac} too", "plain, \u{e4}\u{20ac} too"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("\u{202e}gpj\u{2066}", "\\u{202e}gpj\\u{2066}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
