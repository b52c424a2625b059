//! Chance that a printed seed repeats.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// By `YINGDA_TEST_SEED`, else another one each time; printed, so that a failure can be repeated.
    pub fn of(test: &str) -> Self {
        let seed = super::setting("YINGDA_TEST_SEED", RandomState::new().hash_one(test));
        println!("{test}: YINGDA_TEST_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Chance for somebody else.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
