//! Latencies counted while requests run: one atomic addition to a bucket and one to the sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use updraft_system::mesh::Latencies;

/// Counts of latencies since the gateway was started, in the buckets of [`Latencies`].
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..Latencies::BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn record(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(Latencies::bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// What has been counted. The sum may be ahead of the buckets by requests that end now.
    pub(super) fn latencies(&self) -> Latencies {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let filled = (0_u16..).zip(counts).filter(|(_, count)| *count > 0);
        Latencies { buckets: filled.collect(), sum_nanos: self.sum_nanos.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let histogram = Histogram::new();
        for millis in [1, 1, 20] {
            histogram.record(Duration::from_millis(millis));
        }
        let latencies = histogram.latencies();
        assert_eq!(latencies.count(), 3);
        assert_eq!(latencies.at_most(1_000_000), 2);
        assert_eq!(latencies.sum_nanos, 22_000_000);
    }

    #[test]
    fn the_longest_latency_there_is_has_a_bucket() {
        let histogram = Histogram::new();
        histogram.record(Duration::MAX);
        histogram.record(Duration::ZERO);
        assert_eq!(histogram.latencies().count(), 2);
    }
}
