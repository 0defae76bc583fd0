//! One edge at work: everything that a call of `from` to `to` needs to know, in one place.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use updraft_resilience::Instant;
use updraft_resilience::breaker::State;
use updraft_system::Name;
use updraft_system::mesh::{Authorization, BreakerState, Calls, EndpointReport, Limits, Protocol};

use crate::balance::{Balancer, EndpointSnapshot, VersionSplit};
use crate::instrument::{Instrument, stream};
use crate::observe::EdgeMetrics;
use crate::operations::Operations;
use crate::phase::PhaseWatch;
use crate::policy::EdgePolicy;
use crate::target::Targets;
use crate::traffic::Rules;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Caller {
    /// A service of the system.
    Service(Name),
    /// Somebody outside, through the ingress.
    Outside,
}

/// Which way a call comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Direction {
    /// From a program on this machine, or from outside, to wherever the endpoints are.
    Outbound,
    /// From another gateway to a program on this machine.
    Inbound,
}

/// What makes an edge the same one in two configurations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) from: Caller,
    pub(crate) to: Name,
    pub(crate) direction: Direction,
}

/// An edge.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) key: EdgeKey,
    /// The caller as rules and labels have it.
    pub(crate) caller: Name,
    pub(crate) protocol: Protocol,
    /// What instruments make of its bytes.
    pub(crate) framing: stream::Protocol,
    pub(crate) authorization: Authorization,
    pub(crate) calls: Calls,
    pub(crate) operations: Operations,
    pub(crate) rules: Rules,
    pub(crate) split: Option<VersionSplit>,
    pub(crate) limits: Arc<Limits>,
    /// Ends when the edge is withdrawn.
    pub(crate) end: PhaseWatch,
    /// What lives longer than one configuration, and always fits the newest: an attempt by an
    /// older one may choose an endpoint that the newer has brought.
    pub(crate) targets: Arc<ArcSwap<Targets>>,
    pub(crate) policy: EdgePolicy,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) metrics: Arc<EdgeMetrics>,
}

impl Edge {
    /// Its endpoints at this moment.
    pub(crate) fn endpoints(&self, now: Instant) -> Vec<EndpointReport> {
        let report = |endpoint: EndpointSnapshot| EndpointReport {
            address: endpoint.address,
            incarnation: endpoint.incarnation,
            version: endpoint.version,
            weight: endpoint.weight,
            active_requests: u64::from(endpoint.in_flight),
            latency_nanos: endpoint
                .latency
                .map(|latency| u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)),
            breaker: match endpoint.breaker {
                State::Closed => BreakerState::Closed,
                State::Open => BreakerState::Open,
                State::HalfOpen => BreakerState::HalfOpen,
            },
            ejected: endpoint.ejected,
            requests: endpoint.requests,
            failures: endpoint.failures,
        };
        self.balancer.snapshot(now).into_iter().map(report).collect()
    }
}

impl fmt::Display for EdgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.direction {
            Direction::Outbound => "",
            Direction::Inbound => " (inbound)",
        };
        write!(f, "{}->{}{side}", self.from.name(), self.to)
    }
}

impl Caller {
    /// The name in labels and rules.
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Service(name) => name.clone(),
            Self::Outside => Name::ingress(),
        }
    }
}
