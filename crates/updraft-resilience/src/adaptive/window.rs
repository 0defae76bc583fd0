//! What the calls of a short time looked like together, gathered without a lock.
//!
//! Single calls say little: they differ from each other, and a coarse clock measures most
//! short ones as nothing and some as a whole tick. Their average is right all the same.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::Instant;
use crate::clock::nanos;

#[derive(Debug)]
pub(super) struct Window {
    /// When its first call ended; [`NEVER`] while it is empty.
    opened: AtomicU64,
    /// How many successes, in the upper 16 bits, and the sum of their latencies, in units of
    /// 1024 ns: one word, so that both always belong together.
    latencies: AtomicU64,
    failures: AtomicU32,
    in_flight: AtomicU32,
}

/// What a window has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// The average of the successes, in nanoseconds.
    pub(super) latency: Option<f64>,
    pub(super) successes: u32,
    pub(super) failures: u32,
    /// The most calls at the same time.
    pub(super) in_flight: u32,
}

const NEVER: u64 = u64::MAX;
const SUM_BITS: u32 = 48;
const UNIT_BITS: u32 = 10;

/// With latencies cut at 73 minutes, the sum of so many has room in its bits, and twice as
/// many too, should that many threads pass the check at the same moment.
const MOST_CALLS: u32 = 1 << 14;

/// Fewer calls are too few to tell chance from load, as long as more may be waited for.
const ENOUGH_CALLS: u32 = 10;

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            opened: AtomicU64::new(NEVER),
            latencies: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
        }
    }

    /// Adds a call that succeeded after `latency`, or failed.
    pub(super) fn add(&self, latency: Option<Duration>, in_flight: u32, now: Instant) {
        if self.opened.load(Ordering::Relaxed) == NEVER {
            self.opened.store(now.as_nanos().min(NEVER - 1), Ordering::Relaxed);
        }
        if self.in_flight.load(Ordering::Relaxed) < in_flight {
            self.in_flight.fetch_max(in_flight, Ordering::Relaxed);
        }
        if self.calls() >= MOST_CALLS {
            return;
        }
        if let Some(latency) = latency {
            let units = (nanos(latency) >> UNIT_BITS).min(u64::from(u32::MAX));
            self.latencies.fetch_add(1 << SUM_BITS | units, Ordering::Relaxed);
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it can be judged: it is as long as it should be and has seen enough calls, or
    /// it waits for them in vain.
    pub(super) fn is_full(&self, length: u64, now: Instant) -> bool {
        let opened = self.opened.load(Ordering::Relaxed);
        let age = now.as_nanos().saturating_sub(opened);
        if age < length {
            return self.calls() >= MOST_CALLS;
        }
        self.calls() >= ENOUGH_CALLS || age >= length.saturating_mul(10)
    }

    /// Empties it.
    pub(super) fn take(&self) -> Summary {
        self.opened.store(NEVER, Ordering::Relaxed);
        let latencies = self.latencies.swap(0, Ordering::Relaxed);
        let successes = successes(latencies);
        let sum = latencies & ((1 << SUM_BITS) - 1);
        let average = || (sum << UNIT_BITS) as f64 / f64::from(successes);
        Summary {
            latency: (successes > 0).then(average),
            successes,
            failures: self.failures.swap(0, Ordering::Relaxed),
            in_flight: self.in_flight.swap(0, Ordering::Relaxed),
        }
    }

    fn calls(&self) -> u32 {
        successes(self.latencies.load(Ordering::Relaxed))
            .saturating_add(self.failures.load(Ordering::Relaxed))
    }
}

fn successes(latencies: u64) -> u32 {
    u32::try_from(latencies >> SUM_BITS).unwrap_or(u32::MAX)
}

impl Summary {
    /// Whether more than the tolerated share of its calls failed, and more than chance makes
    /// of that share: few calls with one failure among them show nothing.
    pub(super) fn is_overload(&self, tolerated: f64) -> bool {
        let calls = self.successes.saturating_add(self.failures);
        let expected = tolerated * f64::from(calls);
        let chance = if tolerated > 0.0 { expected.sqrt() + 1.0 } else { 0.0 };
        f64::from(self.failures) > expected + chance
    }
}
