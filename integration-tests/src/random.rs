//! Numbers by chance that can be had again: every random test prints its seed.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// The variable that replays a run.
const SEED: &str = "UPDRAFT_TEST_SEED";

/// SplitMix64: the smallest generator whose numbers are good enough to choose moments.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A new seed, or the one of `UPDRAFT_TEST_SEED`; printed either way.
    #[expect(clippy::print_stderr, reason = "a test that fails shows its seed")]
    pub fn announced() -> Result<Self> {
        let seed = match env::var(SEED) {
            Ok(seed) => seed.parse().with_context(|| format!("{SEED} is not a number"))?,
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        eprintln!("random seed: {SEED}={seed}");
        Ok(Self(seed))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A time below `most`.
    pub fn below(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.number() % nanos)
    }
}
