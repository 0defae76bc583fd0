//! Edges of plain bytes, and connections that have become ones.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::upgrade::OnUpgrade;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use updraft_resilience::{Error, Verdict};
use updraft_system::mesh::{Authorization, RetryOn};

use crate::balance::{Endpoint, NoEndpoint, Outcome, Want};
use crate::edge::Edge;
use crate::instrument::Connection as Watched;
use crate::instrument::stream::{self, RelayLimits, Wire};
use crate::observe::{Limit, Refused};
use crate::phase::Phase;
use crate::policy::{self, Attempted};
use crate::pool::Target;
use crate::serve::Arrival;
use crate::shared::Shared;
use crate::tunnel::{self, Duplex, EndReason, TunnelEnd, TunnelLimits, relay};
use crate::worker::Worker;

impl Wire for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

impl Wire for tokio_rustls::client::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

/// A stream to an endpoint.
enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Why there is no stream to an endpoint.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    NoEndpoint(NoEndpoint),
    #[error("the endpoint cannot be reached")]
    Io(#[source] io::Error),
    #[error("the connection was not open in time")]
    Timeout,
}

/// A cause with what it means for another attempt.
struct Failed {
    cause: Cause,
    verdict: Verdict,
}

impl Attempted for Stream {
    fn verdict(&self) -> Verdict {
        Verdict::Success
    }
}

impl Attempted for Failed {
    fn verdict(&self) -> Verdict {
        self.verdict
    }
}

/// Carries one connection to its end.
pub(crate) async fn serve<T: Wire + Duplex>(arrival: Arrival<T>) {
    let Arrival { worker, way, stream, connection, mut phase, .. } = arrival;
    let edge = match way.edge() {
        Ok(edge) => edge,
        Err(why) => return worker.shared.registry.unrouted(why),
    };
    if connection.borrowed.is_some() {
        // Bytes have no place for an answer: the connection closes, and it is counted.
        edge.metrics.refused(Refused::Unauthorized);
        match edge.authorization {
            Authorization::Enforce => return,
            Authorization::Audit => edge.metrics.undeclared(),
        }
    }
    let watched = edge.instrument.open();
    let tried = Mutex::new(Vec::new());
    match edge.policy.call(|_| connect(&worker, &edge, &watched, &tried)).await {
        Ok(endpoint) if worker.shared.instruments => {
            watch(&edge, stream, endpoint, &watched).await;
        }
        Ok(endpoint) => {
            let mut end = edge.end.clone();
            let drained = async {
                tokio::select! {
                    () = phase.reaches(Phase::Closed) => {}
                    () = end.reaches(Phase::Closed) => {}
                }
            };
            let end = carry(&edge, stream, endpoint, drained).await;
            count(&worker.shared, end.reason);
        }
        Err(error) => edge.metrics.refused(refused(&error)),
    }
}

/// Carries bytes as they are.
async fn carry<T: Wire + Duplex>(
    edge: &Edge,
    stream: T,
    endpoint: Stream,
    drained: impl Future<Output = ()>,
) -> TunnelEnd {
    let tunnel = edge.metrics.tunnel();
    let (limits, counters) = (TunnelLimits::from(&*edge.limits), tunnel.counters());
    match endpoint {
        Stream::Plain(endpoint) => relay(stream, endpoint, limits, counters, drained).await,
        Stream::Tls(endpoint) => relay(stream, *endpoint, limits, counters, drained).await,
    }
}

/// Counts the limit that ended a tunnel.
fn count(shared: &Shared, reason: EndReason) {
    match reason {
        EndReason::Idle => shared.registry.limit_hit(Limit::TunnelIdle),
        EndReason::LingerOver => shared.registry.limit_hit(Limit::TunnelLinger),
        EndReason::Finished | EndReason::Reset | EndReason::Drained => {}
    }
}

/// Carries bytes message by message, under the eyes and the hands of an instrument.
async fn watch<T: Wire>(edge: &Edge, stream: T, endpoint: Stream, watched: &Watched) {
    let tunnel = edge.metrics.tunnel();
    let limits = RelayLimits {
        idle: edge.limits.tunnel_idle,
        linger: edge.limits.tunnel_linger,
        ..RelayLimits::default()
    };
    let protocol = edge.framing;
    let relayed = match endpoint {
        Stream::Plain(endpoint) => stream::relay(stream, endpoint, protocol, watched, limits).await,
        Stream::Tls(endpoint) => stream::relay(stream, *endpoint, protocol, watched, limits).await,
    };
    if let Ok(relayed) = relayed {
        tunnel.to_endpoint(relayed.to_server);
        tunnel.to_caller(relayed.to_client);
    }
}

async fn connect(
    worker: &Worker,
    edge: &Edge,
    watched: &Watched,
    tried: &Mutex<Vec<Arc<Endpoint>>>,
) -> Result<Stream, Failed> {
    let pick = {
        let tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
        let want = Want { avoid: &tried, ..Want::any(worker.shared.now()) };
        edge.balancer.choose(&want, &mut fastrand::Rng::new())
    };
    let pick = pick.map_err(|none| Failed::of(edge, Cause::NoEndpoint(none)))?;
    let targets = edge.targets.load_full();
    let Some(target) = targets.of(pick.endpoint(), false) else {
        return Err(Failed::of(edge, Cause::NoEndpoint(NoEndpoint::Empty)));
    };
    let opened = timeout(edge.limits.connect_timeout, open(target, watched)).await;
    let opened = opened.ok().ok_or(Cause::Timeout).and_then(|opened| opened.map_err(Cause::Io));
    let outcome = if opened.is_ok() { Outcome::Success } else { Outcome::Failure };
    if opened.is_err() {
        let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.push(Arc::clone(pick.endpoint()));
    }
    pick.finish(outcome, worker.shared.now());
    if let Err(Cause::Timeout) = opened {
        worker.shared.registry.limit_hit(Limit::ConnectTimeout);
    }
    opened.map_err(|cause| Failed::of(edge, cause))
}

async fn open(target: &Target, watched: &Watched) -> io::Result<Stream> {
    if let Some(other) = watched.instrument().destination() {
        return TcpStream::connect(other).await.map(Stream::Plain);
    }
    let stream = TcpStream::connect(target.address()).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = target.tls() else { return Ok(Stream::Plain(stream)) };
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let stream = connector.connect(tls.name.clone(), stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

impl Failed {
    fn of(edge: &Edge, cause: Cause) -> Self {
        let failure = match cause {
            // Whoever waits for a circuit to close waits too long for a connection.
            Cause::NoEndpoint(NoEndpoint::Open { .. } | NoEndpoint::NoVersion(_)) => None,
            Cause::NoEndpoint(NoEndpoint::Empty) | Cause::Io(_) | Cause::Timeout => {
                Some(RetryOn::Connect)
            }
        };
        let verdict = match failure {
            Some(failure) => policy::verdict(Some(failure), true, None, &edge.calls.retry),
            None => Verdict::Fail,
        };
        Self { cause, verdict }
    }
}

fn refused(error: &Error<Failed>) -> Refused {
    match error {
        Error::Rejected(rejection) => (*rejection).into(),
        Error::Inner(Failed { cause: Cause::NoEndpoint(NoEndpoint::Open { .. }), .. }) => {
            Refused::Open
        }
        Error::Inner(_) => Refused::NoEndpoint,
    }
}

/// The rest of a connection whose upgrade an endpoint has granted.
pub(crate) fn upgraded(
    shared: &Arc<Shared>,
    edge: &Arc<Edge>,
    client: OnUpgrade,
    endpoint: OnUpgrade,
) -> impl Future<Output = ()> + Send + 'static {
    let (shared, edge) = (Arc::clone(shared), Arc::clone(edge));
    async move {
        let tunnel = edge.metrics.tunnel();
        let limits = TunnelLimits { idle: edge.calls.idle, linger: edge.limits.tunnel_linger };
        let (wait, counters) = (edge.limits.head_timeout, tunnel.counters());
        // The end of a drain cuts the connection itself.
        let mut end = edge.end.clone();
        let drained = end.reaches(Phase::Closed);
        let ended = tunnel::upgraded(client, endpoint, wait, limits, counters, drained);
        // A caller that takes no response never hands over its connection.
        if let Ok(end) = ended.await {
            count(&shared, end.reason);
        }
    }
}
