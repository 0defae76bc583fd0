//! Requests of HTTP/1: the scanner, the reference that it is held against, and hyper behind it.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gate::{Rule, ScanLimits, StrictIo, naive, scan as scanner};

/// A request that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as it stands in the request line.
    pub target: String,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// What the scanner makes of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The place behind each request.
    pub ends: Vec<usize>,
    /// How many bytes pass.
    pub passed: usize,
    /// The rule that what comes behind them breaks.
    pub rule: Option<&'static str>,
}

/// Gives the pieces to the scanner one after another.
#[must_use]
pub fn scan(pieces: &[&[u8]]) -> Scanned {
    let mut scanner = scanner::Scanner::new(ScanLimits::default());
    let (mut waiting, mut scanned) = (Vec::new(), Scanned::default());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let taken = scanner.advance(&waiting);
            waiting.drain(..taken.bytes);
            scanned.passed += taken.bytes;
            match taken.then {
                scanner::Then::Complete => scanned.ends.push(scanned.passed),
                scanner::Then::More => break,
                scanner::Then::Refused(rule) => {
                    scanned.rule = Some(rule.name());
                    return scanned;
                }
            }
        }
    }
    scanned
}

/// What the reference makes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Whole requests.
    pub requests: Vec<Request>,
    /// The place behind each.
    pub ends: Vec<usize>,
    /// What follows them can be read in two ways, or in none.
    pub refused: bool,
}

/// Reads the whole stream by the reference. It knows no bounds.
#[must_use]
pub fn read_whole(stream: &[u8]) -> Read {
    let naive::Reading { requests, refused } = naive::read(stream);
    let ends = requests.iter().map(|request| request.end).collect();
    let plain =
        |it: naive::Request| Request { method: it.method, target: it.target, body: it.body };
    Read { requests: requests.into_iter().map(plain).collect(), ends, refused }
}

/// What comes out of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The requests that a service behind hyper got whole.
    pub requests: Vec<Request>,
    /// Requests of which it got the head.
    pub heads: usize,
    /// The rules that were reported.
    pub rules: Vec<&'static str>,
    /// All that was written to the client.
    pub written: Vec<u8>,
    /// The connection ended, or its write side did, before the client ended it.
    pub closed: bool,
}

/// Where timers are; it never runs.
static RUNTIME: LazyLock<std::io::Result<tokio::runtime::Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build());

/// Whether somebody wants to be polled again.
#[derive(Default)]
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves a connection whose client sends the pieces, one for each read, waits until nothing more
/// happens, and goes.
#[must_use]
pub fn serve(pieces: &[&[u8]]) -> Served {
    let client = Client {
        pieces: pieces.iter().rev().map(|piece| piece.to_vec()).collect(),
        served: Arc::default(),
        gone: Arc::default(),
    };
    let (served, gone) = (Arc::clone(&client.served), Arc::clone(&client.gone));
    let (reported, seen) = (Arc::clone(&served), Arc::clone(&served));
    let report = Arc::new(move |rule: Rule| noted(&reported).rules.push(rule.name()));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            noted(&seen).heads += 1;
            let body = body.collect().await?.to_bytes().to_vec();
            let (method, target) = (parts.method.to_string(), parts.uri.to_string());
            noted(&seen).requests.push(Request { method, target, body });
            Ok::<_, hyper::Error>(hyper::Response::new(Full::<Bytes>::default()))
        }
    });
    let _guard = RUNTIME.as_ref().ok().map(tokio::runtime::Runtime::enter);
    let io = TokioIo::new(StrictIo::new(client, ScanLimits::default(), report));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_headers(100).half_close(false);
    let mut serving = pin!(tokio::task::unconstrained(builder.serve_connection(io, service)));
    if quiet(serving.as_mut()) {
        noted(&served).closed = true;
    } else {
        gone.store(true, Ordering::Relaxed);
        quiet(serving.as_mut());
    }
    std::mem::take(&mut *noted(&served))
}

fn noted(served: &Mutex<Served>) -> std::sync::MutexGuard<'_, Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Polls until nobody asks for it any more; whether it has ended.
fn quiet(mut future: Pin<&mut impl Future>) -> bool {
    let awake = Arc::new(Awake::default());
    let waker = Waker::from(Arc::clone(&awake));
    let mut cx = Context::from_waker(&waker);
    loop {
        if future.as_mut().poll(&mut cx).is_ready() {
            return true;
        }
        if !awake.0.swap(false, Ordering::Relaxed) {
            return false;
        }
    }
}

/// The client's end, in memory.
struct Client {
    /// What it will send, the last first.
    pieces: Vec<Vec<u8>>,
    served: Arc<Mutex<Served>>,
    gone: Arc<AtomicBool>,
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(mut piece) = self.pieces.pop() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push(rest);
            }
            return Poll::Ready(Ok(()));
        }
        if self.gone.load(Ordering::Relaxed) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        noted(&self.served).written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        noted(&self.served).closed |= !self.gone.load(Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}
