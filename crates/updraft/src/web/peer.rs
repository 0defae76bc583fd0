//! Who is on the other side of a request.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;

use crate::api::{Input, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::http::Refusal;
use crate::in_hand::InHand;
use crate::metrics::HttpServer;

/// Who sent a request: an extractor.
///
/// ```
/// use updraft::http::Peer;
///
/// async fn who(peer: Peer) -> String {
///     match (peer.identity(), peer.ip()) {
///         (Some(identity), _) => format!("{identity:?}"),
///         (None, Some(ip)) => ip.to_string(),
///         (None, None) => "somebody at the Unix socket".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Peer {
    ip: Option<IpAddr>,
    connection: Option<Arc<Connected>>,
}

/// The names in the certificate that a client has proven itself by (mutual TLS).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The URI names, such as `spiffe://shop/orders` (SPIFFE-ID).
    pub uris: Vec<String>,
    /// The DNS names.
    pub dns_names: Vec<String>,
}

/// What is known of a connection when it is open.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: bool,
    pub(super) identity: Option<PeerIdentity>,
    /// Where its requests are counted. Each of them counts as an owner of its connection, which
    /// no other thread changes meanwhile, and not of what all connections share.
    pub(super) http: HttpServer,
    /// Who a test says that its caller is.
    #[cfg(feature = "testing")]
    pub(super) caller: Option<crate::auth::Caller>,
}

impl Connected {
    /// Nobody has proven anything.
    pub(super) fn new(address: Option<SocketAddr>, http: &HttpServer) -> Self {
        Self {
            address,
            tls: false,
            identity: None,
            http: http.clone(),
            #[cfg(feature = "testing")]
            caller: None,
        }
    }
}

impl Peer {
    pub(super) fn new(ip: Option<IpAddr>, connection: Arc<Connected>) -> Self {
        Self { ip, connection: Some(connection) }
    }

    pub(crate) fn http(&self) -> Option<&HttpServer> {
        self.connection.as_ref().map(|connection| &connection.http)
    }

    /// The address of the client: whom the proxies of `TRUSTED_PROXIES` name, else the other
    /// end of the connection. `None` at a Unix socket where nobody trusted says more.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Who the client has proven to be by a certificate (`TLS_CLIENT_CA`).
    pub fn identity(&self) -> Option<&PeerIdentity> {
        self.connection.as_ref()?.identity.as_ref()
    }

    /// Whether the connection to this process is encrypted by TLS.
    pub fn is_tls(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.tls)
    }

    /// That of the request that these extensions are of, which is the one in hand.
    fn of(extensions: &Extensions) -> Self {
        let own = extensions.get::<Self>().cloned();
        own.or_else(|| InHand::current(|hand| hand.peer().clone())).unwrap_or_default()
    }
}

impl PeerIdentity {
    /// The SPIFFE ID, when there is exactly one, as the X.509-SVID standard demands.
    pub fn spiffe_id(&self) -> Option<&str> {
        let mut ids = self.uris.iter().filter(|uri| uri.starts_with("spiffe://"));
        match (ids.next(), ids.next()) {
            (Some(id), None) => Some(id),
            _ => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl<A: App> Input<A> for Peer {
    const ROUTED: bool = false;

    async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
        Ok(Self::of(&received.parts().extensions))
    }

    fn describe(_: &mut Shape<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_with_two_spiffe_ids_is_nobody() {
        let identity = |uris: &[&str]| PeerIdentity {
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            dns_names: Vec::new(),
        };
        assert_eq!(identity(&["spiffe://a/b"]).spiffe_id(), Some("spiffe://a/b"));
        assert_eq!(identity(&["https://x", "spiffe://a/b"]).spiffe_id(), Some("spiffe://a/b"));
        assert_eq!(identity(&["spiffe://a/b", "spiffe://a/c"]).spiffe_id(), None);
        assert_eq!(identity(&[]).spiffe_id(), None);
    }
}
