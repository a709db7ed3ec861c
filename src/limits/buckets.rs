//! One rate for many: what each has used of it, within a bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::{Rate, Wait};

/// The most keys that are remembered one by one: some 256 KB. Further ones share one bucket until there is room again,
/// which is when others have been silent for as long as it takes to fill theirs.
pub const MOST_KEYS: usize = 4096;

/// After so many unknown keys those are forgotten whose buckets are full again.
const SWEEP_AFTER: usize = 1000;

/// Where there is no room, that is tried so often at most.
const SWEEP_INTERVAL: Nanos = Nanos::new(1_000_000_000);

/// A bucket for each key, all of one rate.
pub(super) struct Buckets<K: Hash + Eq + Clone, C: Clock = DefaultClock> {
    limiter: RateLimiter<K, Store<K>, C, NoOpMiddleware<C::Instant>>,
    store: Store<K>,
    swept_at: Mutex<C::Instant>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Buckets that are full.
    pub(super) fn new(rate: Rate) -> Self {
        Self::with_clock(rate.quota(), DefaultClock::default())
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Buckets<K, C> {
    /// The same by another clock.
    pub(super) fn with_clock(quota: Quota, clock: C) -> Self {
        let store = Store::new();
        Self {
            swept_at: Mutex::new(clock.now()),
            limiter: RateLimiter::new(quota, store.clone(), clock),
            store,
        }
    }

    /// Takes one out of the bucket of this key.
    ///
    /// # Errors
    ///
    /// When there will be one again.
    pub(super) fn take(&self, key: &K) -> Result<(), Wait> {
        let now = self.limiter.clock().now();
        self.sweep(now);
        self.limiter
            .check_key(key)
            .map_err(|until| Wait::new(until.wait_time_from(now)))
    }

    fn sweep(&self, now: C::Instant) {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = now.duration_since(*swept_at) >= SWEEP_INTERVAL;
        if self.store.is_due(is_late) {
            *swept_at = now;
            self.limiter.retain_recent();
        }
    }
}

/// What is left in each bucket.
struct Store<K>(Arc<Mutex<Inside<K>>>);

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inside<K> {
    states: HashMap<K, InMemoryState>,
    /// The bucket of all for whom there is no room.
    others: InMemoryState,
    /// How many requests were of unknown keys since the last sweep.
    unknown: usize,
}

impl<K> Store<K> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Inside {
            states: HashMap::new(),
            others: InMemoryState::default(),
            unknown: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inside<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, is_late: bool) -> bool {
        let inside = self.lock();
        inside.unknown >= SWEEP_AFTER || is_late && inside.states.len() >= MOST_KEYS
    }
}

impl<K: Hash + Eq + Clone> StateStore for Store<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut inside = self.lock();
        if let Some(state) = inside.states.get(key) {
            return state.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        inside.unknown += 1;
        if inside.states.len() >= MOST_KEYS {
            return inside
                .others
                .measure_and_replace(&NotKeyed::NonKey, measure);
        }
        let state = inside.states.entry(key.clone()).or_default();
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Store<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut inside = self.lock();
        inside.unknown = 0;
        inside.states.retain(|_, state| {
            // The state itself tells nobody: to measure it without replacing it is to read it.
            let read = state.measure_and_replace(&NotKeyed::NonKey, Err::<((), Nanos), _>);
            read.is_err_and(|full_at| full_at > Some(drop_below))
        });
    }

    fn len(&self) -> usize {
        self.lock().states.len()
    }

    fn is_empty(&self) -> bool {
        self.lock().states.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::{Buckets, MOST_KEYS};

    fn buckets(rate: &str) -> (Buckets<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        clock.advance(Duration::from_secs(1));
        let quota = rate.parse::<super::Rate>().unwrap().quota();
        (Buckets::with_clock(quota, clock.clone()), clock)
    }

    fn waits(buckets: &Buckets<u32, FakeRelativeClock>, key: u32) -> u128 {
        let taken = buckets.take(&key);
        taken.map_or_else(|wait| wait.duration().as_millis(), |()| 0)
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_again() {
        let (buckets, clock) = buckets("2/s");
        assert_eq!(
            [1, 1, 1, 1, 2].map(|key| waits(&buckets, key)),
            [0, 0, 500, 500, 0]
        );
        clock.advance(Duration::from_millis(499));
        assert_eq!(waits(&buckets, 1), 1);
        clock.advance(Duration::from_millis(1));
        assert_eq!([1, 1].map(|key| waits(&buckets, key)), [0, 500]);
        clock.advance(Duration::from_hours(1));
        assert_eq!([1, 1, 1].map(|key| waits(&buckets, key)), [0, 0, 500]);
    }

    #[test]
    fn any_number_of_keys_takes_bounded_memory() {
        let (buckets, clock) = buckets("1/h");
        let passed = (0..100_000)
            .filter(|key| waits(&buckets, *key) == 0)
            .count();
        // Those that are known, and one for all the others.
        assert_eq!(passed, MOST_KEYS + 1);
        assert_eq!(buckets.limiter.len(), MOST_KEYS);
        // None of the known was forgotten while its bucket was not full.
        assert!(waits(&buckets, 0) > 0);
        clock.advance(Duration::from_hours(3));
        let passed = (0..2000).filter(|key| waits(&buckets, *key) == 0).count();
        assert_eq!(passed, 2000);
        assert!(buckets.limiter.len() <= 2000);
    }

    #[test]
    fn what_is_full_again_is_forgotten() {
        let (buckets, clock) = buckets("20/s");
        for key in 0..100_000 {
            assert_eq!(waits(&buckets, key), 0);
            clock.advance(Duration::from_millis(1));
        }
        assert!(buckets.limiter.len() <= 2000, "{}", buckets.limiter.len());
    }
}
