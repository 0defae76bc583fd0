//! The one layout of latency histograms, shared by who counts and who reads.
//!
//! Buckets are log-linear in decimal digits, as those of circllhist (Hartmann and Schlossnagle,
//! "Circllhist", 2020, <https://arxiv.org/abs/2001.06561>): each decade is cut where its first
//! two digits change, and above 30 more coarsely, where the relative width allows it. So the
//! boundaries that Prometheus and OpenTelemetry use (5 ms, 10 ms, 25 ms, …) are boundaries
//! here too, and exporting loses nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets of one decade: 10 to 29 by ones, 30 to 49 by twos, 50 to 99 by fives.
const DECADE: usize = 40;
/// Values up to 10^3 ns are in the first bucket: no call to another process is faster.
const LOWEST: u32 = 3;
/// Values above 10^12 ns (1000 s) are in the last bucket.
const HIGHEST: u32 = 12;

/// Powers of ten, because raising is slower than looking up.
const POWERS: [u64; HIGHEST as usize] = {
    let mut powers = [1; HIGHEST as usize];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Latencies counted by size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// Number of a bucket and how many latencies it holds, by ascending number; only those
    /// that are not empty.
    pub buckets: Vec<(u16, u64)>,
    /// The sum of all, in nanoseconds.
    pub sum_nanos: u64,
}

impl Latencies {
    /// How many buckets there are.
    pub const BUCKETS: usize = (HIGHEST - LOWEST) as usize * DECADE + 2;

    /// The most by which [`quantile`](Self::quantile) is off, relative to the true value, for
    /// values from 1 µs to 1000 s.
    pub const ERROR: f64 = 0.05;

    /// The bucket of a latency in nanoseconds.
    #[inline]
    pub const fn bucket_of(nanos: u64) -> usize {
        // A bucket holds its upper bound, as `le` of Prometheus does.
        let below = nanos.saturating_sub(1);
        if below < 10_u64.pow(LOWEST) {
            return 0;
        }
        if below >= 10_u64.pow(HIGHEST) {
            return Self::BUCKETS - 1;
        }
        let decade = below.ilog10();
        // Two digits: 10 to 99.
        let digits = ((below / POWERS[decade as usize - 1]) % 100) as usize;
        let within = match digits {
            ..30 => digits - 10,
            30..50 => 20 + (digits - 30) / 2,
            _ => 30 + (digits - 50) / 5,
        };
        1 + (decade - LOWEST) as usize * DECADE + within
    }

    /// The bounds of a bucket in nanoseconds: above the first, up to and with the second.
    pub const fn bounds(bucket: usize) -> (u64, u64) {
        if bucket == 0 {
            return (0, 10_u64.pow(LOWEST));
        }
        if bucket >= Self::BUCKETS - 1 {
            return (10_u64.pow(HIGHEST), u64::MAX);
        }
        (start_of(bucket - 1), start_of(bucket))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many are no longer than this; exact where a bucket ends there.
    pub fn at_most(&self, nanos: u64) -> u64 {
        let all = self.buckets.iter();
        let below = all.filter(|(bucket, _)| Self::bounds(usize::from(*bucket)).1 <= nanos);
        below.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What came after `older`. Where a counter went back, all of it is new.
    #[must_use]
    pub fn since(&self, older: &Self) -> Self {
        let before = |bucket: u16| {
            let found = older.buckets.iter().find(|(known, _)| *known == bucket);
            found.map_or(0, |(_, count)| *count)
        };
        let grown = self
            .buckets
            .iter()
            .map(|(bucket, count)| (*bucket, count.checked_sub(before(*bucket)).unwrap_or(*count)));
        Self {
            buckets: grown.filter(|(_, count)| *count > 0).collect(),
            sum_nanos: self.sum_nanos.checked_sub(older.sum_nanos).unwrap_or(self.sum_nanos),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut all: std::collections::BTreeMap<u16, u64> = self.buckets.iter().copied().collect();
        for (bucket, count) in &other.buckets {
            let sum = all.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
        Self {
            buckets: all.into_iter().collect(),
            sum_nanos: self.sum_nanos.saturating_add(other.sum_nanos),
        }
    }

    /// The smallest latency that at least this share (0 to 1) of all does not exceed, off by at
    /// most [`ERROR`](Self::ERROR). Above 1000 s it is 1000 s. None without latencies.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (share * self.count() as f64).ceil().max(1.0);
        let mut seen = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            *count > 0 && seen as f64 >= wanted
        })?;
        let (low, high) = Self::bounds(usize::from(found.0));
        let middle = if high == u64::MAX { low } else { low.midpoint(high) };
        Some(Duration::from_nanos(middle))
    }
}

/// Where the inner bucket of this number begins, counted from 10^3 ns.
const fn start_of(bucket: usize) -> u64 {
    let mut scale = 10_u64.pow(LOWEST - 1);
    let mut decades = bucket / DECADE;
    while decades > 0 {
        scale *= 10;
        decades -= 1;
    }
    let within = bucket % DECADE;
    let digits = match within {
        ..20 => 10 + within,
        20..30 => 30 + (within - 20) * 2,
        _ => 50 + (within - 30) * 5,
    };
    digits as u64 * scale
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
