//! Failed credentials: guessing them is slow, and nobody else behind the same address notices.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use governor::clock::{Clock, DefaultClock};

use super::buckets::Buckets;
use crate::address::Address;

/// So many failures of one address pass undelayed, and then one a second.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How long the answer to any further failure is held.
const HOLD: Duration = Duration::from_secs(1);

/// The failed credentials of late, by [`Address`]. A process has one.
///
/// Ten failures in a row are answered at once, then one a second; the answers to further ones are held for a second each.
/// So no connection has more than one guess a second. A right credential is never held: many callers may share an address,
/// and a guesser among them must not shut the others out.
pub struct Failures<C: Clock = DefaultClock> {
    undelayed: Buckets<Address, C>,
}

impl Failures {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock> Failures<C> {
    /// The same by another clock.
    fn with_clock(clock: C) -> Self {
        let quota = Quota::per_second(NonZeroU32::MIN).allow_burst(BURST);
        Self {
            undelayed: Buckets::with_clock(quota, clock),
        }
    }

    /// Counts a failure; answers how long its answer is to be held, if it is.
    #[must_use]
    pub fn count(&self, address: Address) -> Option<Duration> {
        self.undelayed.take(&address).err().map(|_| HOLD)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::Failures;
    use crate::address::Address;

    const ONE: Address = Address::user(1);
    const OTHER: Address = Address::user(2);

    /// How many of so many failures are held.
    fn held(failures: &Failures<FakeRelativeClock>, address: Address, count: usize) -> usize {
        (0..count).filter_map(|_| failures.count(address)).count()
    }

    #[test]
    fn ten_at_once_then_one_a_second() {
        let clock = FakeRelativeClock::default();
        let failures = Failures::with_clock(clock.clone());
        assert_eq!(held(&failures, ONE, 12), 2);
        assert_eq!(held(&failures, OTHER, 10), 0);
        clock.advance(Duration::from_secs(3));
        assert_eq!(held(&failures, ONE, 5), 2);
        clock.advance(Duration::from_mins(1));
        assert_eq!(held(&failures, ONE, 11), 1);
    }
}
