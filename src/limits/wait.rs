//! How long a caller has to wait.

use std::fmt;
use std::time::Duration;

/// How long a caller has to wait until it may try again; shown and told in whole seconds, rounded up, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(Duration);

impl Wait {
    /// This long.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// The time without rounding.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whole seconds, as in `Retry-After`.
    #[must_use]
    pub fn seconds(self) -> u64 {
        let rest = u64::from(self.0.subsec_nanos() > 0);
        self.0.as_secs().saturating_add(rest).max(1)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from_secs(self.seconds())).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Wait;

    #[test]
    fn never_too_early() {
        for (milliseconds, seconds, shown) in [
            (0, 1, "1s"),
            (1, 1, "1s"),
            (1000, 1, "1s"),
            (1001, 2, "2s"),
            (89_500, 90, "1m 30s"),
            (3_600_000, 3600, "1h"),
        ] {
            let wait = Wait::new(Duration::from_millis(milliseconds));
            assert_eq!(
                (wait.seconds(), wait.to_string().as_str()),
                (seconds, shown)
            );
        }
    }
}
