//! A server that answers what it is told, remembers what it was asked, and can be stopped,
//! stalled and started again at its address.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};
use updraft::{Client, ServiceUrl, Variable as _};
use updraft_resilience::backoff::{Backoff, Jitter};
use updraft_resilience::breaker::{BreakerConfig, OpenFor, Trip};
use updraft_resilience::policy::PolicyConfig;
use updraft_resilience::retry::RetryConfig;

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Answering = dyn Fn(usize) -> (u16, Vec<(&'static str, &'static str)>, String) + Send + Sync;

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Answering>,
    stalled: Arc<AtomicBool>,
}

/// A server at an address that it keeps.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Shared,
    running: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the n-th question, from 0, with a status, headers and a body.
    pub(crate) async fn start(
        answer: impl Fn(usize) -> (u16, Vec<(&'static str, &'static str)>, String)
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Shared { asked: Arc::default(), answer: Arc::new(answer), stalled: Arc::default() };
        let mut server = Self { address, shared, running: None };
        server.run(listener);
        server
    }

    /// Answers everything with this status.
    pub(crate) async fn of_status(status: u16) -> Self {
        Self::start(move |_| (status, Vec::new(), String::new())).await
    }

    fn run(&mut self, listener: TcpListener) {
        let router = axum::Router::new().fallback(answer).with_state(self.shared.clone());
        self.running = Some(tokio::spawn(async move {
            // With the listener its connections are gone, as with a process.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(router.clone());
                connections.spawn(async move {
                    let serving = hyper::server::conn::http1::Builder::new();
                    drop(serving.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Takes questions and answers none, as a stopped process does.
    pub(crate) fn stall(&self, stalled: bool) {
        self.shared.stalled.store(stalled, Ordering::SeqCst);
    }

    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        drop(running.await);
    }

    pub(crate) fn restart(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.run(socket.listen(64).unwrap());
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let number = {
        let mut asked = shared.asked.lock().unwrap();
        asked.push(Asked { method, uri, headers, body });
        asked.len() - 1
    };
    if shared.stalled.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let (status, headers, body) = (shared.answer)(number);
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

/// Up to three attempts, with next to no waits between them.
pub(crate) fn policy() -> PolicyConfig {
    let backoff = Backoff::constant(Duration::from_millis(1)).jitter(Jitter::None);
    PolicyConfig {
        deadline: Some(Duration::from_secs(30)),
        attempt_timeout: Some(Duration::from_secs(20)),
        retry: Some(RetryConfig { backoff, ..RetryConfig::default() }),
        breaker: Some(BreakerConfig::any_of([Trip::consecutive(5)]).open_for(OpenFor {
            first: Duration::from_millis(300),
            max: Duration::from_millis(300),
            ..OpenFor::default()
        })),
        ..PolicyConfig::default()
    }
}

/// A client of these servers.
pub(crate) fn client(servers: &[&Server], policy: PolicyConfig) -> Client {
    let urls: Vec<_> = servers.iter().map(|server| server.url()).collect();
    ServiceUrl::parse(&urls.join(",")).unwrap().client_with("ledger", policy).unwrap()
}
