//! Accepting connections: bounded, owned, and ended by the drain.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::phase::{Phase, PhaseWatch};

/// The pause after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// Opens a listening socket that other data threads can share.
///
/// # Errors
///
/// That of the system, such as an address in use.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // A port that was promised is held by a bound socket which does not listen.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Serves each connection with `serve` until the drain; at most `most` at once, and `full`
/// hears of it whenever they are. When it returns all its connections have ended.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    most: impl Fn() -> usize,
    mut phase: PhaseWatch,
    full: impl Fn(),
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < most() => match accepted {
                Ok((stream, peer)) => {
                    drop(stream.set_nodelay(true));
                    connections.spawn(serve(stream, peer));
                    if connections.len() == most() {
                        full();
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = phase.reaches(Phase::Draining) => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        () = phase.reaches(Phase::Closed) => connections.shutdown().await,
    }
}
