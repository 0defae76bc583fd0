//! From the graph and the board to what the gateway is told: always the full state.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use updraft_system::mesh::{
    Calls, ClusterConfig, EdgeConfig, EndpointConfig, EndpointTls, Framing, GatewayConfig,
    IdentityConfig, IngressConfig, IngressRoute, MeshListener, Mtls, Protocol, Traffic,
};
use updraft_system::{LogSource, Name, ProcessState, Role, Service, System, Target};

use super::Behind;
use crate::board::{Board, Row};

/// The owner of the port where the outside comes in.
pub(crate) const INGRESS: &str = "ingress";
/// The owner of the port with metrics and health of the gateway.
pub(crate) const ADMIN: &str = "gateway.admin";
/// The owner of the port where other gateways come in.
pub(crate) const MESH: &str = "gateway.mesh";

/// What the gateway's configuration follows from.
pub(crate) struct Situation<'a> {
    pub(crate) system: &'a System,
    /// Reserved ports by owner.
    pub(crate) ports: &'a BTreeMap<String, u16>,
    /// Resources that are behind the gateway, and where they are.
    pub(crate) resources: &'a BTreeMap<Name, Behind>,
    pub(crate) board: &'a Board,
    /// Traffic that was changed at run time.
    pub(crate) traffic: &'a BTreeMap<Name, Traffic>,
}

/// The owner of the port of an edge.
pub(crate) fn edge(from: &Name, to: &Name) -> String {
    format!("{from}->{to}")
}

impl Situation<'_> {
    /// The configuration number `version`.
    pub(crate) fn config(&self, version: u64) -> GatewayConfig {
        let settings = &self.system.mesh;
        let mut clusters: BTreeMap<Name, ClusterConfig> = self
            .system
            .services
            .values()
            .filter(|service| service.has_address())
            .map(|service| (service.name.clone(), self.service(service)))
            .collect();
        clusters
            .extend(self.resources.iter().map(|(name, behind)| (name.clone(), resource(*behind))));
        GatewayConfig {
            system: self.system.name.clone(),
            version,
            authorization: settings.authorization,
            edges: self.edges(),
            clusters,
            ingress: self.listen(INGRESS).map(|listen| self.ingress(listen)),
            mesh: self.listen(MESH).map(|listen| self.mesh(listen)),
            identity: Some(self.identity()),
            admin: self.listen(ADMIN),
            telemetry: settings.telemetry.clone(),
            limits: settings.limits.clone(),
        }
    }

    fn listen(&self, owner: &str) -> Option<SocketAddr> {
        self.ports.get(owner).copied().map(local)
    }

    fn edges(&self) -> Vec<EdgeConfig> {
        let of = |service: &Service| {
            let edge = |need: &updraft_system::Need| {
                let to = need.target.name();
                let known = match &need.target {
                    Target::Service(_) => true,
                    Target::Resource(name) => self.resources.contains_key(name),
                };
                known.then(|| EdgeConfig {
                    from: service.name.clone(),
                    to: to.clone(),
                    listen: self.listen(&edge(&service.name, to)),
                    only: need.only.clone(),
                    calls: service.calls.get(to).cloned().unwrap_or_default(),
                })
            };
            service.needs.iter().filter_map(edge).collect::<Vec<_>>()
        };
        self.system.services.values().flat_map(of).collect()
    }

    fn service(&self, service: &Service) -> ClusterConfig {
        let rows = self.board.rows.iter();
        let mut endpoints: Vec<EndpointConfig> =
            rows.filter_map(|(source, row)| replica(service, source, row)).collect();
        if self.system.mesh.mtls == Mtls::Always
            && let Some(listen) = self.listen(MESH)
            && !endpoints.is_empty()
        {
            endpoints.push(EndpointConfig { tls: EndpointTls::Mutual, ..endpoint(listen) });
        }
        let traffic = self.traffic.get(&service.name).unwrap_or(&service.traffic);
        ClusterConfig {
            protocol: service.protocol,
            framing: Framing::Opaque,
            endpoints,
            operations: service.operations.clone(),
            traffic: traffic.clone(),
        }
    }

    fn ingress(&self, listen: SocketAddr) -> IngressConfig {
        let services = self.system.services.values();
        let route = |service: &Service| {
            let path = service.route.clone()?;
            Some(IngressRoute { path, to: service.name.clone() })
        };
        IngressConfig {
            listen,
            proxy_protocol: self.system.mesh.proxy_protocol,
            routes: services.filter_map(route).collect(),
            calls: Calls::default(),
        }
    }

    /// Every service has one: to call, to be called, or both.
    fn identity(&self) -> IdentityConfig {
        IdentityConfig { issuer: None, services: self.system.services.keys().cloned().collect() }
    }

    fn mesh(&self, listen: SocketAddr) -> MeshListener {
        let services = self.system.services.values().filter(|service| service.has_address());
        MeshListener { listen, services: services.map(|service| service.name.clone()).collect() }
    }
}

/// A replica that may receive work now.
fn replica(service: &Service, source: &LogSource, row: &Row) -> Option<EndpointConfig> {
    let works = row.state == ProcessState::Ready && row.role == Role::Serving;
    if source.service != service.name || !works {
        return None;
    }
    let version = service.processes.get(&source.process)?.serves()?;
    Some(EndpointConfig {
        // Another life of the program is another pid.
        incarnation: u64::from(row.pid.unwrap_or_default()),
        version: Some(version),
        ..endpoint(local(row.port?))
    })
}

fn resource(behind: Behind) -> ClusterConfig {
    ClusterConfig {
        protocol: Protocol::Tcp,
        framing: behind.framing,
        endpoints: vec![endpoint(behind.address)],
        operations: BTreeMap::new(),
        traffic: Traffic::default(),
    }
}

fn endpoint(address: SocketAddr) -> EndpointConfig {
    EndpointConfig { address, incarnation: 0, version: None, weight: 1, tls: EndpointTls::Off }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
