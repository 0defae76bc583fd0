//! Who is at the other end of a connection within this machine: the kernel knows the user,
//! the inode and the control group of the socket. So a service needs no secret to be known to
//! its gateway.

mod diagnosis;
mod table;

use std::io;
use std::net::SocketAddr;

/// Who has the socket at the connecting end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// The user who made it.
    pub uid: u32,
    /// Its inode, which `/proc/PID/fd` of those who have it open shows.
    pub inode: u64,
    /// The control group in which it was made; `None`: the kernel does not tell.
    pub cgroup_id: Option<u64>,
}

/// The two ends of a connection, as its connecting end sees it.
#[derive(Clone, Copy)]
struct Ends {
    own: SocketAddr,
    other: SocketAddr,
}

/// The owner of the connecting end of an accepted TCP connection: `local` and `peer` are the
/// addresses as the accepting end sees them. One exact question to the kernel
/// (`sock_diag(7)`), and where it takes none, a look through `/proc/net/tcp`.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) when no program has that end open any more, or it is
/// not on this machine; else what the kernel said.
pub(crate) fn socket_owner(local: SocketAddr, peer: SocketAddr) -> io::Result<SocketOwner> {
    let ends = Ends { own: canonical(peer), other: canonical(local) };
    match diagnosis::owner(ends) {
        Ok(owner) => owner.ok_or_else(gone),
        // The kernel was built without it, a filter forbids it, or it does not know TCP (and
        // says of that, too, that there is no such thing).
        Err(_) => table::owner(ends)?.ok_or_else(gone),
    }
}

/// Whether a process has the socket with this inode open. One that is gone, or of another
/// user whose descriptors cannot be read, has not.
#[must_use]
pub fn owns_socket(pid: u32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
        .any(|target| target.as_os_str() == wanted.as_str())
}

/// A listener for both families sees addresses of IPv4 inside IPv6; the other end does not.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no program has the other end of the connection open")
}

#[cfg(test)]
#[path = "socket/socket_tests.rs"]
mod tests;
