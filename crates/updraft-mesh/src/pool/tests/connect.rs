//! Connecting: failures, waiters, and what one request leaves to another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Piped, Server, get, look, pool, request, settled, text};
use crate::pool::{ConnectError, PoolConfig, Protocol, SendError, Target, UnsentCause};

const HTTP1: Protocol = Protocol::Http1;

/// A listener that takes no more connections: the kernel drops what would open one.
struct Stuck {
    address: SocketAddr,
    listener: tokio::net::TcpListener,
    filling: Vec<TcpStream>,
}

impl Stuck {
    async fn start() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
        let listener = socket.listen(1).expect("listen");
        let address = listener.local_addr().expect("address");
        let mut stuck = Self { address, listener, filling: Vec::new() };
        stuck.fill().await;
        stuck
    }

    async fn fill(&mut self) {
        let limit = Duration::from_millis(100);
        while let Ok(stream) = tokio::time::timeout(limit, TcpStream::connect(self.address)).await {
            self.filling.push(stream.expect("connect"));
        }
    }
}

#[tokio::test]
async fn a_connect_that_takes_too_long_gives_the_request_back() {
    let stuck = Stuck::start().await;
    let unroutable = SocketAddr::from(([192, 0, 2, 1], 9));
    for address in [stuck.address, unroutable] {
        for protocol in [HTTP1, Protocol::Http2] {
            let config =
                PoolConfig { connect_timeout: Duration::from_millis(80), ..PoolConfig::default() };
            let pool = pool(config);
            let target = Target::plain(address, 0, protocol);
            let error = pool.send(&target, request(&target, "/", Piped::full("x"))).await;
            let (back, cause) = match error {
                Err(SendError::Unsent {
                    request: Some(back),
                    cause: UnsentCause::Connect(cause),
                }) => (back, cause),
                other => panic!("{other:?}"),
            };
            // A machine without a route says so at once.
            assert!(matches!(*cause, ConnectError::Timeout | ConnectError::Tcp(_)), "{cause:?}");
            assert_eq!(back.into_body().collect().await.expect("body").to_bytes(), "x");
            let counts = pool.counts();
            assert_eq!(counts.http1.connect_failures + counts.http2.connect_failures, 1);
            assert_eq!(counts.http1.open + counts.http2.open, 0);
        }
    }
}

#[tokio::test]
async fn what_is_configured_later_holds_for_connections_from_then_on() {
    for protocol in [HTTP1, Protocol::Http2] {
        let server = Server::echo(protocol).await;
        let (before, after) = (
            Target::plain(server.address, 0, protocol),
            Target::plain(server.address, 1, protocol),
        );
        let minute = Duration::from_secs(60);
        let patient = PoolConfig { connect_timeout: minute, ..PoolConfig::default() };
        let pool = pool(PoolConfig { idle_http1: minute, idle_http2: minute, ..patient });
        text(pool.send(&before, get(&before, "/")).await.expect("response")).await;
        let short = Duration::from_millis(40);
        let hasty = PoolConfig { connect_timeout: short, wait: minute, ..PoolConfig::default() };
        pool.configure(PoolConfig { idle_http1: short, idle_http2: short, ..hasty });
        text(pool.send(&after, get(&after, "/")).await.expect("response")).await;
        settled(&pool, |_| pool.open(&after) == 0).await;
        assert_eq!(pool.open(&before), 1, "{protocol:?}: the old one goes by what held then");

        let stuck = Stuck::start().await;
        let target = Target::plain(stuck.address, 0, protocol);
        let began = Instant::now();
        let sent = pool.send(&target, request(&target, "/", Piped::empty())).await;
        assert!(matches!(sent, Err(SendError::Unsent { .. })), "{sent:?}");
        assert!(began.elapsed() < minute / 2, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_refused_connection_gives_each_waiting_request_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    drop(listener);
    for protocol in [HTTP1, Protocol::Http2] {
        let pool = pool(PoolConfig::default());
        let target = Target::plain(address, 0, protocol);
        let mut requests = JoinSet::new();
        for _ in 0..100 {
            let (pool, target) = (Arc::clone(&pool), target.clone());
            requests.spawn(async move { pool.send(&target, get(&target, "/")).await });
        }
        while let Some(outcome) = requests.join_next().await {
            let error = outcome.expect("task").expect_err("nobody listens");
            let given_back = matches!(error, SendError::Unsent { request: Some(_), .. });
            assert!(given_back, "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_endpoint_does_not_hold_up_others() {
    let stuck = Stuck::start().await;
    let server = Server::echo(HTTP1).await;
    let pool = pool(PoolConfig::default());
    let slow = Target::plain(stuck.address, 0, HTTP1);
    let quick = server.target(HTTP1);
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.send(&slow, get(&slow, "/")).await }
    });
    for _ in 0..100 {
        let response = pool.send(&quick, get(&quick, "/")).await.expect("response");
        drop(text(response).await);
    }
    assert!(!waiting.is_finished());
    assert!(waiting.await.expect("task").is_err());
}

#[tokio::test]
async fn a_connection_that_becomes_free_serves_who_waits_for_a_new_one() {
    let mut stuck = Stuck::start().await;
    // Room for one, then none again.
    drop(stuck.listener.accept().await.expect("a place"));
    let pool = pool(PoolConfig {
        connect_timeout: Duration::from_secs(30),
        wait: Duration::from_secs(30),
        ..PoolConfig::default()
    });
    let target = Target::plain(stuck.address, 0, HTTP1);
    let (upload, body) = Piped::new();
    let first = tokio::spawn({
        let (pool, target) = (Arc::clone(&pool), target.clone());
        async move { pool.send(&target, request(&target, "/first", body)).await }
    });
    settled(&pool, |counts| counts.http1.open == 1).await;
    stuck.fill().await;
    let second = tokio::spawn({
        let (pool, target) = (Arc::clone(&pool), target.clone());
        async move { pool.send(&target, get(&target, "/second")).await }
    });
    // Both tasks take their turns: the kernel has dropped the second connection's first packet.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let service =
        hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            let path = request.uri().path().to_owned();
            drop(request.into_body().collect().await);
            Ok::<_, std::convert::Infallible>(
                http::Response::builder()
                    .header("path", path)
                    .body(Piped::empty())
                    .expect("response"),
            )
        });
    let server = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = stuck.listener.accept().await {
            let http = hyper::server::conn::http1::Builder::new();
            connections.spawn(http.serve_connection(hyper_util::rt::TokioIo::new(stream), service));
        }
    });
    assert!(!second.is_finished());
    drop(upload);
    let first = first.await.expect("task").expect("response");
    assert_eq!(first.headers()["path"], "/first");
    drop(text(first).await);
    let second = second.await.expect("task").expect("response");
    assert_eq!(second.headers()["path"], "/second");
    assert!(second.body().connection().reused);
    server.abort();
}

#[tokio::test]
async fn requests_wait_their_turn_when_no_more_connections_are_allowed() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig { connections: 2, ..PoolConfig::default() });
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (pool, target) = (Arc::clone(&pool), target.clone());
        requests.spawn(async move {
            drop(text(pool.send(&target, get(&target, "/")).await.expect("response")).await);
        });
    }
    while let Some(done) = requests.join_next().await {
        done.expect("a response");
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn the_wait_has_an_end_and_the_queue_a_bound() {
    let server = Server::start(HTTP1, |_, _| std::future::pending()).await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig {
        connections: 1,
        waiters: 2,
        wait: Duration::from_millis(300),
        ..PoolConfig::default()
    });
    let ask = || {
        let (pool, target) = (Arc::clone(&pool), target.clone());
        tokio::spawn(async move { pool.send(&target, get(&target, "/")).await })
    };
    let holding = ask();
    settled(&pool, |counts| counts.http1.open == 1).await;
    let since = Instant::now();
    let waiting = [ask(), ask()];
    tokio::task::yield_now().await;
    let full = ask().await.expect("task").expect_err("no place to wait");
    assert!(
        matches!(full, SendError::Unsent { request: Some(_), cause: UnsentCause::Full }),
        "{full:?}"
    );
    assert!(since.elapsed() < Duration::from_millis(300));
    for waiting in waiting {
        let error = waiting.await.expect("task").expect_err("no connection");
        assert!(
            matches!(error, SendError::Unsent { request: Some(_), cause: UnsentCause::Wait }),
            "{error:?}"
        );
    }
    holding.abort();
    // The places of those that gave up are free again, and so is the connection's.
    let next = ask();
    settled(&pool, |counts| counts.http1.connects == 2).await;
    next.abort();
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_its_connection_to_others() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    for rounds in 0..20 {
        let pool = pool(PoolConfig { connections: 1, ..PoolConfig::default() });
        let ask = || {
            let (pool, target) = (Arc::clone(&pool), target.clone());
            tokio::spawn(async move {
                let response = pool.send(&target, get(&target, "/")).await;
                text(response.expect("response")).await
            })
        };
        let (first, second) = (ask(), ask());
        // At another moment of the connect in each round.
        for _ in 0..rounds {
            tokio::task::yield_now().await;
        }
        first.abort();
        second.await.expect("the second request is served");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_kept() {
    for protocol in [HTTP1, Protocol::Http2] {
        let server = Server::echo(protocol).await;
        let target = server.target(protocol);
        let pool = pool(PoolConfig::default());
        let mut request = Box::pin(pool.send(&target, get(&target, "/")));
        assert!(look(&mut request).await.is_none());
        // It has been given to the request, which does not look any more.
        settled(&pool, |counts| counts.http1.connects + counts.http2.connects == 1).await;
        drop(request);
        let counts = pool.counts();
        assert_eq!(counts.http1.idle + counts.http2.idle, 1);
        let response = pool.send(&target, get(&target, "/")).await.expect("response");
        drop(text(response).await);
        assert_eq!(server.accepted(), 1);
    }
}
