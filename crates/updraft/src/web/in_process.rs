//! Requests without a network, for tests: a pipe in memory takes the place of the socket, and
//! all that a connection and a request go through stays what it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::connection::{self, Place};
use super::listener::{Listen, Listener, Stream};
use super::peer::Connected;
use super::{App, Installer, Web, WebSettings, accept};
use crate::BoxError;
use crate::auth::Caller;
use crate::drain::Drain;
use crate::health::Health;
use crate::metrics::Metrics;

/// How many bytes one side of the pipe may be ahead of the other.
const PIPE_BYTES: usize = 64 * 1024;

/// The HTTP side of a service in a test. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct InProcess {
    app: Arc<App>,
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct From {
    /// The address that the connection seems to come from; loopback unless it is given.
    pub(crate) ip: Option<IpAddr>,
    /// Who the caller is, when the test says so.
    pub(crate) caller: Option<Caller>,
}

impl InProcess {
    /// # Errors
    ///
    /// When the settings cannot be kept.
    pub(crate) fn new(
        settings: WebSettings,
        drain: &Drain,
        health: (&Health, bool),
        metrics: &Metrics,
    ) -> Result<Self, BoxError> {
        Ok(Self { app: Arc::new(App::new(settings, drain, health, metrics)?) })
    }

    /// Puts the routes in place.
    pub(crate) fn installer(&self) -> Installer {
        Installer(Arc::clone(&self.app))
    }

    /// Opens a connection and serves it; gives the side of the client, and the server's task:
    /// when that has ended, all is recorded of what was asked.
    pub(crate) fn connect(&self, from: From) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let ip = from.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let address = Some(SocketAddr::new(ip, 0));
        let plain = Connected::new(address, &self.app.http);
        let connected = Connected { caller: from.caller, ..plain };
        let place = Place::new(None, &self.app);
        let app = Arc::clone(&self.app);
        let serving =
            tokio::spawn(connection::speak(Stream::Memory(server), connected, app, place));
        (client, serving)
    }

    /// Listens on a free port of 127.0.0.1 too.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn listen(&self) -> Result<(String, Web), BoxError> {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listener = Listener::bind(&Listen::Tcp(address))?;
        let address = listener.address();
        let beat = self.app.health.beat("listener");
        let accepting = tokio::spawn(accept(listener, Arc::clone(&self.app), beat));
        Ok((address, Web { app: Arc::clone(&self.app), accepting }))
    }
}
