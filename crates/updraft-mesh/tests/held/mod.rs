//! Ports for tests.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::TcpSocket;

/// Keeps promised ports: a bound socket that does not listen.
static PROMISED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());

/// A port that nobody else gets, and that nobody listens at. A server that sets `SO_REUSEADDR`,
/// as servers do, may.
pub(crate) fn port() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    PROMISED.lock().unwrap().push(socket);
    address
}
