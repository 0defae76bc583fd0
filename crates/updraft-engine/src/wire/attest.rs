//! Whether a connection to the port of an edge comes from a program of its caller: a process
//! on this machine cannot borrow the identity of another.

use updraft_mesh::{Attest, SocketOwner, owns_socket};
use updraft_system::Name;

use crate::scope::Scopes;

/// Knows the programs of a run.
#[derive(Debug)]
pub(crate) struct ScopeAttest {
    scopes: Scopes,
}

impl ScopeAttest {
    pub(crate) fn new(scopes: Scopes) -> Self {
        Self { scopes }
    }
}

impl Attest for ScopeAttest {
    /// The control group of the socket decides where there is one; else whether a descendant
    /// of the service's guardians holds the socket.
    fn is_of(&self, service: &Name, owner: &SocketOwner) -> bool {
        let members = self.scopes.of_service(service);
        let grouped = owner.cgroup_id.is_some_and(|id| members.in_group(id));
        grouped || members.processes().any(|pid| owns_socket(pid, owner.inode))
    }
}
