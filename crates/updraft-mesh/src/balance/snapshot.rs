//! What is known of an endpoint at one moment, for `updraft top` and metrics.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use updraft_resilience::Instant;
use updraft_resilience::breaker::State;
use updraft_system::Name;

use super::Endpoint;

/// What is known of an endpoint at one moment. The numbers are read one after the other while
/// requests go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndpointSnapshot {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Which life of it this is.
    pub(crate) incarnation: u64,
    /// The release it runs.
    pub(crate) version: Option<Name>,
    /// Its part of the work relative to others; 0: it gets none.
    pub(crate) weight: u32,
    /// Which part of its share it gets now, 0 to 1: less while it starts slowly or has asked
    /// for less.
    pub(crate) share: f64,
    /// Attempts that are under way.
    pub(crate) in_flight: u32,
    /// The peak-sensitive average of its latencies; `None` before the first answer.
    pub(crate) latency: Option<Duration>,
    /// Its breaker.
    pub(crate) breaker: State,
    /// Whether it gets nothing but probes. An endpoint whose breaker is open may be used all
    /// the same when too many are.
    pub(crate) ejected: bool,
    /// Whether it has asked for less load.
    pub(crate) overloaded: bool,
    /// Attempts that were sent to it in this life.
    pub(crate) requests: u64,
    /// Those of them that failed.
    pub(crate) failures: u64,
    /// How often its breaker has opened.
    pub(crate) ejections: u64,
}

impl EndpointSnapshot {
    pub(super) fn of(endpoint: &Endpoint, weight: u32, ejected: bool, now: Instant) -> Self {
        let latency = endpoint.latency.seconds(now);
        Self {
            address: endpoint.address,
            incarnation: endpoint.incarnation,
            version: endpoint.version.clone(),
            weight,
            share: endpoint.share(now),
            in_flight: endpoint.in_flight.load(Ordering::Relaxed),
            latency: latency.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok()),
            breaker: endpoint.state(now),
            ejected,
            overloaded: endpoint.is_overloaded(now),
            requests: endpoint.tally.requests.load(Ordering::Relaxed),
            failures: endpoint.tally.failures.load(Ordering::Relaxed),
            ejections: endpoint.tally.ejections.load(Ordering::Relaxed),
        }
    }
}
