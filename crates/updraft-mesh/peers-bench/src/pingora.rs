//! The smallest proxy on Pingora: one thread, no hooks but the choice of the upstream.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::ALPN;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::tls::pkey::PKey;
use pingora::tls::ssl::{SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion};
use pingora::tls::x509::X509;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::CertKey;

use crate::certificates;
use crate::peers::{Hop, Side};

struct Proxy {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _context: &mut (),
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// Forwards until it is ended. `folder` has the certificates.
pub fn serve(
    side: Side,
    hop: Hop,
    listen: SocketAddr,
    upstream: SocketAddr,
    folder: &Path,
) -> Result<()> {
    let configuration = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let peer = match side {
        Side::Out => peer_by_tls(hop, upstream, folder)?,
        Side::Plain | Side::In => HttpPeer::new(upstream, false, String::new()),
    };
    let mut service = http_proxy_service(&server.configuration, Proxy { peer });
    if side == Side::In {
        service.add_tls_with_settings(&listen.to_string(), None, listener(folder)?);
    } else {
        service.add_tcp(&listen.to_string());
    }
    server.add_service(service);
    server.run_forever()
}

fn peer_by_tls(hop: Hop, upstream: SocketAddr, folder: &Path) -> Result<HttpPeer> {
    let read = |name| fs::read(folder.join(name));
    let leaf = X509::from_pem(&read("leaf.pem")?)?;
    let key = PKey::private_key_from_pem(&read("key.pem")?)?;
    let identity = Arc::new(CertKey::new(vec![leaf], key));
    let mut peer = HttpPeer::new_mtls(upstream, certificates::NAME.to_owned(), identity);
    peer.options.ca = Some(Arc::new(Box::new([X509::from_pem(&read("ca.pem")?)?])));
    peer.options.alpn = if hop == Hop::H2 { ALPN::H2 } else { ALPN::H1 };
    peer.options.max_h2_streams = 128;
    Ok(peer)
}

fn listener(folder: &Path) -> Result<TlsSettings> {
    let path = |name| Some(folder.join(name).to_str()?.to_owned());
    let (leaf, key) = path("leaf.pem").zip(path("key.pem")).context("a folder in UTF-8")?;
    let mut settings = TlsSettings::intermediate(&leaf, &key)?;
    settings.set_ca_file(folder.join("ca.pem"))?;
    settings.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    settings.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    settings.set_session_cache_mode(SslSessionCacheMode::OFF);
    settings.set_options(SslOptions::NO_TICKET);
    settings.set_num_tickets(0)?;
    settings.enable_h2();
    Ok(settings)
}
