//! From an accepted connection to requests: who is there, what is spoken, and the end in peace.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use updraft_system::Name;
use updraft_system::mesh::{Calls, Limits, Protocol};

use crate::activity::{Activity, Busy, Quiet};
use crate::connection::{Borrowed, Connection};
use crate::edge::Edge;
use crate::exchange::{self, ResponseBody, Severed};
use crate::gate::{
    Inbound, InboundConfig, Kind, Overdue, Patience, Presence, Pseudonym, Report, Rule, ScanLimits,
    StrictIo,
};
use crate::instrument::stream::Wire;
use crate::observe::{Limit, OpenConnection, Unrouted};
use crate::phase::{Phase, PhaseWatch};
use crate::shared::Shared;
use crate::snapshot::{Entry, Inbound as Callable, Ingress, Slot};
use crate::tunnel::Duplex;
use crate::worker::Worker;
use crate::{admin, attest, mutual, proxied, tcp};

/// What one stream of HTTP/2 may send before it was read, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for a connection: a multiple, or one stream that nobody reads blocks the others.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How often a silent HTTP/2 peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What is kept of an answer for a caller that does not read, and of a request for a program
/// that does not. Hyper's own bound is 400 KiB.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a drain waits for the first request of a connection that has just come.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Streams that a peer may have reset before they were served (CVE-2023-44487).
const RESETS_MAX: usize = 64;

/// How the requests of a connection find their edge.
#[derive(Clone)]
pub(crate) enum Way {
    /// They are all of one.
    Edge {
        /// The edge.
        slot: Slot,
        /// Caller and callee.
        ends: (Name, Name),
    },
    /// Host and path decide.
    Ingress(Arc<ArcSwap<Ingress>>),
    /// They are all between these two. Asked anew for each request, for connections of other
    /// gateways live long, and edges come and go meanwhile.
    Mesh {
        /// The edges of other gateways.
        table: Arc<ArcSwap<Callable>>,
        /// The caller, and what it wants to call.
        ends: (Name, Name),
    },
}

impl Way {
    /// Counts the connection as long as what is returned lives. One of the ingress belongs to
    /// no edge.
    fn count(&self) -> Option<OpenConnection> {
        Some(self.edge().ok()?.metrics.connection())
    }

    /// The one edge of a connection, as it is now. That of the ingress depends on the request.
    pub(crate) fn edge(&self) -> Result<Arc<Edge>, Unrouted> {
        match self {
            Self::Edge { slot, .. } => slot.edge().ok_or(Unrouted::Withdrawn),
            Self::Ingress(_) => Err(Unrouted::NoRoute),
            Self::Mesh { table, ends } => {
                let edge = table.load().edges.get(ends).and_then(|slot| slot.edge());
                edge.ok_or(Unrouted::NoEdge)
            }
        }
    }

    /// Caller and callee, where they do not depend on the request.
    fn ends(&self) -> Option<&(Name, Name)> {
        match self {
            Self::Edge { ends, .. } | Self::Mesh { ends, .. } => Some(ends),
            Self::Ingress(_) => None,
        }
    }

    /// The longest without a byte of a body, as it is now.
    fn idle(&self) -> Duration {
        let edge = match self {
            Self::Ingress(table) => table.load().routes.first().map(|(_, edge)| Arc::clone(edge)),
            Self::Edge { .. } | Self::Mesh { .. } => self.edge().ok(),
        };
        edge.map_or_else(|| Calls::default().idle, |edge| edge.calls.idle)
    }
}

/// Who came in, and what is spoken with them.
pub(crate) struct Arrival<T> {
    pub(crate) worker: Arc<Worker>,
    pub(crate) way: Way,
    pub(crate) stream: T,
    /// In a box, for it is handed on several times, and each place would have room for it.
    pub(crate) connection: Box<Connection>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) phase: PhaseWatch,
}

/// Serves one connection to its end.
pub(crate) async fn connection(
    worker: Arc<Worker>,
    entry: Entry,
    mut stream: TcpStream,
    peer: SocketAddr,
    limits: Arc<Limits>,
    mut phase: PhaseWatch,
) {
    let Ok(local) = stream.local_addr() else { return };
    match entry {
        Entry::Edge { slot, caller, to, protocol } => {
            let attest = worker.shared.attest.as_deref();
            let borrowed = attest.and_then(|it| attest::borrowed(it, &caller, local, peer));
            let who = Who { kind: Kind::Edge, peer, caller: Some(&caller), to: &to, protocol };
            let connection = who.connection(&worker, borrowed);
            let way = Way::Edge { slot, ends: (caller, to) };
            let arrival = Arrival { worker, way, stream, connection, limits, phase };
            match protocol {
                Protocol::Http1 => arrival.http1().await,
                _ => Box::pin(arrival.speak(protocol)).await,
            }
        }
        Entry::Ingress(table) => {
            let (to, protocol) = (Name::ingress(), Protocol::Http1);
            let peer = if table.load().proxy_protocol {
                let registry = &worker.shared.registry;
                let source = proxied::source(registry, &mut stream, peer, &limits, &mut phase);
                let Some(source) = Box::pin(source).await else { return };
                source
            } else {
                peer
            };
            let who = Who { kind: Kind::Ingress, peer, caller: None, to: &to, protocol };
            let connection = who.connection(&worker, None);
            let way = Way::Ingress(table);
            Arrival { worker, way, stream, connection, limits, phase }.http1().await;
        }
        // In boxes, for a connection of HTTP/1 in plain, of which there are most, needs less room.
        Entry::Mesh(table) => {
            Box::pin(mutual::serve(worker, table, stream, peer, limits, phase)).await;
        }
        Entry::Admin => Box::pin(admin::serve(worker, stream, limits, phase)).await,
    }
}

/// What is known of a connection before its first request.
pub(crate) struct Who<'a> {
    pub(crate) kind: Kind,
    pub(crate) peer: SocketAddr,
    pub(crate) caller: Option<&'a Name>,
    pub(crate) to: &'a Name,
    pub(crate) protocol: Protocol,
}

impl Who<'_> {
    pub(crate) fn connection(
        &self,
        worker: &Worker,
        borrowed: Option<Borrowed>,
    ) -> Box<Connection> {
        let caller = self.caller.filter(|_| borrowed.is_none());
        let spiffe = match (self.kind, caller) {
            (Kind::Mesh, Some(caller)) => {
                Some(format!("spiffe://{}/{caller}", worker.shared.system))
            }
            _ => None,
        };
        let pseudonym = self.pseudonym(worker);
        let inbound = Inbound::new(&InboundConfig {
            kind: self.kind,
            peer: self.peer.ip(),
            secure: self.kind == Kind::Mesh,
            allows_upgrade: self.protocol == Protocol::Http1,
            methods: &[],
            caller: caller.map(Name::as_str),
            spiffe: spiffe.as_deref(),
            default_host: self.to.as_str(),
            pseudonym: &pseudonym,
        });
        Box::new(Connection::new(inbound, borrowed))
    }

    /// What this door is called in `Via`: a request that comes to the same door again goes in
    /// circles, one that only comes to this system again, or to the gateway at the other end
    /// of an edge, does not.
    fn pseudonym(&self, worker: &Worker) -> Pseudonym {
        let shared = &worker.shared;
        let (to, system) = (self.to, &shared.system);
        let text = match (self.kind, self.caller) {
            (Kind::Edge, Some(from)) => format!("{from}.{to}.{system}.updraft"),
            (Kind::Mesh, Some(from)) => format!("{from}.{to}.mesh.{system}.updraft"),
            _ => return shared.pseudonym.clone(),
        };
        Pseudonym::new(&text).unwrap_or_else(|| shared.pseudonym.clone())
    }
}

impl<T> Arrival<T>
where
    T: Wire + Duplex + 'static,
{
    /// Serves what was declared.
    pub(crate) async fn speak(self, protocol: Protocol) {
        match protocol {
            Protocol::Http1 => self.http1().await,
            Protocol::H2c | Protocol::Grpc => self.http2().await,
            Protocol::Tcp => tcp::serve(self).await,
        }
    }

    /// Serves HTTP/1.1. What is only needed at the beginning is not kept.
    pub(crate) fn http1(self) -> impl Future<Output = ()> + Send {
        let Self { worker, way, stream, connection, limits, mut phase } = self;
        let counted = way.count();
        let patience = patience(&worker.shared, &limits, way.idle());
        let report = report(&worker.shared);
        let fields = usize::try_from(limits.head_fields).unwrap_or(usize::MAX);
        let bytes = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX);
        let scan = ScanLimits { head_bytes: bytes, head_fields: fields };
        let stream = StrictIo::new(stream, scan, report)
            .patient(patience, T::reset)
            .half_closing(presence::<T>);
        let context = Arc::new(Context { worker, way, connection, begun: First::default() });
        let served = Arc::clone(&context);
        // Hyper keeps the place of an answer for the life of the connection: in a box it is
        // there only while there is a request.
        let service = service_fn(move |request| Box::pin(Arc::clone(&served).answer(request)));
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // The stream under it knows a begun head from an idle connection.
            .header_read_timeout(None)
            // A client that ends its half alone is kept from it by the stream.
            .half_close(false)
            .max_headers(fields)
            .max_header_size(bytes.saturating_add(1024))
            .max_buf_size(BUFFER_BYTES.max(bytes.saturating_add(1024)));
        let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut serving = Box::pin(serving);
        async move {
            let _counted = counted;
            tokio::select! {
                // A client that hangs up in the middle is no error of ours.
                _ = &mut serving => {}
                () = phase.reaches(Phase::Draining) => {
                    // Hyper would close a connection that nothing has come by yet, and with it
                    // a request that is on its way.
                    tokio::select! {
                        _ = &mut serving => {}
                        () = context.begun.within(FIRST_REQUEST) => {
                            serving.as_mut().graceful_shutdown();
                            drop((&mut serving).await);
                        }
                    }
                }
            }
            drop(serving);
            if let Some(tunnel) = context.connection.tunnel() {
                tunnel.await;
            }
        }
    }

    /// Serves HTTP/2 with prior knowledge.
    pub(crate) async fn http2(self) {
        let Self { worker, way, stream, connection, limits, mut phase } = self;
        let _counted = way.count();
        let idle = way.idle();
        let shared = Arc::clone(&worker.shared);
        let activity = Arc::new(Activity::default());
        let (context, watched) = (
            Arc::new(Context { worker, way, connection, begun: First::default() }),
            Arc::clone(&activity),
        );
        let (counted, streams) = (Arc::clone(&shared), limits.streams);
        let service = service_fn(move |request| {
            let busy = Busy::new(&watched);
            if watched.requests() == streams {
                counted.registry.limit_hit(Limit::Streams);
            }
            let answer = Arc::clone(&context).answer(request);
            async move { Ok::<_, Severed>(answer.await?.map(|body| busy.with(body))) }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(limits.head_bytes)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = &mut serving => {}
            () = phase.reaches(Phase::Draining) => {
                serving.as_mut().graceful_shutdown();
                drop(serving.await);
            }
            quiet = activity.quiet(limits.keep_alive, idle) => {
                // A stalled one is cut: it can only end by what it does not do.
                if quiet == Quiet::Idle {
                    shared.registry.limit_hit(Limit::KeepAlive);
                    serving.as_mut().graceful_shutdown();
                    drop(timeout(limits.head_timeout, serving).await);
                }
            }
        }
    }
}

/// Whether a client that has ended its half is still there. Gateways, which come by TLS, never
/// end one half alone.
fn presence<T: Duplex>(stream: &T) -> Presence {
    stream.tcp().map_or(Presence::Gone, attest::presence)
}

/// Counts what the gate refuses before there is a request.
fn report(shared: &Arc<Shared>) -> Report {
    let shared = Arc::clone(shared);
    Arc::new(move |rule| {
        shared.registry.rule_broken(rule as usize);
        let limit = match rule {
            Rule::HeadTooLong => Limit::HeadBytes,
            Rule::TooManyFields => Limit::HeadFields,
            Rule::HeadTimeout => Limit::HeadTimeout,
            _ => return,
        };
        shared.registry.limit_hit(limit);
    })
}

fn patience(shared: &Arc<Shared>, limits: &Limits, stall: Duration) -> Patience {
    let shared = Arc::clone(shared);
    let ended = Arc::new(move |overdue| match overdue {
        Overdue::Request => shared.registry.limit_hit(Limit::KeepAlive),
        Overdue::Answer => {}
    });
    Patience { head: limits.head_timeout, idle: limits.keep_alive, stall, ended }
}

/// What all requests of a connection share.
struct Context {
    worker: Arc<Worker>,
    way: Way,
    connection: Box<Connection>,
    begun: First,
}

/// Whether the first request of a connection has come.
#[derive(Default)]
struct First {
    come: AtomicBool,
    waiting: Notify,
}

impl First {
    fn comes(&self) {
        if !self.come.swap(true, Ordering::Relaxed) {
            self.waiting.notify_one();
        }
    }

    /// Waits for it, at most so long.
    async fn within(&self, time: Duration) {
        if !self.come.load(Ordering::Relaxed) {
            drop(timeout(time, self.waiting.notified()).await);
        }
    }
}

impl Context {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Severed> {
        self.begun.comes();
        let edge = match &self.way {
            Way::Ingress(table) => public(&table.load(), &request),
            way => way.edge(),
        };
        match edge {
            Ok(edge) => exchange::answer(&self.worker, &edge, &self.connection, request).await,
            Err(why) => {
                let (shared, ends) = (&self.worker.shared, self.way.ends());
                Ok(exchange::unrouted(shared, &self.connection, ends, why, &request))
            }
        }
    }
}

/// `SERVICE` of `SERVICE.localhost`: names of hosts know no capitals, and may end in a dot
/// (RFC 9110, 4.2.3; RFC 1034, 3.1).
fn local(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let (service, root) = host.rsplit_once('.')?;
    root.eq_ignore_ascii_case("localhost").then_some(service)
}

/// The edge to the public service that a request is for: the host `SERVICE.localhost` leads to
/// that service alone, any other host to the longest path that fits.
fn public(table: &Ingress, request: &Request<Incoming>) -> Result<Arc<Edge>, Unrouted> {
    let path = request.uri().path();
    let host = request.uri().host().or_else(|| {
        let host = request.headers().get(http::header::HOST)?.to_str().ok()?;
        Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
    });
    let service = host.and_then(local);
    let fits = |(prefix, edge): &&(String, Arc<Edge>)| match service {
        Some(service) => edge.key.to.as_str().eq_ignore_ascii_case(service),
        None => path
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    let found = table.routes.iter().find(fits);
    found.map(|(_, edge)| Arc::clone(edge)).ok_or(Unrouted::NoRoute)
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
