//! Configurations, and gateways that run by them.

use std::net::SocketAddr;

use updraft_mesh::{Gateway, Options};
use updraft_system::Name;
use updraft_system::mesh::{
    ClusterConfig, EdgeConfig, EdgeReport, EdgeSide, EndpointConfig, GatewayConfig, Operation,
};

use super::Upstream;
pub(crate) use crate::held::port;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn operation(text: &str) -> Operation {
    text.parse().unwrap()
}

pub(crate) fn endpoint(address: SocketAddr) -> EndpointConfig {
    EndpointConfig { address, incarnation: 0, version: None, weight: 1, tls: Default::default() }
}

/// `from` calls `to` at this port.
pub(crate) fn edge(from: &str, to: &str, listen: Option<SocketAddr>) -> EdgeConfig {
    let (from, to) = (name(from), name(to));
    EdgeConfig { from, to, listen, only: Vec::new(), calls: Default::default() }
}

pub(crate) fn cluster(endpoints: &[SocketAddr]) -> ClusterConfig {
    ClusterConfig {
        protocol: Default::default(),
        framing: Default::default(),
        endpoints: endpoints.iter().map(|address| endpoint(*address)).collect(),
        operations: Default::default(),
        traffic: Default::default(),
    }
}

/// `cart` calls `pricing` through a gateway.
pub(crate) struct Setup {
    pub(crate) config: GatewayConfig,
    pub(crate) port: SocketAddr,
}

impl Setup {
    pub(crate) fn new(endpoints: &[SocketAddr]) -> Self {
        let port = port();
        let mut config: GatewayConfig = toml::from_str("system = \"shop\"").unwrap();
        config.edges.push(edge("cart", "pricing", Some(port)));
        config.clusters.insert(name("pricing"), cluster(endpoints));
        Self { config, port }
    }

    pub(crate) fn of(upstream: &Upstream) -> Self {
        Self::new(&[upstream.address])
    }

    pub(crate) fn edge(&mut self) -> &mut EdgeConfig {
        &mut self.config.edges[0]
    }

    pub(crate) fn cluster(&mut self) -> &mut ClusterConfig {
        self.config.clusters.get_mut(&name("pricing")).unwrap()
    }

    pub(crate) fn start(&self) -> Gateway {
        self.start_with(Options::default())
    }

    pub(crate) fn start_with(&self, options: Options) -> Gateway {
        Gateway::start(&self.config, options).unwrap()
    }
}

/// What a gateway tells of its calls from one to the other.
pub(crate) fn report(gateway: &Gateway, from: &str, to: &str) -> EdgeReport {
    let of = |it: &EdgeReport| it.from == name(from) && it.to == name(to);
    let client = |it: &EdgeReport| it.side == EdgeSide::Client;
    let reports = gateway.report();
    let found = reports.iter().find(|it| of(it) && client(it)).or(reports.iter().find(|it| of(it)));
    found.unwrap().clone()
}
