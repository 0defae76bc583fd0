//! The bounds of a pool.

use std::time::Duration;

use updraft_system::mesh::Limits;

/// Bounds and times of a [`Pool`](super::Pool).
#[derive(Clone, Debug)]
pub(crate) struct PoolConfig {
    /// The longest until a connection is open, with TLS. 1 s.
    pub(crate) connect_timeout: Duration,
    /// The longest that a request waits for a connection, be it a new one or one that another
    /// request gives back. 2 s.
    pub(crate) wait: Duration,
    /// Requests that wait for a connection to one target. 1024.
    pub(crate) waiters: usize,
    /// Connections to one target at once. 1024.
    pub(crate) connections: usize,
    /// Idle HTTP/1 connections that are kept for one target. 1024, as many as there may be: with
    /// fewer, a load that keeps more of them busy would close and open them without an end, and
    /// those that are not needed are closed after [`idle_http1`](Self::idle_http1).
    pub(crate) idle_per_target: usize,
    /// Idle HTTP/1 connections that are kept in all. 1024.
    pub(crate) idle_total: usize,
    /// The longest that an HTTP/1 connection waits for its next request. It has to be less
    /// than what servers wait, as they close without a word. 3 s.
    pub(crate) idle_http1: Duration,
    /// The same for HTTP/2, where a server says which requests it has not seen. 60 s.
    pub(crate) idle_http2: Duration,
    /// The oldest that a connection gets, give or take a tenth. 1 h.
    pub(crate) max_age: Duration,
    /// The longest that the body of a request may go on after its response has ended. 30 s.
    pub(crate) request_end: Duration,
    /// Requests on one HTTP/2 connection at once, or less if the peer wants so. 80.
    pub(crate) streams: usize,
    /// What a peer may send on one stream before it was read, in bytes. 256 KiB.
    pub(crate) stream_window: u32,
    /// The same for all streams of one connection. A multiple of the former, or one stream
    /// that nobody reads blocks the others. 1 MiB.
    pub(crate) connection_window: u32,
    /// How often an HTTP/2 peer is asked whether it is there. 10 s.
    pub(crate) ping_interval: Duration,
    /// How long it may take to answer. 20 s.
    pub(crate) ping_timeout: Duration,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`). 20 s.
    pub(crate) user_timeout: Duration,
    /// The head of a response, in bytes. 16 KiB.
    pub(crate) head_bytes: u32,
    /// Fields in the head of an HTTP/1 response. 100.
    pub(crate) head_fields: u32,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl From<&Limits> for PoolConfig {
    fn from(limits: &Limits) -> Self {
        Self {
            connect_timeout: limits.connect_timeout,
            wait: limits.connect_timeout.saturating_mul(2),
            waiters: 1024,
            connections: 1024,
            idle_per_target: 1024,
            idle_total: 1024,
            idle_http1: limits.upstream_idle,
            idle_http2: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
            request_end: Duration::from_secs(30),
            streams: 80,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(20),
            user_timeout: Duration::from_secs(20),
            head_bytes: limits.head_bytes,
            head_fields: limits.head_fields,
        }
    }
}
