//! Two gateways with mutual TLS between them: that of `cart`, and that of `pricing`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use updraft_mesh::{Certificates, Gateway, LocalIssuer, Options};
use updraft_system::mesh::{EndpointTls, GatewayConfig, IdentityConfig, MeshListener, Protocol};

use super::{cluster, edge, name, port, until};

/// The two, not started yet.
pub(crate) struct Pair {
    pub(crate) caller: GatewayConfig,
    pub(crate) callee: GatewayConfig,
    /// Where `cart` calls.
    pub(crate) port: SocketAddr,
    /// Where the gateway of `pricing` is called.
    pub(crate) mesh: SocketAddr,
    source: Source,
}

/// Where both get their certificates.
#[derive(Clone)]
pub(crate) enum Source {
    Local(LocalIssuer),
    Remote(PathBuf),
}

impl Source {
    pub(crate) fn local() -> Self {
        Self::Local(LocalIssuer::create(name("shop")).unwrap())
    }

    pub(crate) fn options(&self) -> Options {
        let certificates = match self {
            Self::Local(issuer) => Certificates::Local(issuer.clone()),
            Self::Remote(path) => Certificates::Remote(path.clone()),
        };
        Options { certificates: Some(certificates), ..Options::default() }
    }
}

impl Pair {
    pub(crate) fn new(source: Source, program: SocketAddr, protocol: Protocol) -> Self {
        let (at, mesh) = (port(), port());
        let identity = |service| {
            Some(IdentityConfig { issuer: Some("/nowhere".into()), services: vec![name(service)] })
        };
        let mut caller: GatewayConfig = toml::from_str("system = \"shop\"").unwrap();
        let mut callee = caller.clone();
        caller.edges = vec![edge("cart", "pricing", Some(at))];
        callee.edges = vec![edge("cart", "pricing", None)];
        let (mut there, mut here) = (cluster(&[mesh]), cluster(&[program]));
        there.endpoints[0].tls = EndpointTls::Mutual;
        (there.protocol, here.protocol) = (protocol, protocol);
        caller.clusters.insert(name("pricing"), there);
        callee.clusters.insert(name("pricing"), here);
        (caller.identity, callee.identity) = (identity("cart"), identity("pricing"));
        callee.mesh = Some(MeshListener { listen: mesh, services: vec![name("pricing")] });
        Self { caller, callee, port: at, mesh, source }
    }

    /// Starts both, and waits for their certificates.
    pub(crate) async fn start(&self) -> (Gateway, Gateway) {
        let start = |config| Gateway::start(config, self.source.options()).unwrap();
        let (caller, callee) = (start(&self.caller), start(&self.callee));
        certified(&caller, 1).await;
        certified(&callee, 1).await;
        (caller, callee)
    }
}

/// Waits until each service of a gateway has had so many certificates.
pub(crate) async fn certified(gateway: &Gateway, renewals: u64) {
    let all = || gateway.identities().iter().all(|served| served.renewals >= renewals);
    until("there are certificates", all).await;
}

/// A server of bytes that says all that it hears, and ends when its caller has.
pub(crate) async fn raw_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                if tokio::io::copy(&mut read, &mut write).await.is_ok() {
                    drop(write.shutdown().await);
                }
            });
        }
    });
    address
}
