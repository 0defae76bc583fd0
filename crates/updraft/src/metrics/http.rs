//! What the HTTP server measures, by the semantic conventions of OpenTelemetry in their
//! Prometheus form. Recording a request takes no lock and allocates nothing: what a route
//! needs is made once and found by its place.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::histogram::{BYTES, SECONDS};
use super::{Buckets, Exemplar, Exposed, Kind, Text, labels};
use crate::log::RequestKind;

/// Series of requests at most; what comes after them is counted in one more, which says so.
const SERIES_MOST: usize = 2000;

/// Different statuses of one method of one route at most, …
const STATUSES_MOST: usize = 12;

/// … and routes.
const ROUTES_MOST: usize = 1000;

/// The label of what has no series of its own, as in the metrics SDK of OpenTelemetry.
pub(super) const OVERFLOW: &str = "otel_metric_overflow=\"true\"";

/// A request method as a label: those of RFC 9110 and PATCH, because anybody can send any
/// word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Method(usize);

const OTHER: &str = "_OTHER";

const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", OTHER];

impl Method {
    pub(crate) fn of(method: &::http::Method) -> Self {
        let other = METHODS.len() - 1;
        Self(METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(other))
    }

    pub(crate) fn name(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(OTHER)
    }

    /// The word itself, where there is one.
    fn known(self) -> Option<&'static str> {
        Some(self.name()).filter(|name| *name != OTHER)
    }
}

/// The bytes of the bodies of one exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// `None`: the caller did not say how long its body is.
    pub(crate) request: Option<u64>,
    pub(crate) response: u64,
}

/// The metrics of the HTTP server.
#[derive(Clone)]
pub(crate) struct HttpServer {
    shared: Arc<Shared>,
}

struct Shared {
    routes: Mutex<HashMap<Box<str>, Arc<Route>>>,
    unmatched: Arc<Route>,
    /// All series, for the one who reads them.
    series: Mutex<Vec<Arc<RequestSeries>>>,
    overflow: Arc<RequestSeries>,
    overflowed: AtomicU64,
    active: [AtomicI64; METHODS.len()],
}

/// A route and the series of its requests.
pub(crate) struct Route {
    template: Box<str>,
    methods: [OnceLock<Box<Answers>>; METHODS.len()],
}

/// The series of one method of one route, by the status of the answer. A handler gives few
/// different ones, so they are looked through.
#[derive(Default)]
struct Answers([OnceLock<(u16, Arc<RequestSeries>)>; STATUSES_MOST]);

/// The requests of one method, route and status.
pub(crate) struct RequestSeries {
    labels: String,
    /// What the log says of them. None where they are of several kinds.
    kind: Option<RequestKind>,
    duration: Buckets,
    request_body: Buckets,
    response_body: Buckets,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.template).finish()
    }
}

impl Default for HttpServer {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                routes: Mutex::default(),
                unmatched: Arc::new(Route::new("unmatched")),
                series: Mutex::default(),
                overflow: Arc::new(RequestSeries::new(OVERFLOW.to_owned(), None)),
                overflowed: AtomicU64::new(0),
                active: Default::default(),
            }),
        }
    }
}

impl HttpServer {
    /// The route of this template, such as `/orders/{id}`. Ask once and keep it: this takes
    /// a lock.
    pub(crate) fn route(&self, template: &str) -> Arc<Route> {
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.get(template) {
            return Arc::clone(known);
        }
        if ROUTES_MOST <= routes.len() {
            return Arc::clone(&self.shared.unmatched);
        }
        let route = Arc::new(Route::new(template));
        routes.insert(template.into(), Arc::clone(&route));
        route
    }

    /// What is asked for and is no route.
    pub(crate) fn unmatched(&self) -> &Arc<Route> {
        &self.shared.unmatched
    }

    /// A request has begun.
    pub(crate) fn begin(&self, method: Method) {
        self.shared.change_active(method, 1);
    }

    /// A request that had begun is over, whether it was answered or not.
    pub(crate) fn end(&self, method: Method) {
        self.shared.change_active(method, -1);
    }

    /// How many requests are being answered.
    pub(crate) fn active(&self) -> i64 {
        self.shared.active.iter().map(|active| active.load(Ordering::Relaxed)).sum()
    }

    /// Where requests with this answer are counted.
    pub(crate) fn series<'s>(
        &'s self,
        route: &'s Route,
        method: Method,
        status: u16,
    ) -> &'s RequestSeries {
        self.shared.series_of(route, method, status)
    }
}

impl Route {
    fn new(template: &str) -> Self {
        Self { template: template.into(), methods: Default::default() }
    }

    /// The template of its path.
    pub(crate) fn template(&self) -> &str {
        &self.template
    }
}

impl RequestSeries {
    fn new(labels: String, kind: Option<RequestKind>) -> Self {
        Self {
            labels,
            kind,
            duration: Buckets::with_exemplars(SECONDS),
            request_body: Buckets::new(BYTES),
            response_body: Buckets::new(BYTES),
        }
    }

    /// A request was answered.
    pub(crate) fn record(&self, took: Duration, sizes: Sizes, exemplar: Option<Exemplar>) {
        self.duration.record(took.as_secs_f64(), exemplar);
        if let Some(request) = sizes.request {
            self.request_body.record(request as f64, None);
        }
        self.response_body.record(sizes.response as f64, None);
    }

    /// What the log says of all of them.
    pub(crate) fn kind(&self) -> Option<&RequestKind> {
        self.kind.as_ref()
    }
}

impl Shared {
    fn change_active(&self, method: Method, by: i64) {
        if let Some(active) = self.active.get(method.0) {
            active.fetch_add(by, Ordering::Relaxed);
        }
    }

    fn series_of<'s>(&'s self, route: &'s Route, method: Method, status: u16) -> &'s RequestSeries {
        let answers = route.methods.get(method.0).map(|it| it.get_or_init(Box::default));
        for slot in answers.iter().flat_map(|answers| &answers.0) {
            // Two may come here at once with different statuses; the second one goes on.
            let (of, series) = slot.get_or_init(|| (status, self.make(route, method, status)));
            if *of == status {
                return series;
            }
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        &self.overflow
    }

    fn make(&self, route: &Route, method: Method, status: u16) -> Arc<RequestSeries> {
        let mut all = self.all();
        if SERIES_MOST <= all.len() {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return Arc::clone(&self.overflow);
        }
        let kind = method.known().map(|name| RequestKind::new(name, route.template(), status));
        let labels = labels([
            ("http_request_method", method.name()),
            ("http_route", route.template()),
            ("http_response_status_code", &status.to_string()),
        ]);
        let series = Arc::new(RequestSeries::new(labels, kind));
        all.push(Arc::clone(&series));
        series
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<RequestSeries>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exposed for HttpServer {
    fn write(&self, text: &mut Text<'_>) {
        let mut all = self.shared.all().clone();
        let overflowed = self.shared.overflowed.load(Ordering::Relaxed);
        if 0 < overflowed {
            all.push(Arc::clone(&self.shared.overflow));
        }
        type Pick = fn(&RequestSeries) -> &Buckets;
        let families: [(&str, &str, Pick); 3] = [
            (
                "http_server_request_duration_seconds",
                "How long requests took, from the end of the header to the last byte of the answer.",
                |series| &series.duration,
            ),
            (
                "http_server_request_body_size_bytes",
                "Request bodies whose length was announced.",
                |series| &series.request_body,
            ),
            (
                "http_server_response_body_size_bytes",
                "Bodies of answers, as far as they were sent.",
                |series| &series.response_body,
            ),
        ];
        for (name, help, pick) in families {
            text.family(name, Kind::Histogram, help);
            for series in &all {
                text.histogram(name, &series.labels, &pick(series).snapshot());
            }
        }
        let name = "http_server_active_requests";
        text.family(name, Kind::Gauge, "Requests that are being answered.");
        for (method, active) in METHODS.iter().zip(&self.shared.active) {
            let labels = labels([("http_request_method", *method)]);
            text.gauge(name, &labels, active.load(Ordering::Relaxed));
        }
        let name = "updraft_http_series_overflowed";
        let help = "Routes, methods and statuses that found no series of their own.";
        text.family(name, Kind::Counter, help);
        text.counter(name, "", overflowed);
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
