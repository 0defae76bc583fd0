//! The door for other gateways: mutual TLS, and who came in decides which edge it is.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use updraft_system::Name;
use updraft_system::mesh::{Limits, Protocol};

use crate::gate::Kind;
use crate::identity::{Alpn, Peer};
use crate::phase::PhaseWatch;
use crate::serve::{Arrival, Way, Who};
use crate::snapshot::Inbound;
use crate::worker::Worker;

/// Serves a connection of another gateway to its end, at most until its certificate ends.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    table: Arc<ArcSwap<Inbound>>,
    stream: TcpStream,
    peer_address: SocketAddr,
    limits: Arc<Limits>,
    phase: PhaseWatch,
) {
    let Some(config) = worker.shared.identities.server() else { return };
    let accepted = timeout(limits.head_timeout, TlsAcceptor::from(config).accept(stream)).await;
    // Who does not shake hands gets no answer: there is nobody to answer to.
    let Ok(Ok(stream)) = accepted else { return worker.shared.registry.handshake_failed() };
    let Some((peer, to)) = ends(&worker, &stream) else { return };
    let left = left(&peer);
    let from = peer.id.service().clone();
    let protocol = table.load().protocols.get(&to).copied().unwrap_or_default();
    let way = Way::Mesh { table, ends: (from.clone(), to.clone()) };
    let who = Who { kind: Kind::Mesh, peer: peer_address, caller: Some(&from), to: &to, protocol };
    let connection = who.connection(&worker, None);
    let arrival = Arrival { worker, way, stream, connection, limits, phase };
    // Each in a box of its own, that none has room for the state of another.
    let served: Pin<Box<dyn Future<Output = ()> + Send>> = match (peer.alpn, protocol) {
        (Alpn::Tcp, Protocol::Tcp) => Box::pin(arrival.speak(Protocol::Tcp)),
        (Alpn::H2, Protocol::Http1 | Protocol::H2c | Protocol::Grpc) => Box::pin(arrival.http2()),
        (Alpn::Http1, Protocol::Http1) => Box::pin(arrival.http1()),
        // Bytes where there are requests, or requests where there are bytes.
        _ => return,
    };
    // A connection that outlives the certificate it was let in by is cut.
    drop(timeout(left, served).await);
}

/// Who came, and whom it wants.
fn ends(worker: &Worker, stream: &TlsStream<TcpStream>) -> Option<(Peer, Name)> {
    let (_, session) = stream.get_ref();
    let peer = Peer::of(session).ok()?;
    let name = session.server_name()?;
    let to = worker.shared.identities.listening(name)?;
    Some((peer, to))
}

fn left(peer: &Peer) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(peer.not_after.as_secs()).saturating_sub(now)
}
