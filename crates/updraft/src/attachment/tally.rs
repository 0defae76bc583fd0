//! What is counted of each operation on an attachment: how it ended and how long it took.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds, in seconds: from an answer out of memory to a large transfer.
const BUCKETS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it was asked to, or found what it looked for.
    Ok,
    /// Nothing is there.
    Miss,
    /// What it found is older than it should be, and was given for want of better.
    Stale,
    /// A condition did not hold.
    Unmet,
    /// The caller asked for what cannot be.
    Invalid,
    /// It took too long.
    Timeout,
    /// The attachment is away, or the circuit to it is open.
    Away,
    /// Too many operations run at once.
    Full,
    /// The attachment refused.
    Refused,
}

impl Outcome {
    const COUNT: usize = 9;

    /// The label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Unmet => "unmet",
            Self::Invalid => "invalid",
            Self::Timeout => "timeout",
            Self::Away => "away",
            Self::Full => "full",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct ByOutcome {
    attachment: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct ByOperation {
    attachment: &'static str,
    operation: &'static str,
}

/// The two families of one type of attachments.
#[derive(Debug)]
pub(crate) struct OperationFamilies {
    total: Family<ByOutcome, Counter>,
    seconds: Family<ByOperation, Histogram, fn() -> Histogram>,
}

impl OperationFamilies {
    /// Registers `updraft_WORD_operations_total` and
    /// `updraft_WORD_operation_duration_seconds`.
    pub(crate) fn register(registry: &mut Registry, word: &str) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(BUCKETS);
        let made =
            Self { total: Family::default(), seconds: Family::new_with_constructor(seconds) };
        let total = "Operations on the attachment, by how they ended";
        registry.register(format!("updraft_{word}_operations"), total, made.total.clone());
        let duration = "How long operations on the attachment took";
        let name = format!("updraft_{word}_operation_duration");
        registry.register_with_unit(name, duration, Unit::Seconds, made.seconds.clone());
        made
    }
}

/// The series of one attachment: looked up once each, so that counting takes no lock.
pub(crate) struct Tally<const N: usize> {
    families: Arc<OperationFamilies>,
    attachment: &'static str,
    operations: [&'static str; N],
    totals: [[OnceLock<Counter>; Outcome::COUNT]; N],
    seconds: [OnceLock<Histogram>; N],
}

impl<const N: usize> std::fmt::Debug for Tally<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("attachment", &self.attachment).finish_non_exhaustive()
    }
}

impl<const N: usize> Tally<N> {
    /// `operations` are the labels of the operations, by the number that [`note`](Self::note)
    /// takes.
    pub(crate) fn new(
        families: Arc<OperationFamilies>,
        attachment: &'static str,
        operations: [&'static str; N],
    ) -> Self {
        let totals = std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new()));
        let seconds = std::array::from_fn(|_| OnceLock::new());
        Self { families, attachment, operations, totals, seconds }
    }

    /// Counts one operation.
    pub(crate) fn note(&self, operation: usize, outcome: Outcome, took: Duration) {
        self.count(operation, outcome);
        let (Some(seconds), Some(name)) =
            (self.seconds.get(operation), self.operations.get(operation))
        else {
            return;
        };
        let labels = || ByOperation { attachment: self.attachment, operation: name };
        let histogram =
            seconds.get_or_init(|| self.families.seconds.get_or_create(&labels()).clone());
        histogram.observe(took.as_secs_f64());
    }

    /// Counts what has no duration of its own.
    pub(crate) fn count(&self, operation: usize, outcome: Outcome) {
        let (Some(by_outcome), Some(name)) =
            (self.totals.get(operation), self.operations.get(operation))
        else {
            return;
        };
        let Some(counter) = by_outcome.get(outcome as usize) else { return };
        let labels =
            || ByOutcome { attachment: self.attachment, operation: name, outcome: outcome.label() };
        counter.get_or_init(|| self.families.total.get_or_create(&labels()).clone()).inc();
    }
}
