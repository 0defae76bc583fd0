//! What is measured of each attached SQL database.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::error::SqlError;
use crate::metrics::{Families, Metrics};

/// From a tenth of a millisecond, a read of SQLite, to longer than a statement may take.
const SECONDS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAttachment {
    attachment: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    attachment: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    attachment: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    attachment: &'static str,
    kind: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The families of all SQL attachments.
struct SqlFamilies {
    connections: Family<OfState, Gauge<i64, AtomicI64>>,
    acquire: Histograms<OfAttachment>,
    query: Histograms<OfOutcome>,
    errors: Family<OfKind, Counter>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Families for SqlFamilies {
    fn register(registry: &mut Registry) -> Self {
        let families = Self {
            connections: Family::default(),
            acquire: Family::new_with_constructor(seconds as fn() -> Histogram),
            query: Family::new_with_constructor(seconds as fn() -> Histogram),
            errors: Family::default(),
        };
        registry.register(
            "updraft_sql_connections",
            "Open connections, by what they do: idle or used",
            families.connections.clone(),
        );
        registry.register_with_unit(
            "updraft_sql_acquire",
            "How long callers waited for a connection, whether they got one or not",
            Unit::Seconds,
            families.acquire.clone(),
        );
        registry.register_with_unit(
            "updraft_sql_query",
            "How long statements took, from being sent to the last row",
            Unit::Seconds,
            families.query.clone(),
        );
        registry.register(
            "updraft_sql_errors",
            "Statements that failed, by the kind of the error",
            families.errors.clone(),
        );
        families
    }
}

/// The metrics of one attachment, looked up once.
pub(crate) struct Instruments {
    attachment: &'static str,
    families: Arc<SqlFamilies>,
    pub(super) idle: Gauge<i64, AtomicI64>,
    pub(super) used: Gauge<i64, AtomicI64>,
    acquire: Histogram,
    succeeded: Histogram,
    failed: Histogram,
}

impl Instruments {
    pub(crate) fn new(metrics: &Metrics, attachment: &'static str) -> Self {
        let families = metrics.families::<SqlFamilies>();
        let state =
            |state| families.connections.get_or_create_owned(&OfState { attachment, state });
        let outcome =
            |outcome| families.query.get_or_create_owned(&OfOutcome { attachment, outcome });
        Self {
            attachment,
            idle: state("idle"),
            used: state("used"),
            acquire: families.acquire.get_or_create_owned(&OfAttachment { attachment }),
            succeeded: outcome("ok"),
            failed: outcome("error"),
            families,
        }
    }

    pub(super) fn acquired(&self, took: Duration) {
        self.acquire.observe(took.as_secs_f64());
    }

    pub(super) fn queried<T>(&self, took: Duration, result: &Result<T, SqlError>) {
        match result {
            Ok(_) => self.succeeded.observe(took.as_secs_f64()),
            Err(error) => {
                self.failed.observe(took.as_secs_f64());
                self.erred(error);
            }
        }
    }

    pub(super) fn erred(&self, error: &SqlError) {
        let labels = OfKind { attachment: self.attachment, kind: error.kind().label() };
        self.families.errors.get_or_create(&labels).inc();
    }
}
