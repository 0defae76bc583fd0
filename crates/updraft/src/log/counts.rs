//! How many lines were lost. Counting begins before there are metrics: what was
//! counted until then is handed over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::{Families, Metrics};

/// The counts of one process. Clones are the same counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogCounts {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reader_slow: Count,
    rate_limit: Count,
}

/// A count that a counter follows, once there is one.
#[derive(Debug, Default)]
struct Count {
    value: AtomicU64,
    counter: OnceLock<Counter>,
}

impl Count {
    fn add(&self, more: u64) {
        if more == 0 {
            return;
        }
        self.value.fetch_add(more, Ordering::Relaxed);
        if let Some(counter) = self.counter.get() {
            counter.inc_by(more);
        }
    }

    fn hand_over(&self, counter: &Counter) {
        if self.counter.set(counter.clone()).is_ok() {
            counter.inc_by(self.value.load(Ordering::Relaxed));
        }
    }
}

impl LogCounts {
    pub(super) fn reader_slow(&self, lines: u64) {
        self.shared.reader_slow.add(lines);
    }

    pub(super) fn rate_limit(&self, lines: u64) {
        self.shared.rate_limit.add(lines);
    }

    /// Lines lost to a slow reader and to the limit of their place.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> (u64, u64) {
        let of = |count: &Count| count.value.load(Ordering::Relaxed);
        (of(&self.shared.reader_slow), of(&self.shared.rate_limit))
    }

    /// Counts in these metrics from now on.
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        let families = metrics.families::<LogFamilies>();
        let dropped = |reason| families.dropped.get_or_create(&Dropped { reason }).clone();
        self.shared.reader_slow.hand_over(&dropped("reader_slow"));
        self.shared.rate_limit.hand_over(&dropped("rate_limit"));
    }
}

struct LogFamilies {
    dropped: Family<Dropped, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Dropped {
    reason: &'static str,
}

impl Families for LogFamilies {
    fn register(registry: &mut Registry) -> Self {
        let dropped = Family::<Dropped, Counter>::default();
        registry.register(
            "updraft_log_lines_dropped",
            "Lines that were not written: the reader of standard output was slow, or one place \
             in the code wrote too many",
            dropped.clone(),
        );
        Self { dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_there_were_metrics_is_in_them() {
        let counts = LogCounts::default();
        counts.rate_limit(2);
        let metrics = Metrics::default();
        counts.show_in(&metrics);
        counts.show_in(&metrics);
        counts.reader_slow(1);
        let text = metrics.encode().unwrap();
        for line in [
            "updraft_log_lines_dropped_total{reason=\"rate_limit\"} 2",
            "updraft_log_lines_dropped_total{reason=\"reader_slow\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "no {line} in {text}");
        }
    }
}
