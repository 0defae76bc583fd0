//! Histograms that many threads record into without a lock. (Those of `prometheus-client`
//! take a mutex for each observation.)

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Exemplar;

/// Upper bounds of seconds of requests: those that the semantic conventions of OpenTelemetry
/// advise for `http.server.request.duration`, with one more below, because an answer from
/// memory takes less than 5 ms.
pub(super) const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Upper bounds of bytes of bodies.
pub(super) const BYTES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// How many values fell between which bounds, and their sum.
#[derive(Debug)]
pub(crate) struct Buckets {
    bounds: Box<[f64]>,
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
    /// The latest sampled trace of each bucket. Nobody waits for these locks: who finds one
    /// taken leaves its exemplar out.
    exemplars: Box<[Mutex<Option<Exemplar>>]>,
}

/// A histogram at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Upper bound, and the count of what is at most that and above the bound before.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
    pub(super) exemplars: Vec<Option<Exemplar>>,
}

impl Buckets {
    /// Nothing recorded yet. `bounds` are finite and rise.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<_> = bounds.iter().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds: bounds.into(), counts, sum: AtomicU64::new(0), exemplars: Box::default() }
    }

    /// The same, which keeps an exemplar for each bucket.
    pub(crate) fn with_exemplars(bounds: &[f64]) -> Self {
        let buckets = Self::new(bounds);
        let exemplars = buckets.counts.iter().map(|_| Mutex::default()).collect();
        Self { exemplars, ..buckets }
    }

    /// Nothing recorded yet: seconds of requests, with exemplars.
    pub(crate) fn of_seconds() -> Self {
        Self::with_exemplars(SECONDS)
    }

    /// Records one value. A value that is no number is none.
    pub(crate) fn record(&self, value: f64, exemplar: Option<Exemplar>) {
        if value.is_nan() {
            return;
        }
        // Most values fell among the first bounds, where no search is faster than a look at each.
        let place = self.bounds.iter().take_while(|bound| **bound < value).count();
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.add(value);
        if let Some(exemplar) = exemplar
            && let Some(slot) = self.exemplars.get(place)
            && let Ok(mut slot) = slot.try_lock()
        {
            *slot = Some(exemplar.of_value(value));
        }
    }

    fn add(&self, value: f64) {
        // As most requests have no body.
        if value == 0.0 {
            return;
        }
        let mut old = self.sum.load(Ordering::Relaxed);
        loop {
            let new = (f64::from_bits(old) + value).to_bits();
            match self.sum.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(current) => old = current,
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let exemplars =
            self.exemplars.iter().map(|slot| slot.try_lock().ok().and_then(|slot| *slot));
        Snapshot {
            buckets: bounds.zip(counts).collect(),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
            exemplars: exemplars.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{Format, Kind, Text};
    use super::*;

    fn counts(buckets: &Buckets) -> Vec<u64> {
        buckets.snapshot().buckets.iter().map(|(_, count)| *count).collect()
    }

    #[test]
    fn a_value_on_a_bound_is_below_it_and_no_number_is_no_value() {
        let buckets = Buckets::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.1, f64::INFINITY, f64::NAN] {
            buckets.record(value, None);
        }
        assert_eq!(counts(&buckets), [2, 2, 2]);
    }

    #[test]
    fn no_value_is_lost_between_threads() {
        let buckets = Buckets::new(&[1.0]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| buckets.record(0.5, None)));
            }
        });
        assert_eq!(counts(&buckets), [40_000, 0]);
        assert!((buckets.snapshot().sum - 20_000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn buckets_are_written_cumulated_with_their_exemplars() {
        let buckets = Buckets::with_exemplars(&[1.0, 2.0]);
        let traceparent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        buckets.record(0.5, None);
        buckets.record(1.5, Exemplar::of_traceparent(traceparent));
        let written = |format| {
            let mut out = String::new();
            let mut text = Text::new(&mut out, format);
            text.family("x_seconds", Kind::Histogram, "X.");
            text.histogram("x_seconds", "a=\"b\"", &buckets.snapshot());
            out
        };
        let plain = "# HELP x_seconds X.\n# TYPE x_seconds histogram\n\
            x_seconds_bucket{a=\"b\",le=\"1.0\"} 1\nx_seconds_bucket{a=\"b\",le=\"2.0\"} 2\n\
            x_seconds_bucket{a=\"b\",le=\"+Inf\"} 2\nx_seconds_sum{a=\"b\"} 2.0\n\
            x_seconds_count{a=\"b\"} 2\n";
        assert_eq!(written(Format::Prometheus), plain);
        let exemplar = "le=\"2.0\"} 2 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\",\
            span_id=\"b7ad6b7169203331\"} 1.5\n";
        assert!(written(Format::OpenMetrics).contains(exemplar));
    }
}
