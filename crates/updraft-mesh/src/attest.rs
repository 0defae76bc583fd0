//! Whether a connection to the port of an edge comes from a program of its caller, and whether
//! that is still there.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use updraft_system::Name;

use crate::connection::Borrowed;
use crate::gate::Presence;
use crate::identity::{SocketOwner, socket_owner};

/// Knows which processes belong to a service.
pub trait Attest: fmt::Debug + Send + Sync {
    /// Whether the owner of a connecting socket is a process of `service`. Asked once for
    /// each connection; may read `/proc`.
    fn is_of(&self, service: &Name, owner: &SocketOwner) -> bool;
}

/// A gateway beside one program, such as a sidecar: every process of these users is the
/// program's.
#[derive(Clone, Debug)]
pub struct UserAttest {
    /// The user ids.
    pub uids: Vec<u32>,
}

impl Attest for UserAttest {
    fn is_of(&self, _: &Name, owner: &SocketOwner) -> bool {
        self.uids.contains(&owner.uid)
    }
}

/// Whether whoever connected is still there, once it has ended its half of the connection.
pub(crate) fn presence(stream: &TcpStream) -> Presence {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        // The connection is no more.
        return Presence::Gone;
    };
    if !peer.ip().to_canonical().is_loopback() && peer.ip() != local.ip() {
        return Presence::Unknown;
    }
    match socket_owner(local, peer) {
        Ok(_) => Presence::Here,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Presence::Gone,
        Err(_) => Presence::Unknown,
    }
}

/// Who connected, when it is not `service`.
pub(crate) fn borrowed(
    attest: &dyn Attest,
    service: &Name,
    local: SocketAddr,
    peer: SocketAddr,
) -> Option<Borrowed> {
    match socket_owner(local, peer) {
        Ok(owner) if attest.is_of(service, &owner) => None,
        Ok(owner) => Some(Borrowed::Process { uid: Some(owner.uid) }),
        // It has closed already, or is on another machine: in any case nobody we know.
        Err(_) => Some(Borrowed::Process { uid: None }),
    }
}
