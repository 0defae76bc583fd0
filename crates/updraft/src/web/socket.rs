//! WebSocket (RFC 6455): connections that are counted, bounded, told to go when the process
//! does, and not open to pages of other origins.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use tokio::time::Instant;

use super::Held;
use super::metrics::StreamKind;
use crate::app::Ctx;
use crate::problem::ProblemDetails;
use crate::{BoxError, Stop};

pub use axum::extract::ws::{CloseFrame, Message};

/// Bytes that are read and written at once; the default of the library, 128 KiB each way, is
/// much for thousands of quiet connections.
const BUFFER: usize = 8 * 1024;

/// How long the other side may take to close when it was told to.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The close code of an endpoint that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// A request to speak WebSocket: an extractor.
///
/// Browsers let pages of any origin connect, with the user's cookies. So a request with an
/// `Origin` is refused with 403 unless that is the host of the request itself, or one of
/// `CORS_ORIGINS`.
///
/// ```
/// use updraft::http::{Response, WebSocketUpgrade};
///
/// async fn echo(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.run(|mut socket| async move {
///         while let Some(Ok(message)) = socket.recv().await {
///             if socket.send(message).await.is_err() {
///                 return;
///             }
///         }
///     })
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is answered until `run` is called"]
pub struct WebSocketUpgrade {
    upgrade: ws::WebSocketUpgrade,
    held: Held,
    stop: Stop,
}

/// A WebSocket connection.
///
/// When the process closes, after `DRAIN_DELAY`, the other side is sent a close frame of code
/// 1001, [`recv`](Self::recv) gives what still comes and then `None`, and
/// [`send`](Self::send) fails. Pings are answered by themselves in [`recv`](Self::recv).
#[derive(Debug)]
pub struct WebSocket {
    socket: ws::WebSocket,
    stop: Stop,
    /// When the other side was told to close, until when it may.
    closing: Option<Instant>,
}

/// The connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum WebSocketError {
    /// The process is closing; the other side was told.
    #[error("the process is closing")]
    Closing,
    /// It broke, or the other side does not keep to the protocol.
    #[error("the WebSocket connection broke")]
    Broken(#[source] BoxError),
}

impl WebSocketUpgrade {
    /// The largest message in bytes, instead of `MAX_BODY_BYTES`.
    pub fn max_message_bytes(mut self, most: usize) -> Self {
        self.upgrade = bounded(self.upgrade, most);
        self
    }

    /// The subprotocols that are spoken, the best first. The first one that the client offers
    /// is chosen.
    pub fn protocols(mut self, protocols: &[&'static str]) -> Self {
        self.upgrade = self.upgrade.protocols(protocols.iter().copied());
        self
    }

    /// Answers the request, and runs `serve` with the connection when it is open. It may run
    /// as long as it wants to; in a drain its end is waited for, within the budget.
    pub fn run<F, R>(self, serve: F) -> Response
    where
        F: FnOnce(WebSocket) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let Self { upgrade, held, stop } = self;
        upgrade.on_upgrade(move |socket| async move {
            let _counted = held.0.app.metrics.stream(StreamKind::Websocket);
            // The place of its connection, and the drain, are held until the end.
            let _held = (held, stop.clone());
            serve(WebSocket { socket, stop, closing: None }).await;
        })
    }
}

fn bounded(upgrade: ws::WebSocketUpgrade, most: usize) -> ws::WebSocketUpgrade {
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(most.saturating_add(2 * BUFFER))
        .max_message_size(most)
        .max_frame_size(most)
}

impl<A: Send + Sync + 'static> FromRequestParts<Ctx<A>> for WebSocketUpgrade {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, state: &Ctx<A>) -> Result<Self, ProblemDetails> {
        let upgrade = ws::WebSocketUpgrade::from_request_parts(parts, state).await;
        let upgrade = upgrade.map_err(|rejection| {
            ProblemDetails::new(rejection.status()).detail(rejection.body_text())
        })?;
        let held = parts.extensions.get::<Held>().cloned().ok_or_else(|| {
            ProblemDetails::new(StatusCode::UPGRADE_REQUIRED)
                .detail("the connection cannot be upgraded")
        })?;
        let origin = parts.headers.get(header::ORIGIN);
        let listed =
            |origin| held.0.app.settings.cors.as_ref().is_some_and(|cors| cors.allows(origin));
        if let Some(origin) = origin
            && !same_host(origin, &parts.headers, &parts.uri)
            && !listed(origin)
        {
            let detail = "pages of this origin may not connect (CORS_ORIGINS)";
            return Err(ProblemDetails::new(StatusCode::FORBIDDEN).detail(detail));
        }
        let most = held.0.app.settings.limits.body_bytes.get() as usize;
        Ok(Self { upgrade: bounded(upgrade, most), held, stop: state.stop() })
    }
}

/// Whether a page of the service's own host asks.
fn same_host(origin: &HeaderValue, headers: &HeaderMap, uri: &Uri) -> bool {
    let host = uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| headers.get(header::HOST).map(HeaderValue::as_bytes));
    let bytes = origin.as_bytes();
    let of_origin = bytes.strip_prefix(b"https://").or_else(|| bytes.strip_prefix(b"http://"));
    of_origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

impl WebSocket {
    /// The next message; `None` when the connection is closed.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Broken`], after which there are no more messages.
    pub async fn recv(&mut self) -> Option<Result<Message, WebSocketError>> {
        let received = match self.closing {
            Some(until) => self.last(until).await,
            None => tokio::select! {
                biased;
                () = self.stop.closing() => {
                    let until = self.go_away().await;
                    self.last(until).await
                }
                received = self.socket.recv() => received,
            },
        };
        received.map(|received| received.map_err(broken))
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`WebSocketError`] when it cannot be sent.
    pub async fn send(&mut self, message: Message) -> Result<(), WebSocketError> {
        if self.closing.is_none() && self.stop.is_closing() {
            self.go_away().await;
        }
        match self.closing {
            Some(_) => Err(WebSocketError::Closing),
            None => self.socket.send(message).await.map_err(broken),
        }
    }

    /// What comes until the other side closes, or has had its time.
    async fn last(&mut self, until: Instant) -> Option<Result<Message, axum::Error>> {
        match tokio::time::timeout_at(until, self.socket.recv()).await {
            Ok(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => Some(Ok(message)),
            // Its answer to ours, an end without one, or none in time.
            _ => None,
        }
    }

    async fn go_away(&mut self) -> Instant {
        let until = Instant::now() + CLOSE_TIME;
        self.closing = Some(until);
        let frame = CloseFrame { code: GOING_AWAY, reason: "the service restarts".into() };
        let sent = self.socket.send(Message::Close(Some(frame)));
        // With the other side gone there is nobody to tell.
        drop(tokio::time::timeout_at(until, sent).await);
        until
    }
}

fn broken(error: axum::Error) -> WebSocketError {
    WebSocketError::Broken(error.into_inner())
}
