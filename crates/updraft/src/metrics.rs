//! The metrics of a process: one registry, to which each part brings its own families, and
//! the families that are written by hand where recording must cost next to nothing.

mod connections;
mod exemplar;
mod histogram;
mod http;
mod info;
mod labelled;
mod log_lines;
mod meter;
mod platform;
mod policies;
mod route;
mod runtime;
mod text;

use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::registry::Registry;

pub(crate) use connections::{Closed, Connections, Open};
pub(crate) use exemplar::Exemplar;
pub(crate) use histogram::Buckets;
pub(crate) use http::{HttpServer, Method, RequestSeries, Route, Sizes};
pub(crate) use info::BuildInfo;
pub use labelled::{Instrument, Labelled};
pub(crate) use log_lines::LogLines;
pub use meter::{Counter, Gauge, Histogram, Instruments, Measured, Meter};
pub(crate) use platform::PlatformMetrics;
pub(crate) use policies::Policies;
pub(crate) use route::{KnownRoute, RouteLayer};
pub(crate) use runtime::RuntimeMetrics;
pub(crate) use text::{Format, Kind, Text, labels};

/// The families of one part of the chassis, made and registered when first asked for.
pub(crate) trait Families: Send + Sync + 'static {
    /// Makes the families and registers each under its name, with its help.
    fn register(registry: &mut Registry) -> Self;
}

/// Families that write themselves when somebody asks.
pub(crate) trait Exposed: Send + Sync + 'static {
    /// Writes each family whole: no other writes to it.
    fn write(&self, text: &mut Text<'_>);

    /// The family's name and how often a series was asked for beyond its bound.
    fn overflowed(&self) -> Option<(&str, u64)> {
        None
    }
}

/// The metrics of one process. Clones are the same metrics.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    registry: Registry,
    families: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    exposed: Vec<Arc<dyn Exposed>>,
    /// Names of the service's own families.
    own: BTreeSet<String>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The families of a part. Ask once and keep them: this takes a lock.
    pub(crate) fn families<F: Families>(&self) -> Arc<F> {
        let mut shared = self.lock();
        let Shared { registry, families, .. } = &mut *shared;
        let made = families
            .entry(TypeId::of::<F>())
            .or_insert_with(|| Arc::new(F::register(registry)))
            .clone();
        made.downcast().unwrap_or_else(|_other| Arc::new(F::register(registry)))
    }

    /// Adds families that write themselves.
    pub(crate) fn expose(&self, families: Arc<dyn Exposed>) {
        self.lock().exposed.push(families);
    }

    /// Takes a name for a family of the service's own; `false`: somebody has it.
    fn reserve(&self, name: &str) -> bool {
        self.lock().own.insert(name.to_owned())
    }

    /// Everything, in the OpenMetrics text format.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let shared = self.lock();
        prometheus_client::encoding::text::encode_registry(&mut text, &shared.registry)?;
        shared.write(&mut text, Format::OpenMetrics)?;
        prometheus_client::encoding::text::encode_eof(&mut text)?;
        Ok(text)
    }

    /// Everything, in this format.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written.
    pub(crate) fn exposition(&self, format: Format) -> Result<String, fmt::Error> {
        if format == Format::OpenMetrics {
            return self.encode();
        }
        let mut text = String::new();
        let shared = self.lock();
        prometheus_client::encoding::prometheus_text::encode(&mut text, &shared.registry)?;
        shared.write(&mut text, format)?;
        Ok(text)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn write(&self, text: &mut String, format: Format) -> fmt::Result {
        let mut text = Text::new(text, format);
        for exposed in &self.exposed {
            exposed.write(&mut text);
        }
        let name = "updraft_metric_series_overflowed";
        let help = "How often a series of the service's own was asked for beyond the bound.";
        text.family(name, Kind::Counter, help);
        for (metric, count) in self.exposed.iter().filter_map(|exposed| exposed.overflowed()) {
            text.counter(name, &labels([("metric", metric)]), count);
        }
        text.finish()
    }
}
