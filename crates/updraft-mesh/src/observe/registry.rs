//! All counters of one gateway, and how they are told. What it holds follows the whole
//! configuration, so the number of series is known before the first request.

mod render;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use updraft_system::Name;
use updraft_system::mesh::{EdgeReport, EndpointReport};

use super::edge::{EdgeMetrics, EdgeSpec};
use super::exposition::Format;
use super::outcome::{Limit, NoProxyHeader, Unrouted};
use super::span::SpanCounts;

/// All counters of one gateway.
#[derive(Debug)]
pub(crate) struct Registry {
    started: Instant,
    started_unix_ms: u64,
    edges: ArcSwap<Vec<Arc<EdgeMetrics>>>,
    /// Held while the edges are changed, by one after another.
    changing: Mutex<()>,
    gate_rules: &'static [&'static str],
    rules_broken: Box<[AtomicU64]>,
    limits: [AtomicU64; Limit::ALL.len()],
    no_proxy_header: [AtomicU64; NoProxyHeader::ALL.len()],
    unrouted: [AtomicU64; Unrouted::ALL.len()],
    config_version: AtomicU64,
    config_refused: AtomicBool,
    handshakes_failed: AtomicU64,
    mirrors_dropped: AtomicU64,
    certificates: Mutex<BTreeMap<Name, i64>>,
    spans: Arc<SpanCounts>,
    log_dropped: Arc<AtomicU64>,
}

impl Registry {
    /// Counters without an edge. `gate_rules` are the names of the gate's rules, each once.
    #[must_use]
    pub(crate) fn new(gate_rules: &'static [&'static str]) -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since_1970.map_or(0, |since| since.as_millis());
        Self {
            started: Instant::now(),
            started_unix_ms: u64::try_from(millis).unwrap_or(u64::MAX),
            edges: ArcSwap::default(),
            changing: Mutex::new(()),
            gate_rules,
            rules_broken: gate_rules.iter().map(|_| AtomicU64::new(0)).collect(),
            limits: Default::default(),
            no_proxy_header: Default::default(),
            unrouted: Default::default(),
            config_version: AtomicU64::new(0),
            config_refused: AtomicBool::new(false),
            handshakes_failed: AtomicU64::new(0),
            mirrors_dropped: AtomicU64::new(0),
            certificates: Mutex::default(),
            spans: Arc::default(),
            log_dropped: Arc::default(),
        }
    }

    /// From now on there are these edges and no others, by the configuration of this version.
    /// Edges that were there before go on counting. The answer is in the order of `specs`; two
    /// with the same ends are one edge, as the first says.
    pub(crate) fn set_edges(&self, version: u64, specs: &[EdgeSpec]) -> Vec<Arc<EdgeMetrics>> {
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.edges.load();
        let mut edges: Vec<Arc<EdgeMetrics>> = Vec::with_capacity(specs.len());
        let mut answer = Vec::with_capacity(specs.len());
        for spec in specs {
            let same = |edge: &&Arc<EdgeMetrics>| {
                (edge.from(), edge.to(), edge.side()) == (&spec.from, &spec.to, spec.side)
            };
            if let Some(twin) = edges.iter().find(same) {
                answer.push(Arc::clone(twin));
                continue;
            }
            let edge = match before.iter().find(same) {
                Some(known) if known.fits(spec) => Arc::clone(known),
                known => Arc::new(EdgeMetrics::after(spec, known.map(|known| &**known))),
            };
            edges.push(Arc::clone(&edge));
            answer.push(edge);
        }
        self.edges.store(Arc::new(edges));
        self.config_version.store(version, Ordering::Relaxed);
        drop(guard);
        answer
    }

    /// The edge between these two.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn edge(&self, from: &str, to: &str) -> Option<Arc<EdgeMetrics>> {
        let edges = self.edges.load();
        let same =
            |edge: &&Arc<EdgeMetrics>| edge.from().as_str() == from && edge.to().as_str() == to;
        edges.iter().find(same).map(Arc::clone)
    }

    /// A message broke the rule at this place of the list that [`new`](Self::new) got.
    pub(crate) fn rule_broken(&self, rule: usize) {
        if let Some(cell) = self.rules_broken.get(rule) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A limit refused or ended something.
    pub(crate) fn limit_hit(&self, limit: Limit) {
        if let Some(cell) = self.limits.get(limit.index()) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection without its header of the PROXY protocol was closed.
    pub(crate) fn proxy_header_refused(&self, why: NoProxyHeader) {
        if let Some(cell) = self.no_proxy_header.get(why.index()) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request or a connection was refused that is for no edge.
    pub(crate) fn unrouted(&self, why: Unrouted) {
        if let Some(cell) = self.unrouted.get(why.index()) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the newest configuration is one that was refused.
    pub(crate) fn set_config_refused(&self, refused: bool) {
        self.config_refused.store(refused, Ordering::Relaxed);
    }

    /// Somebody at the mesh listener did not shake hands.
    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A copy of a request was not made.
    pub(crate) fn mirror_dropped(&self) {
        self.mirrors_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The certificates that are served from now on: by service, the second since 1970 at
    /// which each ends.
    pub(crate) fn set_certificates(&self, not_after: BTreeMap<Name, i64>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = not_after;
    }

    /// Where the queue of spans and its exporter count.
    pub(crate) const fn span_counts(&self) -> &Arc<SpanCounts> {
        &self.spans
    }

    /// Where the access log counts what it lost.
    pub(crate) const fn log_dropped(&self) -> &Arc<AtomicU64> {
        &self.log_dropped
    }

    /// All metrics as text; `endpoints` tells those of an edge.
    #[must_use]
    pub(crate) fn render(
        &self,
        format: Format,
        endpoints: &dyn Fn(&EdgeMetrics) -> Vec<EndpointReport>,
    ) -> String {
        render::render(self, format, endpoints)
    }

    /// All edges for the control API; `endpoints` tells those of an edge.
    #[must_use]
    pub(crate) fn reports(
        &self,
        endpoints: &dyn Fn(&EdgeMetrics) -> Vec<EndpointReport>,
    ) -> Vec<EdgeReport> {
        let taken_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let edges = self.edges.load();
        let report =
            |edge: &Arc<EdgeMetrics>| edge.report(self.started_unix_ms, taken_ms, endpoints(edge));
        edges.iter().map(report).collect()
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
