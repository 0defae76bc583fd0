//! A client of HTTP/2 that sends frames as they are, and a server of HTTP/2 that is right.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::frame::{self, Frame};

/// The longest that a frame is waited for. Less than the gateway's own times.
pub(crate) const FRAME_TIME: Duration = Duration::from_secs(8);

/// One connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Frame(Frame),
    /// The connection has ended.
    Closed,
    /// Nothing came.
    Silence,
}

impl Peer {
    /// Connects and says nothing.
    pub(crate) async fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Connects and shakes hands: all settings are acknowledged on both sides.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::with(address, &[]).await
    }

    /// The same with settings of its own.
    pub(crate) async fn with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(address).await;
        peer.send(&[frame::PREFACE.to_vec(), frame::settings(settings)].concat()).await;
        let (mut theirs, mut ours) = (false, false);
        while !(theirs && ours) {
            match peer.next().await {
                Event::Frame(it) if it.kind == frame::SETTINGS && it.has(frame::ACK) => ours = true,
                Event::Frame(it) if it.kind == frame::SETTINGS => theirs = true,
                Event::Frame(_) => {}
                other => panic!("no handshake but {other:?}"),
            }
        }
        peer.send(&frame::settings_ack()).await;
        peer
    }

    /// Sends bytes; that nobody takes them any more is no failure of the test.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(FRAME_TIME, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some((frame, used)) = Frame::read(&self.buffer) {
                self.buffer.drain(..used);
                return Event::Frame(frame);
            }
            self.buffer.reserve(16 * 1024);
            match timeout(FRAME_TIME, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) => return Event::Silence,
                Ok(Err(_) | Ok(0)) => return Event::Closed,
                Ok(Ok(_)) => {}
            }
        }
    }

    /// The next frame for which `wanted` holds; `None`: it did not come.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            match self.next().await {
                Event::Frame(frame) if wanted(&frame) => return Some(frame),
                Event::Frame(_) => {}
                Event::Closed | Event::Silence => return None,
            }
        }
    }

    /// The error with which the connection ends: 0 if without a word. Waits for the end.
    pub(crate) async fn goodbye(&mut self) -> Option<u32> {
        let mut error = None;
        loop {
            match self.next().await {
                Event::Frame(it) if it.kind == frame::GOAWAY => error = it.error(),
                Event::Frame(_) => {}
                Event::Closed => return Some(error.unwrap_or_default()),
                Event::Silence => return None,
            }
        }
    }
}

/// A server of HTTP/2 that answers each request once its body is there.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

impl Server {
    /// Answers with a few bytes.
    pub(crate) async fn start() -> Self {
        Self::answering(|_, _, _| Response::new(full("hello, world"))).await
    }

    /// Answers as `script` says to head, body and trailers.
    pub(crate) async fn answering(
        script: impl Fn(http::request::Parts, Bytes, Option<HeaderMap>) -> Answer
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, requests: Arc::default() };
        let (requests, script) = (Arc::clone(&server.requests), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, script) = (Arc::clone(&requests), Arc::clone(&script));
                let service = service_fn(move |request: Request<Incoming>| {
                    requests.fetch_add(1, Ordering::Relaxed);
                    let script = Arc::clone(&script);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?;
                        let trailers = body.trailers().cloned();
                        let is_head = head.method == http::Method::HEAD;
                        let answer = script(head, body.to_bytes(), trailers);
                        // Which hyper leaves to its user.
                        let empty = |answer: Answer| answer.map(|_| full(Bytes::new()));
                        Ok::<_, hyper::Error>(if is_head { empty(answer) } else { answer })
                    }
                });
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.max_concurrent_streams(1000).max_local_error_reset_streams(None);
                builder.max_pending_accept_reset_streams(100_000);
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A body of bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    BoxBody::new(Full::new(bytes.into()))
}
