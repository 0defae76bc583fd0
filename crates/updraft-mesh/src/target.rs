//! How the endpoints of an edge are reached: kept ready, so that an attempt looks it up only.

use std::sync::Arc;

use updraft_system::mesh::{EndpointConfig, EndpointTls, Hop, Protocol};

use crate::balance::Endpoint;
use crate::edge::EdgeKey;
use crate::pool;
use crate::shared::Shared;

/// The ways to the endpoints of one edge.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    ready: Vec<Arc<Ready>>,
    /// Those of the configuration before that are not in this one: an attempt may have chosen
    /// one of them at this very moment.
    before: Vec<Arc<Ready>>,
}

#[derive(Debug)]
struct Ready {
    endpoint: EndpointConfig,
    target: pool::Target,
    /// For requests that take over their connection, which HTTP/2 cannot give away.
    upgrade: Option<pool::Target>,
}

impl Targets {
    /// What an attempt at any of `endpoints` needs. One that cannot be reached, for want of an
    /// identity, is left out.
    pub(crate) fn new(
        shared: &Shared,
        key: &EdgeKey,
        protocol: Protocol,
        hop: Hop,
        endpoints: &[EndpointConfig],
    ) -> Self {
        let ready = |endpoint: &EndpointConfig| {
            let way = |spoken| way(shared, key, protocol, endpoint, spoken);
            let spoken = spoken(protocol, hop, endpoint.tls);
            let other = protocol == Protocol::Http1 && spoken == pool::Protocol::Http2;
            let upgrade = if other { way(pool::Protocol::Http1) } else { None };
            Some(Arc::new(Ready { endpoint: endpoint.clone(), target: way(spoken)?, upgrade }))
        };
        Self { ready: endpoints.iter().filter_map(ready).collect(), before: Vec::new() }
    }

    /// The same, right after `old`.
    pub(crate) fn after(self, old: &Self) -> Self {
        let gone = |ready: &&Arc<Ready>| !self.ready.iter().any(|new| new.is_same(ready));
        let before = old.ready.iter().filter(gone).cloned().collect();
        Self { before, ..self }
    }

    /// The way to an endpoint; `None`: it is of another configuration, or has no way.
    pub(crate) fn of(&self, endpoint: &Endpoint, upgrade: bool) -> Option<&pool::Target> {
        let same = |ready: &&Arc<Ready>| {
            ready.endpoint.address == endpoint.address
                && ready.endpoint.incarnation == endpoint.incarnation
                && ready.endpoint.tls == endpoint.tls
        };
        let Ready { target, upgrade: other, .. } =
            &**self.ready.iter().chain(&self.before).find(same)?;
        Some(if upgrade { other.as_ref().unwrap_or(target) } else { target })
    }

    /// All of them, without those of the configuration before.
    pub(crate) fn all(&self) -> impl Iterator<Item = &pool::Target> {
        self.ready.iter().flat_map(|ready| [&ready.target].into_iter().chain(&ready.upgrade))
    }
}

impl Ready {
    fn is_same(&self, other: &Self) -> bool {
        self.endpoint.address == other.endpoint.address
            && self.endpoint.incarnation == other.endpoint.incarnation
            && self.endpoint.tls == other.endpoint.tls
    }
}

fn way(
    shared: &Shared,
    key: &EdgeKey,
    protocol: Protocol,
    endpoint: &EndpointConfig,
    spoken: pool::Protocol,
) -> Option<pool::Target> {
    let (address, incarnation) = (endpoint.address, endpoint.incarnation);
    match endpoint.tls {
        EndpointTls::Off => Some(pool::Target::plain(address, incarnation, spoken)),
        EndpointTls::Mutual => {
            let tls = shared.client_tls(key, protocol, spoken)?;
            Some(pool::Target::secured(address, incarnation, spoken, tls, None))
        }
    }
}

fn spoken(protocol: Protocol, hop: Hop, tls: EndpointTls) -> pool::Protocol {
    match (protocol, tls, hop) {
        (Protocol::H2c | Protocol::Grpc, ..) => pool::Protocol::Http2,
        (Protocol::Http1, EndpointTls::Mutual, Hop::H2) => pool::Protocol::Http2,
        (Protocol::Http1 | Protocol::Tcp, ..) => pool::Protocol::Http1,
    }
}
