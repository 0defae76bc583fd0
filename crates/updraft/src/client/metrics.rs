//! What a client counts, by the semantic conventions of OpenTelemetry for HTTP clients in their
//! Prometheus form, and what is known of each address. Retries, refusals and the bulkhead are
//! told by its policy (`resilience_…`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::registry::Registry;
use updraft_resilience::Clock;
use updraft_resilience::breaker::State;

use super::address::Address;
use crate::metrics::{
    Buckets, Exemplar, Exposed, Families, Kind as FamilyKind, Method, Metrics, Text, labels,
};

/// Series of one client at most; what comes after them is counted in one more.
const SERIES_MOST: usize = 500;

/// What an attempt is counted under, before its end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// The template of the path; empty where it is not known.
    pub(super) template: &'static str,
    pub(super) method: Method,
}

/// The addresses of a client, and the clock of their breakers.
type Known = (Arc<[Arc<Address>]>, Clock);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Status(u16),
    Failed(&'static str),
}

/// The series of one client.
pub(super) struct ClientSeries {
    name: &'static str,
    durations: RwLock<HashMap<(Kind, End), Arc<Buckets>>>,
    overflow: Buckets,
    overflowed: AtomicU64,
    addresses: RwLock<Option<Known>>,
}

impl std::fmt::Debug for ClientSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClientSeries").field(&self.name).finish()
    }
}

impl ClientSeries {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            durations: RwLock::default(),
            overflow: Buckets::of_seconds(),
            overflowed: AtomicU64::new(0),
            addresses: RwLock::default(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Counts one attempt.
    pub(super) fn record(&self, kind: Kind, end: End, took: Duration, exemplar: Option<Exemplar>) {
        let key = (kind, end);
        let took = took.as_secs_f64();
        if let Some(known) = self.durations.read().unwrap_or_else(PoisonError::into_inner).get(&key)
        {
            return known.record(took, exemplar);
        }
        let mut all = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        if SERIES_MOST <= all.len() && !all.contains_key(&key) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return self.overflow.record(took, exemplar);
        }
        all.entry(key).or_insert_with(|| Arc::new(Buckets::of_seconds())).record(took, exemplar);
    }

    /// These are the addresses now.
    pub(super) fn addresses(&self, addresses: Arc<[Arc<Address>]>, clock: Clock) {
        let mut own = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        *own = Some((addresses, clock));
    }

    fn write_durations(&self, text: &mut Text<'_>, name: &str) {
        let all: Vec<_> = {
            let all = self.durations.read().unwrap_or_else(PoisonError::into_inner);
            all.iter().map(|(key, buckets)| (*key, Arc::clone(buckets))).collect()
        };
        for ((Kind { template, method }, end), buckets) in all {
            let mut own = labels([("client", self.name), ("http_request_method", method.name())]);
            let end = match end {
                End::Status(status) => {
                    let status = status.to_string();
                    labels([("http_response_status_code", &*status)])
                }
                End::Failed(reason) => labels([("error_type", reason)]),
            };
            own = format!("{own},{end}");
            if !template.is_empty() {
                own = format!("{own},{}", labels([("url_template", template)]));
            }
            text.histogram(name, &own, &buckets.snapshot());
        }
        if 0 < self.overflowed.load(Ordering::Relaxed) {
            let own = labels([("client", self.name), ("otel_metric_overflow", "true")]);
            text.histogram(name, &own, &self.overflow.snapshot());
        }
    }

    fn write_addresses(
        &self,
        text: &mut Text<'_>,
        write: impl Fn(&mut Text<'_>, &Address, &Clock, &str),
    ) {
        let known = self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((addresses, clock)) = known else { return };
        let mut seen = Vec::new();
        for address in addresses.iter() {
            let label = address.label();
            // Two URLs may lead to one place; a series is written once.
            if !seen.contains(&label) {
                let own = labels([("client", self.name), ("server_address", &*label)]);
                write(text, address, &clock, &own);
                seen.push(label);
            }
        }
    }
}

/// The series of all clients of a process.
#[derive(Debug, Default)]
pub(super) struct Clients {
    all: Mutex<Vec<Arc<ClientSeries>>>,
    is_exposed: AtomicBool,
}

impl Families for Clients {
    fn register(_: &mut Registry) -> Self {
        Self::default()
    }
}

impl Clients {
    /// Shows the series of a client from now on.
    pub(super) fn add(metrics: &Metrics, series: Arc<ClientSeries>) {
        let clients: Arc<Self> = metrics.families();
        clients.all.lock().unwrap_or_else(PoisonError::into_inner).push(series);
        if !clients.is_exposed.swap(true, Ordering::Relaxed) {
            metrics.expose(clients);
        }
    }
}

impl Exposed for Clients {
    fn write(&self, text: &mut Text<'_>) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = "http_client_request_duration_seconds";
        let help = "How long attempts at calls took, to the last byte of the answer.";
        text.family(name, FamilyKind::Histogram, help);
        for client in &all {
            client.write_durations(text, name);
        }
        let name = "http_client_active_requests";
        text.family(name, FamilyKind::Gauge, "Attempts at calls that run.");
        for client in &all {
            client.write_addresses(text, |text, address, _, own| {
                text.gauge(name, own, address.outstanding.load(Ordering::Relaxed));
            });
        }
        let name = "http_client_open_connections";
        text.family(name, FamilyKind::Gauge, "Connections to the address that are open.");
        for client in &all {
            client.write_addresses(text, |text, address, _, own| {
                text.gauge(name, own, address.connections.load(Ordering::Relaxed));
            });
        }
        let name = "updraft_client_breaker_state";
        let help = "Whether the breaker of the address is in this state: 1 or 0.";
        text.family(name, FamilyKind::Gauge, help);
        for client in &all {
            client.write_addresses(text, |text, address, clock, own| {
                let is = address.state(clock.now());
                for state in [State::Closed, State::HalfOpen, State::Open] {
                    let own = format!("{own},{}", labels([("state", state.name())]));
                    text.gauge(name, &own, u8::from(is == state));
                }
            });
        }
    }
}
