//! One connection: its deadlines, and its end in a drain.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Version;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{App, respond};
use crate::drain::{Phase, reached};

/// From the first byte of a request to the end of its header; also from the opening of a
/// connection to its first request.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// How long a connection may be idle. Longer than clients and gateways commonly keep
/// theirs, so that they close first and no request meets a closing connection.
const IDLE_TIME: Duration = Duration::from_secs(75);

/// In a drain: how long a connection that has sent no whole request yet may take to.
/// Long enough for what is on its way, short enough for half a header to hold nothing up.
const FIRST_REQUEST_TIME: Duration = Duration::from_millis(250);

/// HTTP/2 requests at once on one connection.
const STREAMS: u32 = 200;

/// What is known of the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Requests whose header is complete.
    started: AtomicU64,
    /// Requests that are being read or answered.
    in_flight: AtomicU64,
    /// Bytes have come while no request was in flight, so they begin a header.
    header_open: AtomicBool,
    /// Frames of HTTP/2 come between requests too, and its header deadline is hyper's.
    multiplexed: AtomicBool,
    header_opened: Notify,
    first_started: Notify,
}

impl Requests {
    /// A header is complete.
    pub(super) fn start(&self, version: Version) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.header_open.store(false, Ordering::Relaxed);
        self.multiplexed.store(version == Version::HTTP_2, Ordering::Relaxed);
        if self.started.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first_started.notify_one();
        }
    }

    /// The answer is sent, or given up.
    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        let between = self.in_flight.load(Ordering::Relaxed) == 0;
        if between && !self.header_open.swap(true, Ordering::Relaxed) {
            self.header_opened.notify_one();
        }
    }

    /// Ends when a header took too long.
    async fn header_too_slow(&self) {
        loop {
            let before = self.started.load(Ordering::Relaxed);
            tokio::time::sleep(HEADER_TIME).await;
            let none_since = self.started.load(Ordering::Relaxed) == before;
            let open = before == 0 || self.header_open.load(Ordering::Relaxed);
            if none_since && open && !self.multiplexed.load(Ordering::Relaxed) {
                return;
            }
            self.header_opened.notified().await;
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, app: Arc<App>) {
    // Small answers should not wait for more; on failure they merely do.
    drop(stream.set_nodelay(true));
    let requests = Arc::new(Requests::default());
    let io = TokioIo::new(Watched { stream, requests: Arc::clone(&requests) });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIME);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);

    let mut phase = app.phase.clone();
    let of_service = Arc::clone(&requests);
    let service = service_fn(move |request| {
        let requests = Arc::clone(&of_service);
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(respond::respond(app, requests, request).await) }
    });
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    let too_slow = requests.header_too_slow();
    tokio::pin!(too_slow);

    // Errors here are the client's: it went away, or spoke no HTTP.
    tokio::select! {
        _ended = &mut connection => return,
        () = &mut too_slow => return,
        () = reached(&mut phase, Phase::Closing) => {}
    }
    if requests.started.load(Ordering::Relaxed) == 0 {
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
        _ended = &mut connection => {}
        () = &mut too_slow => {}
    }
}

/// A stream that tells when bytes have come.
#[derive(Debug)]
struct Watched {
    stream: TcpStream,
    requests: Arc<Requests>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if before < buffer.filled().len() {
            self.requests.bytes_came();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
