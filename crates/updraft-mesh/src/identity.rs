//! Who a gateway is and who its peers are: authority, certificates, SPIFFE ids, mutual TLS,
//! and the owner of a socket on this machine.

mod authority;
mod bundle;
mod clock;
mod der;
#[cfg(test)]
mod forge;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod issuer;
mod key;
mod proof;
mod provider;
mod socket;
mod spiffe;
mod svid;
mod tls;
mod verifier;
mod workload;

pub use authority::{CertifyError, IssueError, OpenError, SealError, SealKey};
pub(crate) use bundle::Trust;
pub(crate) use clock::WallClock;
pub use issuer::{AuthorityError, LocalIssuer};
pub(crate) use issuer::{Issuer, RemoteIssuer};
pub(crate) use socket::socket_owner;
pub use socket::{SocketOwner, owns_socket};
pub(crate) use spiffe::SpiffeId;
pub(crate) use tls::{Alpn, Peer, client_config, server_config};
pub(crate) use verifier::Denied;
pub(crate) use workload::Workload;
