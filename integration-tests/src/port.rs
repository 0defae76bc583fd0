//! Ports for tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use anyhow::{Context, Result};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// Keeps promised ports.
static PROMISED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A port that nobody else gets as long as this test runs: a bound socket that does not listen
/// keeps it. A server that sets `SO_REUSEADDR`, as servers do, may listen there.
pub fn free_port() -> Result<u16> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = SocketAddr::try_from(getsockname(&socket)?).context("no address")?;
    if let Ok(mut promised) = PROMISED.lock() {
        promised.push(socket);
    }
    Ok(address.port())
}
