//! A gateway of one edge, with the outside and the metrics beside it.

use std::net::SocketAddr;

use tokio::net::TcpSocket;
use updraft_mesh::{Gateway, Options};
use updraft_system::mesh::GatewayConfig;

/// A running gateway between `cart` and `pricing`.
pub(crate) struct Mesh {
    pub(crate) gateway: Gateway,
    /// Where `cart` calls `pricing`.
    pub(crate) edge: SocketAddr,
    /// Where the outside comes in.
    pub(crate) ingress: SocketAddr,
    /// Where the metrics are.
    pub(crate) admin: SocketAddr,
    /// Ports that no other test gets meanwhile.
    _held: Vec<TcpSocket>,
}

/// A port that is this test's own: a socket that is bound and does not listen keeps it.
pub(crate) fn port() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

impl Mesh {
    /// With all defaults, for HTTP/1.
    pub(crate) fn http1(upstream: SocketAddr) -> Self {
        Self::start("http1", upstream, "", "")
    }

    /// With all defaults, for HTTP/2.
    pub(crate) fn h2c(upstream: SocketAddr) -> Self {
        Self::start("h2c", upstream, "", "")
    }

    /// For bytes.
    pub(crate) fn tcp(upstream: SocketAddr, limits: &str) -> Self {
        Self::of("tcp", upstream, limits, "", "")
    }

    /// `limits` and `calls` are lines of their tables in TOML.
    pub(crate) fn start(protocol: &str, upstream: SocketAddr, limits: &str, calls: &str) -> Self {
        Self::of(protocol, upstream, limits, calls, "routes = [{ path = \"/\", to = \"pricing\" }]")
    }

    fn of(protocol: &str, upstream: SocketAddr, limits: &str, calls: &str, routes: &str) -> Self {
        let ((edge, one), (ingress, two), (admin, three)) = (port(), port(), port());
        let config = format!(
            r#"
            system = "shop"
            admin = "{admin}"
            [limits]
            {limits}
            [[edges]]
            from = "cart"
            to = "pricing"
            listen = "{edge}"
            [edges.calls]
            {calls}
            [clusters.pricing]
            protocol = "{protocol}"
            endpoints = [{{ address = "{upstream}" }}]
            [ingress]
            listen = "{ingress}"
            {routes}
            [ingress.calls]
            {calls}
            "#
        );
        let config: GatewayConfig = toml::from_str(&config).unwrap();
        let gateway = Gateway::start(&config, Options::default()).unwrap();
        Self { gateway, edge, ingress, admin, _held: vec![one, two, three] }
    }

    /// How often a limit was hit.
    pub(crate) fn limit(&self, name: &str) -> u64 {
        self.count(&format!("updraft_mesh_limits_hit_total{{limit=\"{name}\"}}"))
    }

    /// The value of a series, 0 if there is none.
    pub(crate) fn count(&self, series: &str) -> u64 {
        let text = self.gateway.metrics();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The sum of a metric's series that have this label.
    pub(crate) fn sum(&self, metric: &str, label: &str) -> u64 {
        let text = self.gateway.metrics();
        let series = text.lines().filter(|line| line.starts_with(metric) && line.contains(label));
        let value = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
        series.map(value).sum()
    }
}
