//! Moments: when a line was printed, to the nanosecond, as the engine counts and writes it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NANOS: u64 = 1_000_000_000;

/// A moment from 1970 to 2554, in nanoseconds. Shown as the engine shows it: RFC 3339 in UTC with nine decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The last one.
    pub const MAX: Self = Self(u64::MAX);

    /// So many nanoseconds after 1970 began.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// So many seconds and nanoseconds after 1970 began; none where that is after 2554.
    #[must_use]
    pub const fn from_unix(seconds: u64, nanos: u32) -> Option<Self> {
        match seconds.checked_mul(NANOS) {
            Some(whole) => match whole.checked_add(nanos as u64) {
                Some(sum) => Some(Self(sum)),
                None => None,
            },
            None => None,
        }
    }

    /// This machine's present.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.unwrap_or_default().as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A date in RFC 3339 of any offset. One before 1970 is its beginning: nothing is printed earlier.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let nanos = date.unix_timestamp_nanos().max(0);
        u64::try_from(nanos).ok().map(Self)
    }

    /// The moment so long before this one.
    #[must_use]
    pub fn before(self, ago: Duration) -> Self {
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(ago))
    }

    /// The next moment.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Seconds and their decimals, as the engine takes it in a query.
    pub(super) fn in_seconds(self) -> String {
        format!("{}.{:09}", self.0 / NANOS, self.0 % NANOS)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0));
        // It is always in range: a year has four digits until 9999.
        let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second) = (date.hour(), date.minute(), date.second());
        let nanos = date.nanosecond();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let moment = Moment::parse(text);
        let shown = moment.map(|moment| (moment.to_string(), moment.in_seconds()));
        let expected = expected.map(|(shown, seconds)| (shown.to_owned(), seconds.to_owned()));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn dates() {
        check(
            "2026-11-23T15:52:55.960607669Z",
            Some(("2026-11-23T15:52:55.960607669Z", "1795449175.960607669")),
        );
        check(
            "2026-11-23T16:52:55.5+01:00",
            Some(("2026-11-23T15:52:55.500000000Z", "1795449175.500000000")),
        );
        check(
            "1969-12-31T23:59:59Z",
            Some(("1970-01-01T00:00:00.000000000Z", "0.000000000")),
        );
        for bad in [
            "",
            "yesterday",
            "2026-11-23",
            "2026-13-23T15:52:55Z",
            "2026-11-23T15:52:55",
        ] {
            check(bad, None);
        }
    }
}
