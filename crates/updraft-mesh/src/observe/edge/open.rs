//! What is open: a request, a connection, a tunnel. Each is a guard, so that no way out of a
//! function, and no future that is dropped, leaves a gauge too high.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{EdgeMetrics, OperationId};
use crate::observe::outcome::Outcome;
use crate::tunnel::TunnelCounters;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestEnd {
    /// With what.
    pub(crate) outcome: Outcome,
    /// From the head of the request to the end of the response.
    pub(crate) duration: Duration,
    /// From the head of the request to the head of the response; none without a response of
    /// an endpoint.
    pub(crate) first_byte: Option<Duration>,
    /// Bytes of the request's body.
    pub(crate) request_bytes: u64,
    /// Bytes of the response's body.
    pub(crate) response_bytes: u64,
}

/// A request under way. It gives access to the counters of its edge.
#[derive(Debug)]
#[must_use = "dropped at once, it counts a request that broke off"]
pub(crate) struct OpenRequest {
    edge: Arc<EdgeMetrics>,
    operation: OperationId,
    began: Instant,
    ended: bool,
}

impl OpenRequest {
    #[inline]
    pub(super) fn new(edge: Arc<EdgeMetrics>, operation: OperationId, began: Instant) -> Self {
        edge.cells.active_requests.fetch_add(1, Ordering::Relaxed);
        Self { edge, operation, began, ended: false }
    }

    /// When it began.
    pub(crate) const fn began(&self) -> Instant {
        self.began
    }

    /// The operation it is.
    pub(crate) const fn operation(&self) -> OperationId {
        self.operation
    }

    /// It is another operation than was known at its begin.
    pub(crate) const fn set_operation(&mut self, operation: OperationId) {
        self.operation = operation;
    }

    /// It has ended.
    #[inline]
    pub(crate) fn finish(mut self, end: &RequestEnd) {
        self.ended = true;
        self.edge.end(self.operation, end);
    }
}

impl Deref for OpenRequest {
    type Target = EdgeMetrics;

    fn deref(&self) -> &EdgeMetrics {
        &self.edge
    }
}

impl Drop for OpenRequest {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            let end = RequestEnd {
                outcome: Outcome::Error,
                duration: self.began.elapsed(),
                first_byte: None,
                request_bytes: 0,
                response_bytes: 0,
            };
            self.edge.end(self.operation, &end);
        }
        self.edge.cells.active_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open connection of a caller.
#[derive(Debug)]
#[must_use = "dropped at once, it counts a connection that was closed at once"]
pub(crate) struct OpenConnection {
    edge: Arc<EdgeMetrics>,
}

impl OpenConnection {
    pub(super) fn new(edge: Arc<EdgeMetrics>) -> Self {
        edge.cells.open_connections.fetch_add(1, Ordering::Relaxed);
        edge.cells.connections.fetch_add(1, Ordering::Relaxed);
        Self { edge }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.edge.cells.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open tunnel: plain TCP, or an upgraded connection.
#[derive(Debug)]
#[must_use = "dropped at once, it counts a tunnel that was closed at once"]
pub(crate) struct OpenTunnel {
    edge: Arc<EdgeMetrics>,
}

impl OpenTunnel {
    pub(super) fn new(edge: Arc<EdgeMetrics>) -> Self {
        edge.cells.active_tunnels.fetch_add(1, Ordering::Relaxed);
        edge.cells.tunnels.fetch_add(1, Ordering::Relaxed);
        Self { edge }
    }

    /// Where its bytes are counted as they pass.
    pub(crate) fn counters(&self) -> &TunnelCounters {
        &self.edge.cells.tunnel_bytes
    }

    /// So many bytes went to the endpoint.
    #[inline]
    pub(crate) fn to_endpoint(&self, bytes: u64) {
        self.edge.cells.tunnel_bytes.up.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes came back.
    #[inline]
    pub(crate) fn to_caller(&self, bytes: u64) {
        self.edge.cells.tunnel_bytes.down.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.edge.cells.active_tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}
