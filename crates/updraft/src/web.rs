//! The HTTP side of a process: one listener of its own, because what a drain needs
//! (deadlines, idle connections, half a header) is decided where connections are held.

mod connection;
mod respond;
mod tracked;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::drain::{Drain, Phase, reached};
pub(crate) use respond::request_id;

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: u32 = 1024;

/// After a failed `accept`, mostly for want of file descriptors: time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections held at once; further ones wait in the kernel's queue.
    pub(crate) connections: NonZeroU32,
    /// The largest request body in bytes.
    pub(crate) body_bytes: NonZeroU32,
}

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: check HOST and PORT, and what else listens there")]
pub(crate) struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// A listener and its connections.
#[derive(Debug)]
pub(crate) struct Web {
    app: Arc<App>,
    accepting: JoinHandle<()>,
}

/// What connections share.
#[derive(Debug)]
pub(crate) struct App {
    router: OnceLock<Router>,
    phase: watch::Receiver<Phase>,
    limits: Limits,
    in_flight: InFlight,
}

/// How many requests are being answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

/// Puts the router in place when the process has started.
#[derive(Debug)]
pub(crate) struct Installer(Arc<App>);

impl Web {
    /// Listens at once, so that health is answered while the process still starts.
    pub(crate) fn listen(
        address: SocketAddr,
        limits: Limits,
        drain: &Drain,
    ) -> Result<Self, ListenError> {
        let listener = bind(address).map_err(|source| ListenError { address, source })?;
        let local = listener.local_addr().unwrap_or(address);
        tracing::info!(address = %local, "listening");
        let app = Arc::new(App {
            router: OnceLock::new(),
            phase: drain.phase(),
            limits,
            in_flight: InFlight::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app)));
        Ok(Self { app, accepting })
    }

    pub(crate) fn installer(&self) -> Installer {
        Installer(Arc::clone(&self.app))
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        self.app.in_flight.clone()
    }

    /// Waits until the listener and all its connections are closed.
    pub(crate) async fn closed(self) {
        if let Err(error) = self.accepting.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the listener died");
        }
    }
}

impl Installer {
    pub(crate) fn install(self, router: Router) {
        let router = if router.has_routes() {
            // Only here is the template of the path known.
            router.route_layer(axum::middleware::from_fn(remember_route))
        } else {
            router
        };
        // The limit is on the body itself, for every way of reading it.
        let router = router.layer(DefaultBodyLimit::disable());
        // There is one installer per process and it is used once.
        drop(self.0.router.set(router));
    }
}

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The template of the path that was matched, told to the access log.
#[derive(Clone, Debug)]
struct Route(MatchedPath);

async fn remember_route(route: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Route(route));
    response
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for connections of the old process to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the process closes, then waits for the connections.
async fn accept(listener: TcpListener, app: Arc<App>) {
    let room = Arc::new(Semaphore::new(app.limits.connections.get() as usize));
    let mut connections = JoinSet::new();
    let mut phase = app.phase.clone();
    let closing = reached(&mut phase, Phase::Closing);
    tokio::pin!(closing);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept_one(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let app = Arc::clone(&app);
                connections.spawn(async move {
                    connection::serve(stream, app).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    for stream in last_accepted(listener) {
        connections.spawn(connection::serve(stream, Arc::clone(&app)));
    }
    while connections.join_next().await.is_some() {}
}

/// Closes the listener. The kernel resets connections that it has accepted and we have
/// not, so those are taken first, without a pause in which more could come.
fn last_accepted(listener: TcpListener) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    // A tokio listener does not block, and neither does what it becomes.
    let Ok(listener) = listener.into_std() else { return streams };
    while let Ok((stream, _peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        streams.extend(stream);
    }
    streams
}

/// Waits for room first: what we cannot hold, the kernel holds.
async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    Ok((stream, permit))
}
