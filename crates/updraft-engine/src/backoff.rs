//! How long to wait before a program that ended is started again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// A program that was ready for so long has recovered.
pub(crate) const STABLE: Duration = Duration::from_secs(10);
/// From so many failures in a row on it is a crash loop.
pub(crate) const CRASH_LOOP: u32 = 5;

/// Exponential back-off with equal jitter: half the wait is certain, half is drawn
/// ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = wait / 2;
        half + half.mul_f64(draw())
    }

    /// The program had recovered.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the failures in a row are a crash loop.
    pub(crate) fn is_crash_loop(&self) -> bool {
        self.failures >= CRASH_LOOP
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A number from 0 to 1. The hasher's keys are random and differ at each call.
fn draw() -> f64 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_beyond() {
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..40 {
            let wait = backoff.after_failure();
            assert!(expected / 2 <= wait && wait <= expected, "{wait:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.after_failure() <= FIRST);
    }
}
