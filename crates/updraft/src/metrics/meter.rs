//! The metrics of a service's own.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::labelled::Series;
use super::{Buckets, Instrument, Kind, Labelled, Metrics, Text, histogram};
use crate::app::{Field, FieldSpec};
use crate::attachment::{AttachError, Attaching};
use crate::config::{Config, Invalid};

/// What belongs to the chassis, or to what every process has.
const TAKEN: &[&str] = &[
    "auth_",
    "http_client_",
    "http_server_",
    "idempotency_",
    "process_",
    "resilience_",
    "target_",
    "updraft_",
];

/// The metrics that a service measures itself: a struct of instruments, made once.
///
/// A field of type [`Measured`] makes them part of the `App`:
///
/// ```
/// use updraft::{App, Counter, Histogram, Instruments, Labelled, Measured, Meter};
///
/// struct Sales {
///     /// By how it was paid
///     orders: Labelled<Counter, 1>,
///     basket: Histogram,
/// }
///
/// impl Instruments for Sales {
///     fn make(meter: &mut Meter) -> Self {
///         Self {
///             orders: meter.counters("shop_orders", "Orders that were placed.", ["payment"]),
///             basket: meter.histogram(
///                 "shop_basket_items",
///                 "Items in an order.",
///                 &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0],
///             ),
///         }
///     }
/// }
///
/// /// A shop.
/// #[derive(App)]
/// struct Shop {
///     /// What the shop measures
///     sales: Measured<Sales>,
/// }
///
/// fn sold(shop: &Shop, items: u32) {
///     shop.sales.orders.with(["invoice"]).add(1);
///     shop.sales.basket.record(f64::from(items));
/// }
/// ```
pub trait Instruments: Sized + Send + Sync + 'static {
    /// Makes all instruments, each under a name of its own.
    fn make(meter: &mut Meter) -> Self;
}

/// The [`Instruments`] of a service, as a field of its `App`. It reads no variable.
#[derive(Debug)]
pub struct Measured<I>(Arc<I>);

impl<I> Clone for Measured<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I> Deref for Measured<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.0
    }
}

impl<I: Instruments> Field for Measured<I> {
    type Parsed = ();

    fn read(_: &mut Config, _: &FieldSpec) -> Result<(), Invalid> {
        Ok(())
    }

    async fn attach((): (), spec: &FieldSpec, attaching: &Attaching) -> Result<Self, AttachError> {
        let mut meter = Meter::new(attaching.metrics().clone());
        let instruments = I::make(&mut meter);
        match meter.problems.is_empty() {
            true => Ok(Self(Arc::new(instruments))),
            false => Err(AttachError::new(spec.field, MeterError(meter.problems))),
        }
    }
}

/// Instruments that cannot be what they are called.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be registered: {}", .0.join("; "))]
struct MeterError(Vec<String>);

/// Makes instruments.
///
/// A name has letters, digits and `_`, begins with the name of the service by custom, and
/// ends with its unit (`_seconds`, `_bytes`). Counters are shown with `_total` behind it.
/// What is wrong with a name ends the start of the process, with all problems in one error.
#[derive(Debug)]
pub struct Meter {
    metrics: Metrics,
    problems: Vec<String>,
}

impl Meter {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, problems: Vec::new() }
    }

    /// A count that only grows.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.counters(name, help, []).with([])
    }

    /// Counts by labels.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names_of_labels: [&'static str; N],
    ) -> Labelled<Counter, N> {
        let name = name.strip_suffix("_total").unwrap_or(name);
        self.family(name, help, names_of_labels, &[])
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.gauges(name, help, []).with([])
    }

    /// Values that go up and down, by labels.
    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names_of_labels: [&'static str; N],
    ) -> Labelled<Gauge, N> {
        self.family(name, help, names_of_labels, &[])
    }

    /// How values are distributed. `bounds` are the upper bounds of the buckets; empty: those
    /// for seconds from 1 ms to 10 s.
    pub fn histogram(&mut self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.histograms(name, help, bounds, []).with([])
    }

    /// How values are distributed, by labels.
    pub fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[f64],
        names_of_labels: [&'static str; N],
    ) -> Labelled<Histogram, N> {
        let bounds = if bounds.is_empty() { histogram::SECONDS } else { bounds };
        self.family(name, help, names_of_labels, bounds)
    }

    fn family<M: Instrument, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names_of_labels: [&'static str; N],
        bounds: &[f64],
    ) -> Labelled<M, N> {
        let mut wrong = |what: &str| self.problems.push(format!("`{name}` {what}"));
        if !is_name(name) {
            wrong("is no name of a metric: use letters, digits and `_`, and no digit first");
        }
        if let Some(taken) = TAKEN.iter().find(|taken| name.starts_with(**taken)) {
            wrong(&format!("begins with `{taken}`, which belongs to the chassis"));
        }
        let distinct: BTreeSet<_> = names_of_labels.iter().collect();
        if distinct.len() < N || !names_of_labels.iter().all(|label| is_name(label)) {
            wrong("has labels that are no names, or one of them twice");
        }
        if bounds.windows(2).any(|pair| pair[1] <= pair[0]) || bounds.iter().any(|it| it.is_nan()) {
            wrong("has bounds that do not rise");
        }
        if !self.metrics.reserve(name) {
            wrong("is there twice");
        }
        let labelled = Labelled::new(name, help, names_of_labels, bounds);
        self.metrics.expose(labelled.exposed());
        labelled
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

/// A count that only grows. Clones are the same count; counting takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts `number` more.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }
}

/// A value that goes up and down. Clones are the same value; changing it takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Changes the value by so much.
    pub fn add(&self, by: f64) {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let new = (f64::from_bits(old) + by).to_bits();
            match self.0.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => old = current,
            }
        }
    }
}

/// How values are distributed. Clones are the same; recording takes no lock.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

impl Histogram {
    /// Records one value.
    pub fn record(&self, value: f64) {
        self.0.record(value, None);
    }

    /// Records a time span in seconds.
    pub fn record_duration(&self, span: Duration) {
        self.record(span.as_secs_f64());
    }
}

impl Instrument for Counter {}
impl Instrument for Gauge {}
impl Instrument for Histogram {}

impl Series for Counter {
    const KIND: Kind = Kind::Counter;

    fn make(_: &[f64]) -> Self {
        Self::default()
    }

    fn write(&self, text: &mut Text<'_>, name: &str, labels: &str) {
        text.counter(name, labels, self.0.load(Ordering::Relaxed));
    }
}

impl Series for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn make(_: &[f64]) -> Self {
        Self::default()
    }

    fn write(&self, text: &mut Text<'_>, name: &str, labels: &str) {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        text.gauge(name, labels, super::text::number(value));
    }
}

impl Series for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn make(bounds: &[f64]) -> Self {
        Self(Arc::new(Buckets::new(bounds)))
    }

    fn write(&self, text: &mut Text<'_>, name: &str, labels: &str) {
        text.histogram(name, labels, &self.0.snapshot());
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
