//! The HTTP side of a process: one listener of its own, because what a drain needs
//! (deadlines, idle connections, half a header) is decided where connections are held.

mod admission;
mod compression;
mod connection;
mod cors;
mod handling;
#[cfg(feature = "testing")]
mod in_process;
mod listener;
mod metrics;
mod peer;
mod present;
mod proxies;
mod received;
mod respond;
mod security;
mod settings;
#[cfg(feature = "ws")]
mod socket;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod tracked;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use updraft_resilience::Clock;

use crate::BoxError;
use crate::api::Routes;
use crate::drain::{Drain, Phase, reached};
use crate::health::{Beat, Health};
use crate::metrics::{Connections, HttpServer, Metrics};
use admission::Admission;
use compression::Packer;
use connection::{Place, Protocol, Requests};
use listener::{Listener, Stream};
use metrics::WebMetrics;

#[cfg(feature = "testing")]
pub(crate) use in_process::{From, InProcess};
pub use peer::{Peer, PeerIdentity};
pub(crate) use respond::{explained, request_id};
pub(crate) use settings::{Wanted, WebSettings};
#[cfg(feature = "ws")]
pub use socket::{CloseFrame, Message, WebSocket, WebSocketError, WebSocketUpgrade};
pub use stream::Sse;

/// After a failed `accept`, mostly for want of file descriptors: time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and its connections.
#[derive(Debug)]
pub(crate) struct Web {
    app: Arc<App>,
    accepting: JoinHandle<()>,
}

/// What connections share.
#[derive(Debug)]
pub(crate) struct App {
    routes: OnceLock<Routes>,
    phase: watch::Receiver<Phase>,
    settings: WebSettings,
    protocol: Protocol,
    admission: Admission,
    packer: Packer,
    #[cfg(feature = "tls")]
    tls: Option<tls::Tls>,
    /// The clock of deadlines, which is that of all policies.
    clock: Clock,
    metrics: Arc<WebMetrics>,
    health: Health,
    /// Health is answered beside the routes.
    health_on_port: bool,
    http: HttpServer,
    connections: Connections,
}

/// What a connection that has become something else than HTTP keeps.
#[derive(Clone, Debug)]
struct Held(
    #[cfg_attr(not(feature = "ws"), expect(dead_code, reason = "it is only held"))] Arc<Requests>,
);

/// Puts the routes in place when the process has started.
#[derive(Debug)]
pub(crate) struct Installer(Arc<App>);

impl Web {
    /// Listens at once, so that health is answered while the process still starts. `None`
    /// where nothing says where to listen.
    ///
    /// # Errors
    ///
    /// When there is no listening, and what to do about it.
    pub(crate) fn listen(
        settings: WebSettings,
        drain: &Drain,
        (health, health_on_port): (&Health, bool),
        metrics: &Metrics,
    ) -> Result<Option<Self>, BoxError> {
        let Some(listen) = &settings.listen else { return Ok(None) };
        let listener = Listener::bind(listen)?;
        tracing::info!(address = listener.address(), "listening");
        let app = Arc::new(App::new(settings, drain, (health, health_on_port), metrics)?);
        let beat = health.beat("listener");
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app), beat));
        Ok(Some(Self { app, accepting }))
    }

    pub(crate) fn installer(&self) -> Installer {
        Installer(Arc::clone(&self.app))
    }

    /// What is known of the requests.
    pub(crate) fn http(&self) -> HttpServer {
        self.app.http.clone()
    }

    /// Waits until the listener and all its connections are closed.
    pub(crate) async fn closed(self) {
        if let Err(error) = self.accepting.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the listener died");
        }
    }
}

impl Installer {
    pub(crate) fn install(self, routes: Routes) {
        // There is one installer per process and it is used once.
        drop(self.0.routes.set(routes));
    }
}

impl App {
    fn new(
        settings: WebSettings,
        drain: &Drain,
        (health, health_on_port): (&Health, bool),
        metrics: &Metrics,
    ) -> Result<Self, BoxError> {
        let limits = &settings.limits;
        let clock = Clock::system();
        let (http, connections) = (HttpServer::default(), Connections::default());
        metrics.expose(Arc::new(http.clone()));
        metrics.expose(Arc::new(connections.clone()));
        let metrics: Arc<WebMetrics> = metrics.families();
        let waiting = metrics.waiting.clone();
        Ok(Self {
            routes: OnceLock::new(),
            phase: drain.phase(),
            protocol: Protocol::new(limits),
            admission: Admission::new(limits.requests, limits.rate, clock.clone(), waiting)?,
            packer: Packer::default(),
            #[cfg(feature = "tls")]
            tls: settings.tls.clone().map(tls::Tls::new),
            clock,
            metrics,
            health: health.clone(),
            health_on_port,
            http,
            connections,
            settings,
        })
    }

    /// Keeps what is served in step with its files, for ever.
    async fn follow(&self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.follow(&self.metrics).await;
        }
        std::future::pending().await
    }
}

/// Accepts until the process closes, then waits for the connections.
async fn accept(listener: Listener, app: Arc<App>, mut beat: Beat) {
    let room = Arc::new(Semaphore::new(app.settings.limits.connections.get() as usize));
    let mut connections = JoinSet::new();
    let mut phase = app.phase.clone();
    let closing = reached(&mut phase, Phase::Closing);
    tokio::pin!(closing);
    let following = Arc::clone(&app);
    let follow = following.follow();
    tokio::pin!(follow);
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept_one(&listener, &room, &mut full, &app.metrics) => accepted,
            () = beat.next() => continue,
            () = &mut follow => continue,
        };
        match accepted {
            Ok((stream, address, permit)) => {
                let place = Place::new(Some(permit), &app);
                connections.spawn(connection::serve(stream, address, Arc::clone(&app), place));
            }
            Err(error) => {
                app.connections.failed();
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(beat);
    for (stream, address) in listener.last_accepted() {
        let place = Place::new(None, &app);
        connections.spawn(connection::serve(stream, address, Arc::clone(&app), place));
    }
    while connections.join_next().await.is_some() {}
}

/// Waits for room first: what we cannot hold, the kernel holds.
async fn accept_one(
    listener: &Listener,
    room: &Arc<Semaphore>,
    full: &mut bool,
    metrics: &WebMetrics,
) -> std::io::Result<(Stream, Option<SocketAddr>, OwnedSemaphorePermit)> {
    let place = match Arc::clone(room).try_acquire_owned() {
        Ok(place) => place,
        Err(_full) => {
            // The same wait is begun again with each beat of the loop.
            if !std::mem::replace(full, true) {
                metrics.connections_full.inc();
            }
            Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?
        }
    };
    *full = false;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}
