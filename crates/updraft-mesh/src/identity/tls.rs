//! The configurations of mutual TLS: version 1.3 only, no resumption, certificates and trust
//! looked up at each handshake, so that a rotation needs no new configuration.
//!
//! A resumed session restores the certificate of the peer without checking it again: neither
//! its end, nor the bundle, nor the denied. So both sides are without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, CommonState, ServerConfig, SignatureScheme};

use super::provider::{SCHEME, provider};
use super::spiffe::SpiffeId;
use super::svid::{NotAnSvid, Svid};
use super::verifier::{Denied, PeerVerifier};
use super::workload::Workload;

/// What is spoken inside TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Alpn {
    /// HTTP/2.
    H2,
    /// HTTP/1.1.
    Http1,
    /// Bytes in both directions.
    Tcp,
}

/// Who is at the other end of a connection that has shaken hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: SpiffeId,
    /// When its certificate ends: the connection must be no older.
    pub(crate) not_after: UnixTime,
    pub(crate) alpn: Alpn,
}

/// A configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the provider of cryptography does not do TLS 1.3")]
    Provider(#[source] rustls::Error),
    #[error("a listener needs one service at least")]
    NoService,
}

/// Nobody that can be named is at the other end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("the peer has shown no certificate")]
    NoCertificate,
    #[error("the peer has no certificate of a workload")]
    Svid(#[source] NotAnSvid),
    #[error("no protocol was agreed upon")]
    NoProtocol,
}

impl Alpn {
    /// Its name on the wire.
    pub(crate) const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::H2 => b"h2",
            Self::Http1 => b"http/1.1",
            Self::Tcp => b"updraft-tcp/1",
        }
    }

    fn from_bytes(name: &[u8]) -> Option<Self> {
        [Self::H2, Self::Http1, Self::Tcp].into_iter().find(|alpn| alpn.as_bytes() == name)
    }

    fn names(list: &[Self]) -> Vec<Vec<u8>> {
        list.iter().map(|alpn| alpn.as_bytes().to_vec()).collect()
    }
}

impl Peer {
    /// Who it is. To be asked once for each connection.
    ///
    /// # Errors
    ///
    /// When the handshake is not over, or no protocol was agreed upon: a client that offers
    /// none is none of ours.
    pub(crate) fn of(connection: &CommonState) -> Result<Self, PeerError> {
        let chain = connection.peer_certificates().ok_or(PeerError::NoCertificate)?;
        let leaf = chain.first().ok_or(PeerError::NoCertificate)?;
        let svid = Svid::parse(leaf).map_err(PeerError::Svid)?;
        let alpn = connection.alpn_protocol().and_then(Alpn::from_bytes);
        let alpn = alpn.ok_or(PeerError::NoProtocol)?;
        Ok(Self { id: svid.id, not_after: svid.not_after, alpn })
    }
}

/// For a listener that serves these services: the client names one of them by SNI, and is
/// refused when it names another or none. All of them are of one system, and share its trust.
///
/// # Errors
///
/// When there is no service.
pub(crate) fn server_config(
    services: &[Arc<Workload>],
    denied: &Arc<Denied>,
    alpn: &[Alpn],
) -> Result<Arc<ServerConfig>, TlsError> {
    let first = services.first().ok_or(TlsError::NoService)?;
    let verifier = PeerVerifier {
        trust: Arc::clone(first.trust()),
        denied: Arc::clone(denied),
        expected: None,
    };
    let by_name = services.iter().map(|service| (service.id().sni(), Arc::clone(service)));
    let mut config =
        ServerConfig::builder_with_details(provider(), Arc::new(first.clock().clone()))
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Provider)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(ByServerName(by_name.collect())));
    config.alpn_protocols = Alpn::names(alpn);
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// For connections of one service to another.
///
/// # Errors
///
/// When the provider of cryptography is not ours.
pub(crate) fn client_config(
    caller: &Arc<Workload>,
    expected: SpiffeId,
    denied: &Arc<Denied>,
    alpn: &[Alpn],
) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = PeerVerifier {
        trust: Arc::clone(caller.trust()),
        denied: Arc::clone(denied),
        expected: Some(expected),
    };
    let mut config =
        ClientConfig::builder_with_details(provider(), Arc::new(caller.clock().clone()))
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(OfCaller(Arc::clone(caller))));
    config.alpn_protocols = Alpn::names(alpn);
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The certificates of a listener, by the name that clients ask for.
#[derive(Debug)]
struct ByServerName(BTreeMap<String, Arc<Workload>>);

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives the name in small letters.
        let service = self.0.get(hello.server_name()?)?;
        hello.signature_schemes().contains(&SCHEME).then(|| service.certified())?
    }
}

/// The certificate of the one who calls.
#[derive(Debug)]
struct OfCaller(Arc<Workload>);

impl ResolvesClientCert for OfCaller {
    fn resolve(&self, _roots: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.contains(&SCHEME).then(|| self.0.certified())?
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
