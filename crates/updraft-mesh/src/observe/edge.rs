//! The counters of one edge. All cells are there before the first request, so that counting
//! is a few relaxed additions: nothing is allocated, nothing is locked.

mod cells;
mod open;

pub(crate) use open::{OpenConnection, OpenRequest, OpenTunnel, RequestEnd};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cells::{EdgeCells, OperationCells, add, read};
use updraft_system::Name;
#[cfg(test)]
use updraft_system::mesh::{ClusterConfig, EdgeConfig};
use updraft_system::mesh::{
    ConnectionCounts, EdgeReport, EdgeSide, EndpointReport, Protocol, TunnelCounts,
};

use super::outcome::{CodeClass, Refused, RetryReason};
use super::tap::Tap;

/// What is counted together where no operation fits.
pub(crate) const OTHER: &str = "other";

/// Which edge it is, and which operations can be told apart on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdgeSpec {
    /// The caller.
    pub(crate) from: Name,
    /// What is called.
    pub(crate) to: Name,
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Whose gateway this is.
    pub(crate) side: EdgeSide,
    /// The operations, in the order of their [`OperationId`]s. Only the first
    /// [`OPERATIONS_MAX`](Self::OPERATIONS_MAX) are told apart.
    pub(crate) operations: Vec<String>,
}

impl EdgeSpec {
    /// The most operations that are told apart on one edge: the bound of its series.
    pub(crate) const OPERATIONS_MAX: usize = 256;

    /// That of a configured edge: its operations are those of the cluster in their order, then
    /// those that only the edge names.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn of(edge: &EdgeConfig, cluster: &ClusterConfig) -> Self {
        let own = edge.only.iter().filter(|own| !cluster.operations.contains_key(*own));
        let all = cluster.operations.keys().chain(own);
        Self {
            from: edge.from.clone(),
            to: edge.to.clone(),
            protocol: cluster.protocol,
            side: if edge.listen.is_some() { EdgeSide::Client } else { EdgeSide::Server },
            operations: all.map(ToString::to_string).collect(),
        }
    }
}

/// The number of an operation of one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OperationId(usize);

impl OperationId {
    /// What no operation fits.
    pub(crate) const OTHER: Self = Self(usize::MAX);

    /// The operation at this place of [`EdgeSpec::operations`].
    #[must_use]
    pub(crate) const fn new(index: usize) -> Self {
        Self(index)
    }
}

/// The counters of one edge, shared by all data threads.
#[derive(Debug)]
pub(crate) struct EdgeMetrics {
    from: Name,
    to: Name,
    protocol: Protocol,
    side: EdgeSide,
    /// As given, and `other` at the end.
    operations: Box<[Arc<OperationCells>]>,
    cells: Arc<EdgeCells>,
    tap: Arc<Tap>,
}

impl EdgeMetrics {
    /// Counters that all are zero.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn new(spec: &EdgeSpec) -> Self {
        Self::after(spec, None)
    }

    /// The same edge with another specification. What both have is the same cells, so that
    /// requests which began before are counted where they are looked for.
    pub(super) fn after(spec: &EdgeSpec, before: Option<&Self>) -> Self {
        let known = before.map_or(&[][..], |before| &before.operations);
        let cells_of = |name: &str| {
            let same = known.iter().find(|known| *known.name == *name);
            same.map_or_else(|| Arc::new(OperationCells::new(name)), Arc::clone)
        };
        let told_apart = spec.operations.iter().take(EdgeSpec::OPERATIONS_MAX);
        let names = told_apart.map(String::as_str).chain([OTHER]);
        Self {
            from: spec.from.clone(),
            to: spec.to.clone(),
            protocol: spec.protocol,
            side: spec.side,
            operations: names.map(cells_of).collect(),
            cells: before.map_or_else(Arc::default, |before| Arc::clone(&before.cells)),
            tap: before.map_or_else(Arc::default, |before| Arc::clone(&before.tap)),
        }
    }

    /// Whether this is what the specification asks for.
    pub(super) fn fits(&self, spec: &EdgeSpec) -> bool {
        let told_apart = spec.operations.iter().take(EdgeSpec::OPERATIONS_MAX);
        let names = told_apart.map(String::as_str).chain([OTHER]);
        (self.protocol, self.side) == (spec.protocol, spec.side)
            && names.eq(self.operations.iter().map(|own| &*own.name))
    }

    /// The caller.
    pub(crate) const fn from(&self) -> &Name {
        &self.from
    }

    /// What is called.
    pub(crate) const fn to(&self) -> &Name {
        &self.to
    }

    /// What is spoken.
    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whose gateway this is.
    pub(crate) const fn side(&self) -> EdgeSide {
        self.side
    }

    /// Who listens to single requests.
    pub(crate) const fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    /// The name of an operation, as it is in metrics and logs.
    #[must_use]
    pub(crate) fn operation_name(&self, operation: OperationId) -> &str {
        self.operation(operation).map_or(OTHER, |cells| &cells.name)
    }

    /// A request has begun. What is returned counts its end; dropped without
    /// [`finish`](OpenRequest::finish), it counts an error.
    #[inline]
    pub(crate) fn begin(self: &Arc<Self>, operation: OperationId, now: Instant) -> OpenRequest {
        OpenRequest::new(Arc::clone(self), operation, now)
    }

    /// A caller's connection was opened; what is returned counts its end.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        OpenConnection::new(Arc::clone(self))
    }

    /// A tunnel was opened; what is returned counts its bytes and its end.
    pub(crate) fn tunnel(self: &Arc<Self>) -> OpenTunnel {
        OpenTunnel::new(Arc::clone(self))
    }

    /// Another attempt was made.
    #[inline]
    pub(crate) fn retried(&self, reason: RetryReason) {
        add(&self.cells.retries, reason.index());
    }

    /// A connection or tunnel was refused. For requests,
    /// [`finish`](OpenRequest::finish) counts it.
    #[inline]
    pub(crate) fn refused(&self, reason: Refused) {
        add(&self.cells.refusals, reason.index());
    }

    /// An undeclared call was let through, because authorization only audits.
    #[inline]
    pub(crate) fn undeclared(&self) {
        self.cells.undeclared.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn operation(&self, operation: OperationId) -> Option<&OperationCells> {
        self.operations.get(operation.0).or_else(|| self.operations.last()).map(|cells| &**cells)
    }

    #[inline]
    fn end(&self, operation: OperationId, end: &RequestEnd) {
        let class = end.outcome.class();
        if let super::Outcome::Refused(reason) = end.outcome {
            self.refused(reason);
        }
        if let Some(cells) = self.operation(operation) {
            add(&cells.classes, class.index());
            cells.duration.record(end.duration);
        }
        if let Some(first_byte) = end.first_byte {
            self.cells.first_byte.record(first_byte);
        }
        add_some(&self.cells.request_bytes, end.request_bytes);
        add_some(&self.cells.response_bytes, end.response_bytes);
    }

    /// What the control API tells of this edge: `started_unix_ms` is when the gateway was
    /// started, `taken_ms` the time since then.
    #[must_use]
    pub(crate) fn report(
        &self,
        started_unix_ms: u64,
        taken_ms: u64,
        endpoints: Vec<EndpointReport>,
    ) -> EdgeReport {
        let cells = &*self.cells;
        let operations: Vec<_> = self.operations.iter().filter_map(|own| own.report()).collect();
        EdgeReport {
            from: self.from.clone(),
            to: self.to.clone(),
            protocol: self.protocol,
            side: self.side,
            started_unix_ms,
            taken_ms,
            totals: cells::total(&operations),
            operations,
            first_byte: cells.first_byte.latencies(),
            retries: named(RetryReason::ALL, &cells.retries, RetryReason::as_str),
            refusals: named(Refused::ALL, &cells.refusals, Refused::as_str),
            undeclared: read(&cells.undeclared),
            request_bytes: read(&cells.request_bytes),
            response_bytes: read(&cells.response_bytes),
            active_requests: read(&cells.active_requests),
            connections: ConnectionCounts {
                caller: read(&cells.open_connections),
                // Those who hold the pools know.
                endpoint: 0,
            },
            tunnels: TunnelCounts {
                active: read(&cells.active_tunnels),
                opened: read(&cells.tunnels),
                bytes_to_endpoint: read(&cells.tunnel_bytes.up),
                bytes_to_caller: read(&cells.tunnel_bytes.down),
            },
            endpoints,
        }
    }

    /// Callers' connections that were ever opened.
    pub(super) fn connections_opened(&self) -> u64 {
        read(&self.cells.connections)
    }

    /// What each class of an operation has counted, and its latencies; none before its first
    /// request.
    pub(super) fn each_operation(&self, mut each: impl FnMut(&str, &OperationCounts)) {
        for own in &self.operations {
            let counts = own.counts();
            if counts.classes.iter().any(|count| *count > 0) {
                each(&own.name, &counts);
            }
        }
    }
}

pub(super) use cells::OperationCounts;

/// Nothing is what most requests add.
#[inline]
fn add_some(cell: &AtomicU64, count: u64) {
    if count > 0 {
        cell.fetch_add(count, Ordering::Relaxed);
    }
}

fn named<K: Copy>(
    keys: &[K],
    cells: &[AtomicU64],
    name: fn(K) -> &'static str,
) -> std::collections::BTreeMap<String, u64> {
    let counts = keys.iter().zip(cells.iter().map(read));
    counts.filter(|(_, count)| *count > 0).map(|(key, n)| (name(*key).to_owned(), n)).collect()
}

const _: () = assert!(CodeClass::ALL.len() == 7);

#[cfg(test)]
#[path = "edge_tests.rs"]
mod tests;
