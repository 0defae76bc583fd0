//! Families of a service's own: instruments by the values of their labels, bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::http::OVERFLOW;
use super::{Exposed, Kind, Text, labels};

/// Series of one family at most; what comes after them shares one more, which says so.
const SERIES_MOST: usize = 1000;

/// What can be measured with: [`Counter`](crate::Counter), [`Gauge`](crate::Gauge) and
/// [`Histogram`](crate::Histogram).
#[expect(private_bounds, reason = "nobody else can make kinds of instruments")]
pub trait Instrument: Series {}

/// One series of a family.
pub(crate) trait Series: Clone + fmt::Debug + Send + Sync + 'static {
    const KIND: Kind;

    fn make(bounds: &[f64]) -> Self;

    fn write(&self, text: &mut Text<'_>, name: &str, labels: &str);
}

/// Instruments of one family, told apart by the values of `N` labels.
///
/// A family has at most 1,000 series. Further ones are measured in one series with the label
/// `otel_metric_overflow="true"`, and `updraft_metric_series_overflowed_total` counts how
/// often one was asked for: values of labels should be few, and never what callers choose.
#[derive(Debug)]
pub struct Labelled<M, const N: usize> {
    family: Arc<Family<M>>,
    labels: [&'static str; N],
}

impl<M, const N: usize> Clone for Labelled<M, N> {
    fn clone(&self) -> Self {
        Self { family: Arc::clone(&self.family), labels: self.labels }
    }
}

#[derive(Debug)]
struct Family<M> {
    name: String,
    help: String,
    bounds: Box<[f64]>,
    /// By their labels, as they are written.
    series: RwLock<BTreeMap<String, M>>,
    overflow: M,
    overflowed: AtomicU64,
}

impl<M: Instrument, const N: usize> Labelled<M, N> {
    pub(super) fn new(name: &str, help: &str, labels: [&'static str; N], bounds: &[f64]) -> Self {
        let family = Family {
            name: name.to_owned(),
            help: help.replace(['\n', '\\'], " "),
            bounds: bounds.into(),
            series: RwLock::default(),
            overflow: M::make(bounds),
            overflowed: AtomicU64::new(0),
        };
        Self { family: Arc::new(family), labels }
    }

    /// The instrument of these values. It can be kept: finding it takes a shared lock,
    /// using it does not.
    pub fn with(&self, values: [&str; N]) -> M {
        let family = &*self.family;
        let key = labels(self.labels.into_iter().zip(values));
        let known = family.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&key) {
            return known.clone();
        }
        drop(known);
        let mut series = family.series.write().unwrap_or_else(PoisonError::into_inner);
        if SERIES_MOST <= series.len() && !series.contains_key(&key) {
            family.overflowed.fetch_add(1, Ordering::Relaxed);
            return family.overflow.clone();
        }
        series.entry(key).or_insert_with(|| M::make(&family.bounds)).clone()
    }

    pub(super) fn exposed(&self) -> Arc<dyn Exposed> {
        Arc::clone(&self.family) as Arc<dyn Exposed>
    }
}

impl<M: Instrument> Exposed for Family<M> {
    fn write(&self, text: &mut Text<'_>) {
        text.family(&self.name, M::KIND, &self.help);
        for (labels, series) in &*self.series.read().unwrap_or_else(PoisonError::into_inner) {
            series.write(text, &self.name, labels);
        }
        if 0 < self.overflowed.load(Ordering::Relaxed) {
            self.overflow.write(text, &self.name, OVERFLOW);
        }
    }

    fn overflowed(&self) -> Option<(&str, u64)> {
        Some((&self.name, self.overflowed.load(Ordering::Relaxed)))
    }
}
