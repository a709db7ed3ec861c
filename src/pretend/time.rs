//! Times as the engine writes them: dates in RFC 3339, and spans in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// The date in UTC with up to nine decimals and no trailing zeros; year one for what has never been.
pub(super) fn rfc3339(time: Option<SystemTime>) -> String {
    let Some(time) = time else {
        return "0001-01-01T00:00:00Z".to_owned();
    };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil(since.as_secs() / SECONDS_PER_DAY);
    let second = since.as_secs() % SECONDS_PER_DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let decimals = format!(".{:09}", since.subsec_nanos());
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{decimals}Z")
}

/// The date in UTC with nine decimals.
pub(super) fn rfc3339_nano(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let whole = rfc3339(Some(UNIX_EPOCH + Duration::from_secs(since.as_secs())));
    let whole = whole.trim_end_matches('Z');
    format!("{whole}.{:09}Z", since.subsec_nanos())
}

/// Whole seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// A span as `docker ps` words it: "About a minute", "5 hours".
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1_440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17_520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / SECONDS_PER_DAY / 365),
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is a year's last and months have a regular length;
/// 400 such years are always 146,097 days.
const fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let (month, carry) = if march_month < 10 {
        (march_month + 3, 0)
    } else {
        (march_month - 9, 1)
    };
    (era * 400 + year + carry, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, nanos, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (86_399, 1, "1970-01-01T23:59:59.000000001Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (951_868_800, 500_000_000, "2000-03-01T00:00:00.5Z"),
            (1_735_689_599, 999_999_999, "2024-12-31T23:59:59.999999999Z"),
            (1_795_427_452, 603_419_016, "2026-11-23T09:50:52.603419016Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (4_107_456_000, 0, "2100-02-28T00:00:00Z"),
        ] {
            let time = UNIX_EPOCH + Duration::new(seconds, nanos);
            assert_eq!(rfc3339(Some(time)), expected);
        }
        assert_eq!(rfc3339(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn spans_are_worded_like_docker_ps() {
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3_599, "59 minutes"),
            (5_399, "About an hour"),
            (5_400, "2 hours"),
            (172_000, "2 days"),
            (SECONDS_PER_DAY * 14, "2 weeks"),
            (SECONDS_PER_DAY * 60, "2 months"),
            (SECONDS_PER_DAY * 800, "2 years"),
        ] {
            assert_eq!(
                in_words(Duration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
        }
    }
}
