//! Laws of the pool, with real sockets and real servers.

mod close;
mod connect;
mod http1;
mod http2;
mod peer;
mod storm;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Counts, Pool, PoolConfig, PooledBody, Protocol, SendError, Target};

/// A body whose frames come from the test; it ends with the sender.
pub(super) struct Piped(mpsc::Receiver<Frame<Bytes>>);

impl Piped {
    pub(super) fn new() -> (mpsc::Sender<Frame<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(16);
        (sender, Self(receiver))
    }

    pub(super) fn empty() -> Self {
        Self::new().1
    }

    pub(super) fn full(text: &'static str) -> Self {
        let (sender, body) = Self::new();
        sender.try_send(Frame::data(Bytes::from_static(text.as_bytes()))).expect("room");
        body
    }
}

impl Body for Piped {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

/// A hyper server that counts its connections, and ends with its owner.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) accepted: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start<F, R>(protocol: Protocol, answer: F) -> Self
    where
        F: Fn(usize, Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Piped>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&accepted);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let response = answer(number, request);
                    async move { Ok::<_, Infallible>(response.await) }
                });
                connections.spawn(async move {
                    let io = TokioIo::new(stream);
                    match protocol {
                        Protocol::Http1 => {
                            let http = hyper::server::conn::http1::Builder::new();
                            drop(http.serve_connection(io, service).with_upgrades().await);
                        }
                        Protocol::Http2 => {
                            let mut http =
                                hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            http.max_concurrent_streams(200);
                            drop(http.serve_connection(io, service).await);
                        }
                    }
                });
            }
        });
        Self { address, accepted, tasks }
    }

    /// One that answers each request with its path, and the number of the connection.
    pub(super) async fn echo(protocol: Protocol) -> Self {
        Self::start(protocol, |number, request| async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.map(|all| all.to_bytes());
            let (sender, piped) = Piped::new();
            sender.try_send(Frame::data(body.unwrap_or_default())).expect("room");
            let response =
                Response::builder().header("path", path).header("connection-number", number);
            response.body(piped).expect("response")
        })
        .await
    }

    pub(super) fn target(&self, protocol: Protocol) -> Target {
        Target::plain(self.address, 0, protocol)
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn stop(mut self) {
        self.tasks.abort_all();
    }
}

pub(super) fn pool(config: PoolConfig) -> Arc<Pool<Piped>> {
    Arc::new(Pool::new(config, Handle::current(), Arc::new(|_| {})))
}

pub(super) fn request(target: &Target, path: &str, body: Piped) -> Request<Piped> {
    let address = target.address();
    let builder = Request::builder().method("POST").header("host", address.to_string());
    let builder = match target.protocol() {
        Protocol::Http1 => builder.uri(path).version(Version::HTTP_11),
        Protocol::Http2 => builder.uri(format!("http://{address}{path}")).version(Version::HTTP_2),
    };
    builder.body(body).expect("request")
}

pub(super) fn get(target: &Target, path: &str) -> Request<Piped> {
    let mut request = request(target, path, Piped::empty());
    *request.method_mut() = http::Method::GET;
    request
}

pub(super) type Answer = Result<Response<PooledBody>, SendError<Piped>>;

pub(super) async fn text(response: Response<PooledBody>) -> String {
    let bytes = response.into_body().collect().await.expect("body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Waits until the counts are as they should be.
pub(super) async fn settled(pool: &Pool<Piped>, wanted: impl Fn(&Counts) -> bool) -> Counts {
    let wait = async {
        loop {
            let counts = pool.counts();
            if wanted(&counts) {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(10), wait).await {
        Ok(counts) => counts,
        Err(_) => panic!("it stays at {:?}", pool.counts()),
    }
}

/// Looks at a future once.
pub(super) async fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
