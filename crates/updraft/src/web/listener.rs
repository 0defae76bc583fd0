//! Where connections come from: a TCP port, a Unix socket, or a socket that a supervisor
//! holds and hands over.

mod socket_file;
mod stream;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::config::Variable;
use socket_file::SocketFile;
pub(crate) use socket_file::SocketMode;
pub(super) use stream::{Ahead, Stream};

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: u32 = 1024;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A TCP port; port 0 for any that is free.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Its path, absolute.
        path: PathBuf,
        /// Who may connect.
        mode: SocketMode,
    },
    /// The first socket that the supervisor has handed over (`sd_listen_fds(3)`).
    HandedOver,
}

/// There is no listening.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on {address}: check HOST and PORT, and what else listens there")]
    Tcp { address: SocketAddr, source: std::io::Error },
    #[error("cannot listen on {}: check LISTEN, and who may write to the folder", path.display())]
    Unix { path: PathBuf, source: std::io::Error },
    #[error("another process listens on {}: stop it, or set LISTEN to another path", path.display())]
    InUse { path: PathBuf },
    #[error("{} is no socket and is left alone: set LISTEN to another path", path.display())]
    NoSocket { path: PathBuf },
    #[error("no socket was handed over: LISTEN_FDS and LISTEN_PID of this process name none")]
    NothingHandedOver,
    #[error("the socket that was handed over is neither a TCP nor a Unix listener")]
    HandedOver(#[source] std::io::Error),
}

/// A bound socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// With its file when it is ours to remove.
    Unix(UnixListener, Option<SocketFile>),
}

impl Variable for Listen {
    const EXPECTED: &'static str =
        "`unix:` and an absolute path, such as unix:/run/shop.sock, or `systemd`";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "systemd" {
            return Ok(Self::HandedOver);
        }
        let path = text.strip_prefix("unix:").ok_or("names no socket")?;
        match Path::new(path).is_absolute() {
            true => Ok(Self::Unix { path: path.into(), mode: SocketMode::DEFAULT }),
            false => Err("has a path that is not absolute".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
            Self::HandedOver => "systemd".to_owned(),
        }
    }
}

impl Listener {
    pub(super) fn bind(listen: &Listen) -> Result<Self, ListenError> {
        match listen {
            Listen::Tcp(address) => tcp(*address)
                .map(Self::Tcp)
                .map_err(|source| ListenError::Tcp { address: *address, source }),
            Listen::Unix { path, mode } => {
                let (listener, file) = socket_file::bind(path, *mode, BACKLOG)?;
                Ok(Self::Unix(listener, Some(file)))
            }
            Listen::HandedOver => handed_over(ListenFd::from_env()),
        }
    }

    /// What it says of itself in the log.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.to_string(),
                Err(_unknown) => "unknown".to_owned(),
            },
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or("unix:unnamed".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// The next connection, and who opened it, where that has an address.
    pub(super) async fn accept(&self) -> std::io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small answers should not wait for more; on failure they merely do.
                drop(stream.set_nodelay(true));
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _unnamed) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }

    /// Closes the listener. The kernel resets connections that it has accepted and we have
    /// not, so those are taken first, without a pause in which more could come.
    pub(super) fn last_accepted(self) -> Vec<(Stream, Option<SocketAddr>)> {
        // A tokio listener does not block, and neither does what it becomes.
        match self {
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else { return Vec::new() };
                std::iter::from_fn(|| listener.accept().ok())
                    .filter_map(|(stream, peer)| {
                        stream.set_nonblocking(true).ok()?;
                        let stream = tokio::net::TcpStream::from_std(stream).ok()?;
                        Some((Stream::Tcp(stream), Some(peer)))
                    })
                    .collect()
            }
            Self::Unix(listener, _file) => {
                let Ok(listener) = listener.into_std() else { return Vec::new() };
                std::iter::from_fn(|| listener.accept().ok())
                    .filter_map(|(stream, _unnamed)| {
                        stream.set_nonblocking(true).ok()?;
                        let stream = tokio::net::UnixStream::from_std(stream).ok()?;
                        Some((Stream::Unix(stream), None))
                    })
                    .collect()
            }
        }
    }
}

fn tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for connections of the old process to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The first socket, of whichever kind it is. The supervisor keeps its own copy, so what
/// comes between two processes waits in the kernel and is not refused.
fn handed_over(mut sockets: ListenFd) -> Result<Listener, ListenError> {
    if let Ok(Some(listener)) = sockets.take_unix_listener(0) {
        let listener =
            listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        let listener = listener.map_err(ListenError::HandedOver)?;
        return Ok(Listener::Unix(listener, None));
    }
    let listener = sockets.take_tcp_listener(0).map_err(ListenError::HandedOver)?;
    let listener = listener.ok_or(ListenError::NothingHandedOver)?;
    let listener = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    listener.map(Listener::Tcp).map_err(ListenError::HandedOver)
}
