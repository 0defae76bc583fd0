//! What one request takes from the heap, beside what a bare hyper proxy takes in the same
//! process: the part of a gateway's cost that a busy machine cannot hide.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use allocation_counter::measure;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{LocalSet, spawn_local};
use updraft_system::mesh::{GatewayConfig, Limits};

use super::connection;
use crate::gate::Pseudonym;
use crate::identities::Identities;
use crate::phase::PhaseSwitch;
use crate::shared::Shared;
use crate::snapshot::{Entry, Snapshot};
use crate::worker::Worker;

const PLAIN: &str = include_str!("../peers-bench/peers/updraft-plain.toml");
const POLICIES: &str = include_str!("../peers-bench/peers/updraft-policies.toml");

const REQUEST: &[u8] = b"GET /1k HTTP/1.1\r\nhost: origin\r\nuser-agent: test\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

/// Connections that are held for the bytes of one.
const CONNECTIONS: usize = 50;
/// Bytes of a connection in plain that has served one request and waits for the next, with the
/// client's socket. 16 KiB of them are hyper's two buffers, of which it touches the beginning.
const IDLE_BYTES: usize = 22 * 1024;

/// Requests that are counted.
const REQUESTS: u64 = 200;

/// What a bare hyper proxy takes for each request: for each of the two heads the buffer that it
/// is read into and what its fields share, and the two ways between its connections.
const FLOOR: f64 = 6.0;
/// What we take beyond it: one for the answer under way, which an idle connection does not keep,
/// and two for the timer of the deadline, its own and the place of what few calls have. The
/// values of our fields share what they take.
const OURS: f64 = 3.0;
/// What retries take beyond that: a copy of the fields, which is two tables. It is no part of a
/// request that cannot run twice.
const RETRIES: f64 = 2.0;

/// A request's part of what is made once for many.
const SHARED: f64 = 0.2;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("runtime")
}

/// A program that answers without taking memory.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            spawn_local(async move {
                let (mut seen, mut length) = ([0; 4096], 0);
                while let Ok(count @ 1..) = stream.read(&mut seen[length..]).await {
                    length += count;
                    if seen[..length].ends_with(b"\r\n\r\n") {
                        length = 0;
                        stream.write_all(ANSWER).await.expect("write");
                    }
                }
            });
        }
    });
    address
}

/// Asks once, and waits for the end of the answer.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.expect("write");
    let (mut seen, mut length) = ([0; 4096], 0);
    while !seen[..length].ends_with(b"hello") {
        length += stream.read(&mut seen[length..]).await.expect("read");
        assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", seen.escape_ascii());
    }
}

/// Allocations for each request on one connection to whatever `accept` serves.
fn allocations(accept: impl AsyncFn(SocketAddr) -> TcpStream) -> f64 {
    let runtime = runtime();
    let tasks = LocalSet::new();
    let mut stream = tasks.block_on(&runtime, async {
        let mut stream = accept(origin().await).await;
        for _ in 0..20 {
            ask(&mut stream).await;
        }
        stream
    });
    let counted = measure(|| {
        tasks.block_on(&runtime, async {
            for _ in 0..REQUESTS {
                ask(&mut stream).await;
            }
        });
    });
    counted.count_total as f64 / REQUESTS as f64
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (ours, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (theirs, peer) = accepted.expect("accept");
    (ours.expect("connect"), theirs, peer)
}

async fn bare(origin: SocketAddr) -> TcpStream {
    let (ours, theirs, _) = pair().await;
    let upstream = TokioIo::new(TcpStream::connect(origin).await.expect("connect"));
    let (sender, driven) =
        hyper::client::conn::http1::handshake::<_, Incoming>(upstream).await.expect("handshake");
    spawn_local(async move { drop(driven.await) });
    let sender = Rc::new(RefCell::new(Some(sender)));
    let service = service_fn(move |request: Request<Incoming>| {
        let place = Rc::clone(&sender);
        async move {
            let mut sender = place.borrow_mut().take().expect("one request at a time");
            sender.ready().await?;
            let response: Response<Incoming> = sender.send_request(request).await?;
            *place.borrow_mut() = Some(sender);
            Ok::<_, hyper::Error>(response)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    spawn_local(async move { drop(serving.serve_connection(TokioIo::new(theirs), service).await) });
    ours
}

/// A gateway with one edge, on this thread.
struct Here {
    worker: Arc<Worker>,
    entry: Entry,
    limits: Arc<Limits>,
    phase: PhaseSwitch,
    /// Has the places of the edges.
    _snapshot: Snapshot,
}

impl Here {
    fn new(template: &str, origin: SocketAddr) -> Self {
        let text = template
            .replace("@LISTEN@", "127.0.0.1:1")
            .replace("@ADMIN@", "127.0.0.1:2")
            .replace("@UPSTREAM@", &origin.to_string());
        let config: GatewayConfig = toml::from_str(&text).expect("configuration");
        let identities = Identities::new(config.system.clone(), None);
        let pseudonym = Pseudonym::new("bench.updraft").expect("name");
        let shared = Shared::new(config.system.clone(), None, identities, pseudonym, false);
        let before = Snapshot::default();
        let mut snapshot = Snapshot::compile(&config, &before, &shared).expect("edges");
        snapshot.publish(&before);
        let entry = snapshot.entries.values().next().expect("port").clone();
        let worker = Arc::new(Worker::new(Arc::new(shared), &config.limits, Handle::current()));
        let (limits, phase) = (Arc::new(config.limits), PhaseSwitch::new());
        Self { worker, entry, limits, phase, _snapshot: snapshot }
    }

    /// The connection of a caller.
    async fn connect(&self) -> TcpStream {
        let (ours, theirs, peer) = pair().await;
        let (worker, entry) = (Arc::clone(&self.worker), self.entry.clone());
        let (limits, phase) = (Arc::clone(&self.limits), self.phase.watch());
        spawn_local(connection(worker, entry, theirs, peer, limits, phase));
        ours
    }
}

#[test]
fn a_request_allocates_little_more_than_in_a_bare_proxy_and_policies_nothing_but_a_copy() {
    let of = |template: &'static str| {
        allocations(async |origin| {
            // It lives as long as the process.
            let here: &'static Here = Box::leak(Box::new(Here::new(template, origin)));
            here.connect().await
        })
    };
    let (bare, plain, policies) = (allocations(bare), of(PLAIN), of(POLICIES));
    println!("{bare} in a bare proxy, {plain} without and {policies} with policies");
    assert!(bare < FLOOR + SHARED, "the floor: {bare}");
    assert!(plain < bare + OURS + SHARED, "beyond {bare} of the floor: {plain}");
    assert!(policies < plain + RETRIES + SHARED, "all policies: {policies}, none: {plain}");
}

#[test]
fn an_idle_connection_is_small() {
    let (runtime, tasks) = (runtime(), LocalSet::new());
    let here = tasks.block_on(&runtime, async { Here::new(PLAIN, origin().await) });
    let one = async || {
        let mut stream = here.connect().await;
        ask(&mut stream).await;
        stream
    };
    let mut streams = Vec::with_capacity(CONNECTIONS + 1);
    streams.push(tasks.block_on(&runtime, one()));
    let taken = measure(|| {
        tasks.block_on(&runtime, async {
            for _ in 0..CONNECTIONS {
                streams.push(one().await);
            }
        });
    });
    let bytes = usize::try_from(taken.bytes_current).expect("bytes") / CONNECTIONS;
    println!("{bytes} bytes for a connection");
    assert!(bytes <= IDLE_BYTES, "{bytes}");
}
