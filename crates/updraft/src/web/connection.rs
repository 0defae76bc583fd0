//! One connection: its deadlines, and its end in a drain.

mod watched;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Version;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

use super::listener::Stream;
use super::peer::Connected;
use super::settings::Limits;
use super::{App, respond};
use crate::drain::{Phase, reached};
use crate::metrics::{Closed, Open};
use watched::Watched;

/// In a drain: how long a connection that has sent no whole request yet may take to.
/// Long enough for what is on its way, short enough for half a header to hold nothing up.
const FIRST_REQUEST_TIME: Duration = Duration::from_millis(250);

/// HTTP/2 requests at once on one connection.
const STREAMS: u32 = 200;

/// How often a quiet HTTP/2 connection is asked whether it lives, and for how long it may not
/// answer: the other side of a broken network says nothing more.
const PING_EVERY: Duration = Duration::from_secs(20);

/// What is known of the requests of one connection, and what they need: one count of owners
/// is touched for each request, and no count that other connections touch too.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) app: Arc<App>,
    pub(super) connected: Arc<Connected>,
    /// Unchanged since it was seen before the drain.
    phase: watch::Receiver<Phase>,
    /// Requests whose header is complete.
    started: AtomicU64,
    /// Requests that are being read or answered.
    in_flight: AtomicU64,
    /// Bytes have come while no request was in flight, so they begin a header.
    header_open: AtomicBool,
    /// Frames of HTTP/2 come between requests too, and a header in the middle of which it
    /// stays is found by a ping that is not answered.
    multiplexed: AtomicBool,
    /// Something of the body of the last request has not come yet, or nobody has taken it.
    body_left: AtomicBool,
    first_started: Notify,
    place: Place,
}

/// A connection's place among `MAX_CONNECTIONS`, for as long as anything of it lives. What is
/// accepted last of all has none.
#[derive(Debug)]
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    open: Open,
}

impl Place {
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, app: &App) -> Self {
        Self { _permit: permit, open: app.connections.accepted() }
    }
}

impl Requests {
    fn new(app: Arc<App>, connected: Connected, place: Place) -> Self {
        let mut phase = app.phase.clone();
        if Phase::Draining <= *phase.borrow_and_update() {
            phase.mark_changed();
        }
        Self {
            app,
            connected: Arc::new(connected),
            phase,
            started: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            header_open: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            body_left: AtomicBool::new(false),
            first_started: Notify::new(),
            place,
        }
    }

    /// A header is complete.
    pub(super) fn start(&self, version: Version, has_body: bool) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.header_open.store(false, Ordering::Relaxed);
        self.body_left.store(has_body, Ordering::Relaxed);
        self.multiplexed.store(version == Version::HTTP_2, Ordering::Relaxed);
        if self.started.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first_started.notify_one();
        }
    }

    /// Its body was read to the end.
    pub(super) fn body_read(&self) {
        self.body_left.store(false, Ordering::Relaxed);
    }

    /// The other side may still be sending what nobody reads.
    fn is_sent_more(&self) -> bool {
        self.body_left.load(Ordering::Relaxed) && !self.multiplexed.load(Ordering::Relaxed)
    }

    /// The answer is sent, or given up.
    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request of HTTP/1 is being answered, so that nothing is read.
    fn is_answering(&self) -> bool {
        0 < self.in_flight.load(Ordering::Relaxed) && !self.multiplexed.load(Ordering::Relaxed)
    }

    /// Whether the client must open its next connection elsewhere. Before the drain this takes
    /// no lock, which all connections share.
    pub(super) fn is_draining(&self) -> bool {
        self.phase.has_changed().unwrap_or(true) && Phase::Draining <= *self.phase.borrow()
    }

    fn bytes_came(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            self.header_open.store(true, Ordering::Relaxed);
        }
    }

    /// The header that is being read, by the number of requests before it: the first one from
    /// the beginning of the connection on, each other from its first byte on.
    fn header_being_read(&self) -> Option<u64> {
        let started = self.started.load(Ordering::Relaxed);
        let open = started == 0 || self.header_open.load(Ordering::Relaxed);
        (open && !self.multiplexed.load(Ordering::Relaxed)).then_some(started)
    }

    /// Ends when a header took too long. It has to be polled after the connection: what that
    /// has read and not understood yet is a header that is being read. So nobody needs to be
    /// woken for it, and a header that comes as a whole needs no timer.
    async fn header_too_slow(&self, time: Duration) {
        let mut running: Option<(u64, Pin<Box<Sleep>>)> = None;
        poll_fn(|context| {
            let Some(header) = self.header_being_read() else {
                running = None;
                return Poll::Pending;
            };
            if running.as_ref().is_none_or(|(of, _)| *of != header) {
                running = Some((header, Box::pin(tokio::time::sleep(time))));
            }
            let Some((_, time)) = &mut running else { return Poll::Pending };
            time.as_mut().poll(context)
        })
        .await;
    }

    /// Ends when nothing was asked for so long, or up to half as long again: a timer for each
    /// request would cost more than it is worth.
    async fn idle(&self, time: Duration) {
        let seen = || {
            let started = self.started.load(Ordering::Relaxed);
            (started, self.in_flight.load(Ordering::Relaxed))
        };
        let mut quiet = 0;
        while quiet < 2 {
            let before = seen();
            tokio::time::sleep(time / 2).await;
            let after = seen();
            quiet = if before == after && after.1 == 0 { quiet + 1 } else { 0 };
        }
    }
}

/// How all connections of a listener are spoken with.
#[derive(Debug)]
pub(super) struct Protocol {
    /// Where the stream tells when the other side has gone.
    told: auto::Builder<TokioExecutor>,
    /// Where that is found out by reading on while a request is answered, into a buffer that
    /// is allocated for it.
    read: auto::Builder<TokioExecutor>,
}

impl Protocol {
    pub(super) fn new(limits: &Limits) -> Self {
        let (mut told, read) = (builder(limits), builder(limits));
        told.http1().half_close(true);
        Self { told, read }
    }

    fn of(&self, stream: &Stream) -> &auto::Builder<TokioExecutor> {
        if stream.tells_its_end() { &self.told } else { &self.read }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The deadlines of HTTP/1 are `Requests`'s: without a timer for each request.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .enable_connect_protocol();
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: Stream,
    address: Option<SocketAddr>,
    app: Arc<App>,
    place: Place,
) {
    let Some((stream, connected)) = secure(stream, address, &app).await else { return };
    speak(stream, connected, app, place).await;
}

/// Serves one connection, on which HTTP is spoken from here on, to its end.
pub(super) async fn speak(stream: Stream, connected: Connected, app: Arc<App>, place: Place) {
    let mut phase = app.phase.clone();
    let requests = Arc::new(Requests::new(Arc::clone(&app), connected, place));
    let limits = &app.settings.limits;
    let protocol = app.protocol.of(&stream);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&requests), limits.write_time));
    let of_service = Arc::clone(&requests);
    let service = service_fn(move |request| respond::respond(Arc::clone(&of_service), request));
    let connection = protocol.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    // These come after the connection, which may have used up the budget of the task.
    let too_slow = unconstrained(requests.header_too_slow(limits.header_time));
    tokio::pin!(too_slow);

    // These wait for long, so they are polled when they are woken, and not with each request:
    // all connections wait for the phase, behind one lock.
    let mut over = FuturesUnordered::from_iter([async {
        tokio::select! {
            biased;
            () = requests.idle(limits.idle_time) => Closed::Idle,
            () = reached(&mut phase, Phase::Closing) => Closed::Drained,
        }
    }]);

    let open = &requests.place.open;
    // Errors here are the client's: it went away, or spoke no HTTP.
    let reason = tokio::select! {
        biased;
        ended = &mut connection => {
            return open.ends(if ended.is_ok() { Closed::Ended } else { Closed::Broken });
        }
        () = &mut too_slow => return open.ends(Closed::SlowHeader),
        Some(reason) = unconstrained(over.next()) => reason,
    };
    open.ends(reason);
    if reason == Closed::Drained && requests.started.load(Ordering::Relaxed) == 0 {
        let first = tokio::time::timeout(FIRST_REQUEST_TIME, requests.first_started.notified());
        tokio::select! {
            // What has come is read before the time is looked at.
            biased;
            _ended = &mut connection => return,
            started = first => if started.is_err() { return },
        }
    }
    // Closes at once when idle, else after the answers in hand.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ended = &mut connection => {}
        () = &mut too_slow => {}
    }
}

/// Shakes hands, where TLS is spoken. A handshake may take as long as a header, and in a
/// drain no longer than a first request.
#[cfg(feature = "tls")]
async fn secure(
    stream: Stream,
    address: Option<SocketAddr>,
    app: &App,
) -> Option<(Stream, Connected)> {
    let Some(tls) = &app.tls else {
        return Some((stream, Connected::new(address, &app.http)));
    };
    let mut phase = app.phase.clone();
    let closed = async {
        reached(&mut phase, Phase::Closing).await;
        tokio::time::sleep(FIRST_REQUEST_TIME).await;
    };
    let error = tokio::select! {
        accepted = tls.accept(stream) => match accepted {
            Ok((stream, identity)) => {
                let plain = Connected::new(address, &app.http);
                let connected = Connected { tls: true, identity, ..plain };
                return Some((stream, connected));
            }
            Err(error) => error,
        },
        () = tokio::time::sleep(app.settings.limits.header_time) => {
            std::io::ErrorKind::TimedOut.into()
        }
        () = closed => return None,
    };
    app.metrics.tls_handshakes_failed.inc();
    // Scanners would fill the log.
    tracing::debug!(error = &error as &dyn std::error::Error, "no TLS handshake");
    None
}

#[cfg(not(feature = "tls"))]
async fn secure(
    stream: Stream,
    address: Option<SocketAddr>,
    app: &App,
) -> Option<(Stream, Connected)> {
    std::future::ready(Some((stream, Connected::new(address, &app.http)))).await
}
