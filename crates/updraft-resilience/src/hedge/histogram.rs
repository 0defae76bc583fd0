//! Latencies of the last window, recorded without a lock and forgotten when the window has
//! passed.
//!
//! Buckets are log-linear as those of HdrHistogram (Gil Tene, <https://hdrhistogram.org>):
//! each doubling is cut into sixteen, and a bucket stands for its middle, so a value is off
//! by at most 1/32. The window is cut into four epochs, each with buckets of its own; a
//! bucket carries the number of its epoch, so the first record of a new epoch replaces the
//! count of an old one and nothing ever has to be cleared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Instant;
use crate::clock::nanos;

/// Parts of a window. What is forgotten is between three quarters of it and all of it old.
const SLOTS: usize = 4;
const EPOCHS: u64 = SLOTS as u64;
/// Each doubling is cut into 2^4 buckets.
const SPLIT_BITS: u32 = 4;
const SPLIT: usize = 1 << SPLIT_BITS;
/// Values below 2^10 ns count as 2^10 ns: no call to another process is faster.
const LOWEST_BIT: u32 = 10;
/// Values of 2^42 ns (73 minutes) and above count as just below it.
const HIGHEST_BIT: u32 = 41;
const BUCKETS: usize = (HIGHEST_BIT - LOWEST_BIT + 1) as usize * SPLIT;

/// A bucket is `epoch:32 | count:32`.
const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// A count stops here, far enough below 2^32 that threads which add at the same moment cannot
/// carry into the epoch.
const COUNT_LIMIT: u64 = 1 << 31;

/// Counts of latencies by size over a window that slides in quarters.
#[derive(Debug)]
pub(super) struct Histogram {
    epoch_nanos: u64,
    buckets: Box<[AtomicU64]>,
}

/// What a [`Histogram`] held at one moment.
#[derive(Debug)]
pub(super) struct Distribution {
    counts: [u64; BUCKETS],
    total: u64,
}

impl Histogram {
    pub(super) fn new(window: Duration) -> Self {
        let all = BUCKETS * SLOTS;
        Self {
            epoch_nanos: (nanos(window) / EPOCHS).max(1),
            buckets: (0..all).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts one latency that was measured at `now`.
    pub(super) fn record(&self, latency: Duration, now: Instant) {
        let epoch = self.epoch(now);
        // Epochs that share a bucket are a whole window apart.
        let at = bucket_of(latency) * SLOTS + (epoch % EPOCHS) as usize;
        let Some(bucket) = self.buckets.get(at) else { return };
        let mut word = bucket.load(Ordering::Relaxed);
        loop {
            if word >> COUNT_BITS == epoch {
                if word & COUNT_MASK < COUNT_LIMIT {
                    // Should the bucket have moved on to a newer epoch since the load, this
                    // one sample is counted there: late by a window, and harmless.
                    bucket.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            if word & COUNT_MASK > 0 && !is_newer(epoch, word >> COUNT_BITS) {
                return;
            }
            let first = epoch << COUNT_BITS | 1;
            match bucket.compare_exchange_weak(word, first, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// Everything that the window holds at `now`.
    pub(super) fn distribution(&self, now: Instant) -> Distribution {
        let epoch = self.epoch(now);
        let mut all = Distribution { counts: [0; BUCKETS], total: 0 };
        for (count, epochs) in all.counts.iter_mut().zip(self.buckets.chunks(SLOTS)) {
            let words = epochs.iter().map(|bucket| bucket.load(Ordering::Relaxed));
            let current = words.filter(|word| age(epoch, word >> COUNT_BITS) < EPOCHS);
            *count = current.map(|word| word & COUNT_MASK).sum();
            all.total += *count;
        }
        all
    }

    /// The number of the epoch, modulo 2^32: with the shortest window, 100 ms, the same
    /// number comes again after three years.
    fn epoch(&self, now: Instant) -> u64 {
        (now.as_nanos() / self.epoch_nanos) & COUNT_MASK
    }
}

impl Distribution {
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// The smallest latency that at least this share of all latencies does not exceed, as far
    /// as buckets tell.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = share * self.total as f64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            *count > 0 && seen as f64 >= wanted
        })?;
        Some(middle_of(found))
    }
}

/// How many epochs ago `then` was; huge when it is still to come.
const fn age(epoch: u64, then: u64) -> u64 {
    epoch.wrapping_sub(then) & COUNT_MASK
}

const fn is_newer(epoch: u64, than: u64) -> bool {
    let age = age(epoch, than);
    0 < age && age < COUNT_MASK / 2
}

fn bucket_of(latency: Duration) -> usize {
    let value = nanos(latency).clamp(1 << LOWEST_BIT, (1 << (HIGHEST_BIT + 1)) - 1);
    let doubling = value.ilog2();
    let part = (value >> (doubling - SPLIT_BITS)) as usize % SPLIT;
    (doubling - LOWEST_BIT) as usize * SPLIT + part
}

fn middle_of(bucket: usize) -> Duration {
    let width = 1_u64 << (bucket / SPLIT + (LOWEST_BIT - SPLIT_BITS) as usize);
    Duration::from_nanos(width * (SPLIT + bucket % SPLIT) as u64 + width / 2)
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
