//! What the listener and the admission count.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::Families;

/// The families of the HTTP side.
#[derive(Debug, Default)]
pub(crate) struct WebMetrics {
    /// Connections that had no room and wait in the kernel, seen as: the accept loop waits.
    pub(super) connections_full: Counter,
    pub(super) tls_handshakes_failed: Counter,
    pub(super) tls_reloads: Family<ReloadLabels, Counter>,
    /// Requests that wait for a place.
    pub(super) waiting: Gauge<i64, AtomicI64>,
    pub(super) rejected: Family<RejectedLabels, Counter>,
    pub(super) streams: Family<StreamLabels, Gauge<i64, AtomicI64>>,
}

/// Why a request was refused or given up before its handler was done.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub(super) enum Rejected {
    /// Too many at once.
    Overload,
    /// Too many of one client.
    Rate,
    /// The time was over.
    Deadline,
    /// The path is too long.
    Uri,
    /// The body is too large.
    BodySize,
    /// The body came too slowly.
    BodyTime,
    /// The body is packed in a way that is not understood.
    BodyEncoding,
}

/// How a stream speaks.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub(super) enum StreamKind {
    Sse,
    #[cfg(feature = "ws")]
    Websocket,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RejectedLabels {
    pub(super) reason: Rejected,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct StreamLabels {
    pub(super) kind: StreamKind,
}

/// Whether new certificates were taken.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReloadLabels {
    pub(super) outcome: &'static str,
}

impl WebMetrics {
    pub(super) fn reject(&self, reason: Rejected) {
        self.rejected.get_or_create(&RejectedLabels { reason }).inc();
    }

    /// Counts a stream until what is given is dropped.
    pub(super) fn stream(&self, kind: StreamKind) -> Counted {
        Counted::new(self.streams.get_or_create_owned(&StreamLabels { kind }))
    }
}

/// One more, while it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge<i64, AtomicI64>);

impl Counted {
    pub(super) fn new(gauge: Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Families for WebMetrics {
    fn register(registry: &mut Registry) -> Self {
        let made = Self::default();
        registry.register(
            "http_server_connections_full",
            "Times that accepting waited because MAX_CONNECTIONS were open",
            made.connections_full.clone(),
        );
        registry.register(
            "http_server_tls_handshakes_failed",
            "TLS handshakes that failed or took too long",
            made.tls_handshakes_failed.clone(),
        );
        registry.register(
            "http_server_tls_reloads",
            "Changes of the certificate files, by outcome",
            made.tls_reloads.clone(),
        );
        registry.register(
            "http_server_waiting_requests",
            "Requests that wait for one of MAX_REQUESTS places",
            made.waiting.clone(),
        );
        registry.register(
            "http_server_rejected_requests",
            "Requests refused or given up before their handler was done, by reason",
            made.rejected.clone(),
        );
        registry.register("http_server_streams", "Open streams, by kind", made.streams.clone());
        made
    }
}
