//! A server that does what it is told, and remembers what it was asked.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many came before it.
    pub(crate) number: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What the server does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with this status and an empty body.
    Status(u16),
    /// Answers with a body.
    Say(String),
    /// Answers with bytes that all answers share.
    Bytes(Bytes),
    /// Answers with a field.
    Field(u16, &'static str, &'static str),
    /// Breaks the connection without an answer.
    Break,
    /// Never answers.
    Hang,
    /// Waits first.
    After(Duration, Box<Act>),
    /// Waits until [`Upstream::release`].
    Held(Box<Act>),
}

type Behaviour = Arc<dyn Fn(&Asked) -> Act + Send + Sync>;

/// The server. It ends, with all its connections, when it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    accepting: AbortHandle,
}

struct Inner {
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
    count: AtomicUsize,
    under_way: AtomicUsize,
    released: Notify,
    http2: bool,
}

impl Upstream {
    /// Speaks HTTP/1.1.
    pub(crate) fn http1(behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), false, behaviour)
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub(crate) fn http2(behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), true, behaviour)
    }

    /// Answers 200 with its own name.
    pub(crate) fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self::http1(move |_| Act::Say(name.clone()))
    }

    pub(crate) fn at(
        address: SocketAddr,
        http2: bool,
        behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            behaviour: Mutex::new(Arc::new(behaviour)),
            asked: Mutex::default(),
            count: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            released: Notify::new(),
            http2,
        });
        let shared = Arc::clone(&inner);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.unwrap();
                        connections.spawn(Arc::clone(&shared).serve(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, inner, accepting: accepting.abort_handle() }
    }

    /// Behaves otherwise from now on.
    pub(crate) fn become_(&self, behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static) {
        *self.inner.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// Lets go of all that is held.
    pub(crate) fn release(&self) {
        self.inner.released.notify_waiters();
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.inner.count.load(Ordering::SeqCst)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::SeqCst)
    }

    /// The requests so far; forgotten here.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner.asked.lock().unwrap())
    }

    /// The only request since the last look.
    pub(crate) fn only(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let http2 = self.http2;
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        let io = TokioIo::new(stream);
        if http2 {
            drop(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
        } else {
            drop(http1::Builder::new().serve_connection(io, service).await);
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
            number: self.count.fetch_add(1, Ordering::SeqCst),
        };
        let behaviour = Arc::clone(&*self.behaviour.lock().unwrap());
        let act = behaviour(&asked);
        self.asked.lock().unwrap().push(asked);
        let _busy = Busy::new(&self);
        self.act(act).await
    }

    async fn act(&self, mut act: Act) -> io::Result<Response<Full<Bytes>>> {
        loop {
            let response = Response::builder();
            return match act {
                Act::Status(status) => Ok(response.status(status).body(Full::default()).unwrap()),
                Act::Say(text) => Ok(response.body(Full::from(text)).unwrap()),
                Act::Bytes(bytes) => Ok(response.body(Full::new(bytes)).unwrap()),
                Act::Field(status, name, value) => {
                    let response = response.status(status).header(name, value);
                    Ok(response.body(Full::default()).unwrap())
                }
                Act::Break => Err(io::Error::other("told to break")),
                Act::Hang => std::future::pending().await,
                Act::After(time, then) => {
                    tokio::time::sleep(time).await;
                    act = *then;
                    continue;
                }
                Act::Held(then) => {
                    self.released.notified().await;
                    act = *then;
                    continue;
                }
            };
        }
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.under_way.fetch_add(1, Ordering::SeqCst);
        Self(&inner.under_way)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
