//! What a connection leads to: the key under which connections are kept and shared.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// What is spoken on a connection. It is declared, never negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many requests at a time; in plain with prior knowledge (RFC 9113, section 3.3).
    Http2,
}

/// How a connection is secured.
#[derive(Clone)]
pub(crate) struct TargetTls {
    /// Verifies the peer and holds the own certificate. Two configurations are the same when
    /// they are one allocation.
    pub(crate) config: Arc<ClientConfig>,
    /// What the peer must be.
    pub(crate) name: ServerName<'static>,
}

/// One life of one endpoint, reached in one way. Cheap to clone; two targets are equal when a
/// connection to the one can serve the other.
#[derive(Clone)]
pub(crate) struct Target(Arc<Parts>);

struct Parts {
    address: SocketAddr,
    incarnation: u64,
    protocol: Protocol,
    tls: Option<TargetTls>,
    not_after: Option<SystemTime>,
    hash: u64,
}

impl Target {
    /// An endpoint that is reached in plain.
    pub(crate) fn plain(address: SocketAddr, incarnation: u64, protocol: Protocol) -> Self {
        Self::new(address, incarnation, protocol, None, None)
    }

    /// An endpoint that is reached by TLS. A connection is not used after `not_after`, the end
    /// of the certificate's life; it is no part of the key, so a renewed certificate in the
    /// same configuration leaves the connections as they are.
    pub(crate) fn secured(
        address: SocketAddr,
        incarnation: u64,
        protocol: Protocol,
        tls: TargetTls,
        not_after: Option<SystemTime>,
    ) -> Self {
        Self::new(address, incarnation, protocol, Some(tls), not_after)
    }

    fn new(
        address: SocketAddr,
        incarnation: u64,
        protocol: Protocol,
        tls: Option<TargetTls>,
        not_after: Option<SystemTime>,
    ) -> Self {
        // Keys come from the configuration, not from peers: a fixed hash is safe, and saves
        // every request the work.
        let mut hasher = DefaultHasher::new();
        (address, incarnation, protocol).hash(&mut hasher);
        if let Some(tls) = &tls {
            Arc::as_ptr(&tls.config).hash(&mut hasher);
            tls.name.hash(&mut hasher);
        }
        let hash = hasher.finish();
        Self(Arc::new(Parts { address, incarnation, protocol, tls, not_after, hash }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Which life of the endpoint this is.
    pub(crate) fn incarnation(&self) -> u64 {
        self.0.incarnation
    }

    /// What is spoken.
    pub(crate) fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// How it is secured; `None`: in plain.
    pub(crate) fn tls(&self) -> Option<&TargetTls> {
        self.0.tls.as_ref()
    }

    pub(super) fn not_after(&self) -> Option<SystemTime> {
        self.0.not_after
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        let tls = match (&a.tls, &b.tls) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(&a.config, &b.config) && a.name == b.name,
            _ => false,
        };
        Arc::ptr_eq(&self.0, &other.0)
            || (tls
                && (a.address, a.incarnation, a.protocol) == (b.address, b.incarnation, b.protocol))
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.0.address)
            .field("incarnation", &self.0.incarnation)
            .field("protocol", &self.0.protocol)
            .field("tls", &self.0.tls.as_ref().map(|tls| &tls.name))
            .finish()
    }
}
