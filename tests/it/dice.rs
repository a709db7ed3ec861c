//! Dice for tests that do anything: the same seed, the same throws.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// `SplitMix64`: even enough for tests.
pub(crate) struct Dice(u64);

impl Dice {
    /// Of the seed in `RELAYER_TEST_SEED`, or of another each time. A test that fails shows it.
    pub(crate) fn new() -> Self {
        let given = env::var("RELAYER_TEST_SEED").ok();
        let seed = given.map_or_else(now, |seed| seed.parse().expect("a number for a seed"));
        println!("RELAYER_TEST_SEED={seed}");
        Self(seed)
    }

    /// Dice of their own for somebody else.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.throw())
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.throw() % end as u64).unwrap()
    }

    /// Once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(since.subsec_nanos()) ^ since.as_secs()
}
