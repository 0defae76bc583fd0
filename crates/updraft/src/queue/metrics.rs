//! The metrics of queues, jobs and the outbox.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::QueueCounts;
use crate::metrics::Families;

/// Whose metric it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueueLabel {
    pub(crate) queue: String,
}

/// The kind of a job. Kinds are those that the service does, so they are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    pub(crate) kind: &'static str,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AttemptLabel {
    pub(crate) kind: &'static str,
    /// `done`, `failed`, `dead`, `timeout`, `handed_back` or `lost`.
    pub(crate) outcome: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The families of this part.
pub(crate) struct JobFamilies {
    waiting: Family<QueueLabel, Gauge>,
    leased: Family<QueueLabel, Gauge>,
    dead: Family<QueueLabel, Gauge>,
    oldest: Family<QueueLabel, Seconds>,
    attempts: Family<AttemptLabel, Counter>,
    durations: Family<KindLabel, Histogram>,
    outbox_rows: Family<QueueLabel, Gauge>,
    outbox_lag: Family<QueueLabel, Seconds>,
    fires: Family<FireLabel, Counter>,
}

/// What came of a time at which a schedule was due.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FireLabel {
    pub(crate) schedule: &'static str,
    /// `fired`, `overlaps` or `missed`.
    pub(crate) outcome: &'static str,
}

impl Families for JobFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self {
            waiting: Family::default(),
            leased: Family::default(),
            dead: Family::default(),
            oldest: Family::default(),
            attempts: Family::default(),
            durations: Family::new_with_constructor(|| {
                // 5 ms to 20 min.
                Histogram::new(exponential_buckets(0.005, 4.0, 10))
            }),
            outbox_rows: Family::default(),
            outbox_lag: Family::default(),
            fires: Family::default(),
        };
        registry.register("updraft_jobs_waiting", "Jobs that wait", families.waiting.clone());
        registry.register("updraft_jobs_leased", "Jobs in hand", families.leased.clone());
        registry.register("updraft_jobs_dead", "Jobs that were given up", families.dead.clone());
        registry.register_with_unit(
            "updraft_jobs_oldest",
            "How long the job that is due longest has been due",
            Unit::Seconds,
            families.oldest.clone(),
        );
        registry.register(
            "updraft_jobs_attempts",
            "Attempts that ended, by outcome",
            families.attempts.clone(),
        );
        registry.register_with_unit(
            "updraft_jobs_duration",
            "How long attempts took",
            Unit::Seconds,
            families.durations.clone(),
        );
        registry.register(
            "updraft_outbox_rows",
            "Jobs that were committed and not yet relayed",
            families.outbox_rows.clone(),
        );
        registry.register_with_unit(
            "updraft_outbox_lag",
            "Age of the oldest job in the outbox",
            Unit::Seconds,
            families.outbox_lag.clone(),
        );
        registry.register(
            "updraft_cron_fires",
            "Times at which schedules were due, by what came of them",
            families.fires.clone(),
        );
        families
    }
}

impl JobFamilies {
    /// What a sample of the queue says.
    pub(crate) fn sampled(&self, queue: &str, counts: QueueCounts) {
        let label = QueueLabel { queue: queue.to_owned() };
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.get_or_create(&label).set(number(counts.waiting));
        self.leased.get_or_create(&label).set(number(counts.leased));
        self.dead.get_or_create(&label).set(number(counts.dead));
        let oldest = Duration::from_millis(counts.oldest_ms).as_secs_f64();
        self.oldest.get_or_create(&label).set(oldest);
    }

    /// An attempt ended.
    pub(crate) fn ended(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.attempts.get_or_create(&AttemptLabel { kind, outcome }).inc();
        self.durations.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    /// What a look into the outbox says.
    pub(crate) fn outbox(&self, queue: &str, rows: i64, lag: Duration) {
        let label = QueueLabel { queue: queue.to_owned() };
        self.outbox_rows.get_or_create(&label).set(rows);
        self.outbox_lag.get_or_create(&label).set(lag.as_secs_f64());
    }

    /// A time came at which a schedule was due.
    pub(crate) fn fired(&self, schedule: &'static str, outcome: &'static str, times: u64) {
        self.fires.get_or_create(&FireLabel { schedule, outcome }).inc_by(times);
    }
}
