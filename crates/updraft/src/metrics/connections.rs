//! What the listener counts of its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Exposed, Kind, Text, labels};

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The client closed it.
    Ended,
    /// The client spoke no HTTP, or went away in the middle of something.
    Broken,
    /// A header was not complete in time.
    SlowHeader,
    /// Nothing was asked for long.
    Idle,
    /// The process drains.
    Drained,
}

const REASONS: [&str; 5] = ["ended", "broken", "slow_header", "idle", "drained"];

/// The counts of one listener. Clones are the same counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    accepted: AtomicU64,
    failed: AtomicU64,
    closed: [AtomicU64; REASONS.len()],
}

/// A connection that is open, or what has become of it; counted as closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    connections: Connections,
    reason: AtomicUsize,
}

impl Connections {
    /// A connection was accepted.
    pub(crate) fn accepted(&self) -> Open {
        self.shared.accepted.fetch_add(1, Ordering::Relaxed);
        Open { connections: self.clone(), reason: AtomicUsize::new(Closed::Broken as usize) }
    }

    /// `accept` failed, mostly for want of file descriptors.
    pub(crate) fn failed(&self) {
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Open {
    /// Why it ends.
    pub(crate) fn ends(&self, reason: Closed) {
        self.reason.store(reason as usize, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let reason = self.reason.load(Ordering::Relaxed);
        if let Some(count) = self.connections.shared.closed.get(reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Exposed for Connections {
    fn write(&self, text: &mut Text<'_>) {
        // Closed first: what is read later is never less, so that `open` is never below 0.
        let closed = self.shared.closed.each_ref().map(|count| count.load(Ordering::Relaxed));
        let accepted = self.shared.accepted.load(Ordering::Relaxed);
        let open = accepted.saturating_sub(closed.iter().sum());
        let name = "updraft_http_connections_open";
        text.family(name, Kind::Gauge, "Connections that are held.");
        text.gauge(name, "", open);
        let name = "updraft_http_connections_accepted";
        text.family(name, Kind::Counter, "Connections that were accepted.");
        text.counter(name, "", accepted);
        let name = "updraft_http_connections_closed";
        text.family(name, Kind::Counter, "Connections that were closed, by reason.");
        for (reason, count) in REASONS.iter().zip(closed) {
            text.counter(name, &labels([("reason", *reason)]), count);
        }
        let name = "updraft_http_accept_failures";
        text.family(name, Kind::Counter, "Connections that could not be accepted.");
        text.counter(name, "", self.shared.failed.load(Ordering::Relaxed));
    }
}
