//! What a pool counts.

#[cfg(test)]
use std::sync::atomic::Ordering;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::Protocol;

/// What a pool has and has done, by protocol.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// HTTP/1.
    pub(crate) http1: ProtocolCounts,
    /// HTTP/2.
    pub(crate) http2: ProtocolCounts,
}

/// What a pool has and has done in one protocol.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtocolCounts {
    /// Connections that are open.
    pub(crate) open: usize,
    /// Those of them that serve no request.
    pub(crate) idle: usize,
    /// Connections opened, since the start.
    pub(crate) connects: u64,
    /// Connections that could not be opened, since the start.
    pub(crate) connect_failures: u64,
    /// Requests sent on a connection that had served another one, since the start.
    pub(crate) reuses: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    http1: Cells,
    http2: Cells,
}

#[derive(Default)]
pub(super) struct Cells {
    pub(super) open: AtomicUsize,
    pub(super) connects: AtomicU64,
    pub(super) connect_failures: AtomicU64,
    pub(super) reuses: AtomicU64,
}

impl Counters {
    pub(super) fn of(&self, protocol: Protocol) -> &Cells {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }

    /// What was counted, without the idle connections.
    #[cfg(test)]
    pub(super) fn read(&self) -> Counts {
        Counts { http1: self.http1.read(), http2: self.http2.read() }
    }
}

impl Cells {
    #[cfg(test)]
    fn read(&self) -> ProtocolCounts {
        ProtocolCounts {
            open: self.open.load(Ordering::Relaxed),
            idle: 0,
            connects: self.connects.load(Ordering::Relaxed),
            connect_failures: self.connect_failures.load(Ordering::Relaxed),
            reuses: self.reuses.load(Ordering::Relaxed),
        }
    }
}
