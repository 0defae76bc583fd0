//! The admin listener: health with its detail, metrics, the release, the level of the logs.
//! It is on a port of its own, which users cannot reach, and on the supervisor's thread,
//! where neither their load nor a blocked runtime can silence it. It closes last.

mod answer;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Config, Invalid};
use crate::health::Health;
use crate::log::LogControl;
use crate::metrics::Metrics;
use crate::process::Kind;
use crate::release::Release;

/// Connections held at once; further ones wait in the kernel's queue.
const CONNECTIONS_MOST: usize = 64;

/// Connections that the kernel may hold for us.
const BACKLOG: u32 = 128;

/// How long a connection may be idle, or take to send a header.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// After a failed `accept`: time for file descriptors to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the last answers may take at the end of the process.
const CLOSE_TIME: Duration = Duration::from_millis(500);

/// Where the admin listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminAddress(SocketAddr);

impl AdminAddress {
    pub(crate) fn read(config: &mut Config, kind: Kind) -> Result<Option<Self>, Invalid> {
        if !matches!(kind, Kind::Web | Kind::Worker) {
            return Ok(None);
        }
        let port = config.optional("ADMIN_PORT", "the TCP port of health, metrics and the release");
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = config.or("ADMIN_HOST", localhost, "the address of the admin listener");
        let (port, host): (Option<u16>, IpAddr) = (port?, host?);
        Ok(port.map(|port| Self(SocketAddr::new(host, port))))
    }

    pub(crate) fn socket(self) -> SocketAddr {
        self.0
    }
}

/// What the admin listener shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) release: Release,
    pub(crate) log_control: LogControl,
}

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: check ADMIN_HOST and ADMIN_PORT, and what else listens there")]
pub(crate) struct AdminListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The listener.
#[derive(Debug)]
pub(crate) struct Admin {
    accepting: JoinHandle<()>,
    closing: watch::Sender<bool>,
}

impl Admin {
    /// Listens on the runtime of the caller.
    pub(crate) fn listen(
        AdminAddress(address): AdminAddress,
        shown: Shown,
    ) -> Result<Self, AdminListenError> {
        let listener = bind(address).map_err(|source| AdminListenError { address, source })?;
        let local = listener.local_addr().unwrap_or(address);
        tracing::info!(address = %local, "admin listening");
        let closing = watch::Sender::new(false);
        let accepting = tokio::spawn(accept(listener, Arc::new(shown), closing.subscribe()));
        Ok(Self { accepting, closing })
    }

    /// Gives the last answers and closes.
    pub(crate) async fn close(mut self) {
        self.closing.send_replace(true);
        if tokio::time::timeout(CLOSE_TIME, &mut self.accepting).await.is_err() {
            self.accepting.abort();
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, shown: Arc<Shown>, closing: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let mut connections = JoinSet::new();
    let mut closed = closing.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _closing = closed.wait_for(|closing| *closing) => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept_one(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (shown, closing) = (Arc::clone(&shown), closing.clone());
                connections.spawn(async move {
                    serve(stream, shown, closing).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot accept on the admin listener"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Waits for room first: what we cannot hold, the kernel holds.
async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    Ok((stream, permit))
}

async fn serve(stream: TcpStream, shown: Arc<Shown>, mut closing: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let shown = Arc::clone(&shown);
        async move { Ok::<_, Infallible>(answer::answer(&shown, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIME);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // Errors are the client's: it went away, or spoke no HTTP.
    tokio::select! {
        _ended = &mut connection => return,
        _closing = closing.wait_for(|closing| *closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
