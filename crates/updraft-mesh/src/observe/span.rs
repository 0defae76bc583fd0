//! Spans: one for each request that is recorded, at each gateway it passes, until the exporter
//! takes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use updraft_system::Name;
use updraft_trace::{SpanId, TraceContext};

use super::outcome::Outcome;

/// One request at one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The span itself.
    pub(crate) context: TraceContext,
    /// What caused it, on the other side of a connection.
    pub(crate) parent: Option<SpanId>,
    /// Which end of the edge the gateway speaks for.
    pub(crate) kind: SpanKind,
    /// The caller.
    pub(crate) from: Name,
    /// What is called.
    pub(crate) to: Name,
    /// The method as it came.
    pub(crate) method: String,
    /// Method and path template; none where no operation fits.
    pub(crate) operation: Option<String>,
    /// When its head had come, in nanoseconds since 1970.
    pub(crate) start_unix_nanos: u64,
    /// When its response had ended.
    pub(crate) end_unix_nanos: u64,
    /// The status that the caller got.
    pub(crate) status: Option<u16>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// The endpoint of the last attempt.
    pub(crate) endpoint: Option<SocketAddr>,
    /// Of HTTP with its caller: `1.0`, `1.1` or `2`.
    pub(crate) protocol_version: &'static str,
}

/// Which end of a call a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Of what is called, or of the ingress.
    Server,
    /// Of the caller.
    Client,
}

impl Span {
    /// Whose span it is.
    pub(super) const fn service(&self) -> &Name {
        match self.kind {
            SpanKind::Server => &self.to,
            SpanKind::Client => &self.from,
        }
    }
}

/// What became of spans.
#[derive(Debug, Default)]
pub(crate) struct SpanCounts {
    exported: AtomicU64,
    queue_full: AtomicU64,
    refused: AtomicU64,
    unreachable: AtomicU64,
}

impl SpanCounts {
    pub(super) fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Those that were lost, by reason.
    pub(super) fn dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("queue_full", self.queue_full.load(Ordering::Relaxed)),
            ("refused", self.refused.load(Ordering::Relaxed)),
            ("unreachable", self.unreachable.load(Ordering::Relaxed)),
        ]
    }

    pub(super) fn add_exported(&self, count: u64) {
        self.exported.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_refused(&self, count: u64) {
        self.refused.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_unreachable(&self, count: u64) {
        self.unreachable.fetch_add(count, Ordering::Relaxed);
    }
}

/// Where data threads put spans. A clone is the same queue.
#[derive(Clone, Debug)]
pub(crate) struct SpanQueue {
    sender: mpsc::Sender<Span>,
    counts: Arc<SpanCounts>,
}

impl SpanQueue {
    /// The most spans that wait: four batches, as OpenTelemetry's batch processor has it.
    pub(crate) const LENGTH_MAX: usize = 2048;

    pub(super) fn new(counts: Arc<SpanCounts>) -> (Self, mpsc::Receiver<Span>) {
        let (sender, receiver) = mpsc::channel(Self::LENGTH_MAX);
        (Self { sender, counts }, receiver)
    }

    /// Takes a span, or counts it as lost when there is no room. It never waits.
    pub(crate) fn offer(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.counts.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}
