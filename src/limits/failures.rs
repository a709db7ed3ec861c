//! Failed credentials: guessing them is slow, and a valid one behind the same address still passes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::Quota;
use governor::clock::{Clock, DefaultClock, Reference};

use super::buckets::Buckets;
use super::{Address, MOST_KEYS, Wait};

/// So many failures of one address pass undelayed, and then one a second.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How long the answer to any further failure is held.
const HOLD: Duration = Duration::from_secs(1);

/// The most answers that are held for one address at a time.
const MOST_HELD: usize = 16;

/// The failed credentials of late, by [`Address`]. A process has one.
///
/// Ten failures in a row are answered at once, then one a second; the answers to further ones are held for a second. While
/// 16 are held for one address, its credentials are not even looked at. So no address has more than some 17 guesses a
/// second, and in all other cases a valid credential passes at once, whoever else fails behind the same address.
///
/// More than [`MOST_KEYS`] addresses at a time are not told apart: all further ones count as one.
pub struct Failures<C: Clock = DefaultClock> {
    undelayed: Buckets<Address, C>,
    held: Mutex<Held<C::Instant>>,
    clock: C,
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

impl<C: Clock + Clone> Failures<C> {
    /// The same by another clock.
    fn with_clock(clock: C) -> Self {
        Self {
            undelayed: Buckets::with_clock(
                Quota::per_second(NonZeroU32::MIN).allow_burst(BURST),
                clock.clone(),
            ),
            held: Mutex::new(Held {
                by_address: HashMap::new(),
                others: VecDeque::new(),
                swept_at: clock.now(),
            }),
            clock,
        }
    }
}

impl<C: Clock> Failures<C> {
    /// Whether a credential from this address may be looked at; to be asked before. Requests without one need not ask.
    ///
    /// # Errors
    ///
    /// Where too many failed: when to try again.
    pub fn may_try(&self, address: Address) -> Result<(), Wait> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.count(address, self.clock.now()) < MOST_HELD {
            Ok(())
        } else {
            Err(Wait::new(HOLD))
        }
    }

    /// Counts a credential that failed, and comes back when the answer may be sent.
    pub async fn failed(&self, address: Address) {
        if let Some(hold) = self.note(address) {
            tokio::time::sleep(hold).await;
        }
    }

    /// Counts a failure; answers how long its answer is to be held, if it is.
    fn note(&self, address: Address) -> Option<Duration> {
        if self.undelayed.take(&address).is_ok() {
            return None;
        }
        // SECURITY: it counts for the whole time, also when the caller hangs up. That no answer comes at once is an answer,
        // too, so whoever hangs up then and guesses on would not be slowed.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.add(address, self.clock.now());
        Some(HOLD)
    }
}

/// Until when answers are held.
struct Held<I> {
    by_address: HashMap<Address, VecDeque<I>>,
    /// Of all for whom there is no room.
    others: VecDeque<I>,
    /// When those were last forgotten for whom no answer is held any more.
    swept_at: I,
}

impl<I: Reference> Held<I> {
    /// How many answers are held for this address.
    fn count(&self, address: Address, now: I) -> usize {
        let line = match self.by_address.get(&address) {
            Some(line) => line,
            None if self.by_address.len() < MOST_KEYS => return 0,
            None => &self.others,
        };
        line.iter().filter(|until| **until > now).count()
    }

    fn add(&mut self, address: Address, now: I) {
        // Looked through once in that time: what was held at the last sweep is past only now.
        let is_due = now.duration_since(self.swept_at) >= HOLD.into();
        if is_due && self.by_address.len() >= MOST_KEYS {
            let is_held = |line: &VecDeque<I>| line.back().is_some_and(|until| *until > now);
            self.by_address.retain(|_, line| is_held(line));
            self.swept_at = now;
        }
        let has_room = self.by_address.len() < MOST_KEYS;
        let line = match self.by_address.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if has_room => entry.insert(VecDeque::new()),
            Entry::Vacant(_) => &mut self.others,
        };
        // More than that many at a time can only be those that were looked at in the same moment.
        while line.len() >= MOST_HELD || line.front().is_some_and(|until| *until <= now) {
            line.pop_front();
        }
        line.push_back(now + HOLD.into());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::{Address, Failures, HOLD, MOST_HELD, MOST_KEYS};

    const ONE: Address = Address::user(1);
    const OTHER: Address = Address::user(2);

    fn failures() -> (Failures<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        clock.advance(HOLD);
        (Failures::with_clock(clock.clone()), clock)
    }

    /// How many of so many failures are held.
    fn held(failures: &Failures<FakeRelativeClock>, address: Address, count: usize) -> usize {
        (0..count).filter_map(|_| failures.note(address)).count()
    }

    #[test]
    fn ten_at_once_then_one_a_second() {
        let (failures, clock) = failures();
        assert_eq!(held(&failures, ONE, 12), 2);
        assert_eq!(held(&failures, OTHER, 10), 0);
        clock.advance(Duration::from_secs(3));
        assert_eq!(held(&failures, ONE, 5), 2);
        clock.advance(Duration::from_mins(1));
        assert_eq!(held(&failures, ONE, 11), 1);
    }

    #[test]
    fn while_sixteen_are_held_no_credential_is_looked_at() {
        let (failures, clock) = failures();
        held(&failures, ONE, 10 + MOST_HELD - 1);
        assert_eq!(failures.may_try(ONE), Ok(()));
        held(&failures, ONE, 1);
        assert_eq!(failures.may_try(ONE).unwrap_err().seconds(), 1);
        assert_eq!(failures.may_try(OTHER), Ok(()));
        clock.advance(Duration::from_millis(999));
        assert!(failures.may_try(ONE).is_err());
        clock.advance(Duration::from_millis(1));
        assert_eq!(failures.may_try(ONE), Ok(()));
    }

    /// Whoever guesses as fast as is allowed, for a minute.
    #[test]
    fn guessing_has_a_bounded_rate() {
        let (failures, clock) = failures();
        let mut guesses = 0;
        for _ in 0..60_000 {
            if failures.may_try(ONE).is_ok() {
                failures.note(ONE);
                guesses += 1;
            }
            clock.advance(Duration::from_millis(1));
        }
        assert!((60 * 16..=10 + 60 * 17).contains(&guesses), "{guesses}");
    }

    /// The answer is not awaited: what was held still counts.
    #[tokio::test]
    async fn hanging_up_does_not_help() {
        let (failures, _clock) = failures();
        for _ in 0..10 {
            failures.failed(ONE).await;
        }
        for _ in 0..MOST_HELD {
            assert_eq!(failures.may_try(ONE), Ok(()));
            let answer = failures.failed(ONE);
            let at_once = tokio::time::timeout(Duration::ZERO, answer).await;
            assert!(at_once.is_err(), "not held");
        }
        assert!(failures.may_try(ONE).is_err());
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let (failures, clock) = failures();
        let address = |number: u32| Address::ip(IpAddr::V4(Ipv4Addr::from_bits(number)));
        for number in 0..20_000 {
            held(&failures, address(number), 11);
        }
        assert_eq!(failures.held.lock().unwrap().by_address.len(), MOST_KEYS);
        // Those without room of their own count as one.
        assert!(failures.may_try(address(200_000)).is_err());
        assert_eq!(failures.may_try(address(0)), Ok(()));
        clock.advance(HOLD);
        assert_eq!(failures.may_try(address(200_000)), Ok(()));
        held(&failures, address(200_000), 11);
        let held = failures.held.lock().unwrap();
        assert!(held.by_address.len() <= MOST_KEYS);
        assert!(held.others.len() <= MOST_HELD);
    }
}
