//! What the specimen answers only to show what the listener does with it.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::{Stream, stream};
use updraft::http::{Peer, Router, Sse, SseEvent, get, post};
use updraft::{Ctx, Stop};

/// An event at once, and nothing after it.
async fn events() -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let first = stream::iter([Ok(SseEvent::default().data("first"))]);
    Sse::new(stream::StreamExt::chain(first, stream::pending()))
}

/// Waits to be asked to stop.
async fn until_stop(stop: Stop) -> &'static str {
    tracing::debug!("waiting for the stop");
    stop.requested().await;
    "asked"
}

async fn peer(peer: Peer) -> String {
    let ip = peer.ip().map_or("nobody".to_owned(), |ip| ip.to_string());
    let identity = peer.identity().map(|identity| (identity.spiffe_id(), &identity.dns_names));
    format!("{ip} {} {identity:?}", peer.is_tls())
}

/// Gives back what it was sent.
async fn echo(body: String) -> String {
    body
}

async fn deadline() -> String {
    let left = updraft_resilience::deadline::current()
        .map(|deadline| deadline.remaining(updraft_resilience::Clock::system().now()));
    format!("{}", left.unwrap_or(Duration::MAX).as_millis())
}

pub(crate) fn routes<A: Send + Sync + 'static>() -> Router<Ctx<A>> {
    let routes = Router::new()
        .route("/events", get(events))
        .route("/until-stop", get(until_stop))
        .route("/peer", get(peer))
        .route("/echo", post(echo))
        .route("/deadline", get(deadline))
        .route("/large", get(|| async { "compressible ".repeat(10_000) }))
        .route("/huge", get(|| async { vec![0_u8; 64 * 1024 * 1024] }));
    #[cfg(feature = "ws")]
    let routes = routes.route("/ws", updraft::http::any(socket));
    routes
}

#[cfg(feature = "ws")]
async fn socket(upgrade: updraft::http::WebSocketUpgrade) -> updraft::http::Response {
    upgrade.run(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
