//! What became of spans.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::{Families, Metrics};

/// Why spans were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// More ended than could be sent.
    QueueFull,
    /// The collector did not want them.
    Refused,
    /// The collector did not answer.
    Unreachable,
}

/// The counts of one process. Clones are the same counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanCounts {
    shared: Arc<[Count; 4]>,
}

#[derive(Debug, Default)]
struct Count {
    value: AtomicU64,
    counter: OnceLock<Counter>,
}

impl SpanCounts {
    pub(super) fn exported(&self, spans: u64) {
        self.add(0, spans);
    }

    pub(super) fn lost(&self, why: Lost, spans: u64) {
        let place = match why {
            Lost::QueueFull => 1,
            Lost::Refused => 2,
            Lost::Unreachable => 3,
        };
        self.add(place, spans);
    }

    fn add(&self, place: usize, spans: u64) {
        let Some(count) = self.shared.get(place) else { return };
        count.value.fetch_add(spans, Ordering::Relaxed);
        if let Some(counter) = count.counter.get() {
            counter.inc_by(spans);
        }
    }

    #[cfg(test)]
    pub(super) fn lost_in_all(&self) -> u64 {
        self.shared.iter().skip(1).map(|count| count.value.load(Ordering::Relaxed)).sum()
    }

    /// Counts in these metrics from now on; what was counted before is handed over.
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        let families = metrics.families::<SpanFamilies>();
        let lost = |reason| families.lost.get_or_create(&Reason { reason }).clone();
        let counters =
            [families.exported.clone(), lost("queue_full"), lost("refused"), lost("unreachable")];
        for (count, counter) in self.shared.iter().zip(counters) {
            if count.counter.set(counter.clone()).is_ok() {
                counter.inc_by(count.value.load(Ordering::Relaxed));
            }
        }
    }
}

struct SpanFamilies {
    exported: Counter,
    lost: Family<Reason, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Families for SpanFamilies {
    fn register(registry: &mut Registry) -> Self {
        let (exported, lost) = (Counter::default(), Family::<Reason, Counter>::default());
        let taken = "Spans that the collector took";
        registry.register("updraft_spans_exported", taken, exported.clone());
        let help = "Spans that were lost on their way to the collector";
        registry.register("updraft_spans_lost", help, lost.clone());
        Self { exported, lost }
    }
}
