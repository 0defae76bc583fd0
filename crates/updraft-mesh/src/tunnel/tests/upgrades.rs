//! Upgrades: the caller and the endpoint with the pool between, as in the gateway.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{EndReason, LIMITS, TunnelCounters, TunnelEnd};
use crate::pool::{Pool, PoolConfig, Protocol, Target};
use crate::tunnel::upgraded;
use crate::tunnel::upgraded::UpgradeError;

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("head"));
    }
    String::from_utf8(head).expect("text")
}

/// An endpoint that switches, says hello with the same packet, and then echoes.
async fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_head(&mut stream).await;
                stream.write_all(format!("{SWITCH}hello").as_bytes()).await.expect("write");
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
                drop(write.shutdown().await);
            });
        }
    });
    address
}

type Outcome = Result<TunnelEnd, UpgradeError>;

/// A gateway of one route. It answers 101 only if `hand_over`.
async fn gateway(
    upstream: SocketAddr,
    hand_over: bool,
    wait: Duration,
) -> (SocketAddr, mpsc::Receiver<Outcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (report, outcomes) = mpsc::channel(4);
    let runtime = tokio::runtime::Handle::current();
    let pool =
        Arc::new(Pool::<Empty<Bytes>>::new(PoolConfig::default(), runtime, Arc::new(|_| {})));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pool, report) = (Arc::clone(&pool), report.clone());
            let service = service_fn(move |mut request: Request<Incoming>| {
                let (pool, report) = (Arc::clone(&pool), report.clone());
                async move {
                    let client = hyper::upgrade::on(&mut request);
                    let target = Target::plain(upstream, 0, Protocol::Http1);
                    let request = request.map(|_| Empty::new());
                    let mut response = pool.send(&target, request).await.expect("response");
                    let upstream = hyper::upgrade::on(&mut response);
                    tokio::spawn(async move {
                        let counters = TunnelCounters::default();
                        let end =
                            upgraded(client, upstream, wait, LIMITS, &counters, pending()).await;
                        report.send(end).await.expect("test");
                    });
                    if !hand_over {
                        pending::<()>().await;
                    }
                    Ok::<_, Infallible>(response.map(|_| Empty::<Bytes>::new()))
                }
            });
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                let connection = http.serve_connection(TokioIo::new(stream), service);
                drop(connection.with_upgrades().await);
            });
        }
    });
    (address, outcomes)
}

const ASK: &[u8] =
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly";

#[tokio::test]
async fn bytes_pass_after_the_switch_and_with_it() {
    let (address, mut outcomes) = gateway(endpoint().await, true, Duration::from_secs(10)).await;
    let mut client = TcpStream::connect(address).await.expect("connect");
    client.write_all(ASK).await.expect("write");
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.write_all(b" late").await.expect("write");
    client.shutdown().await.expect("end");
    let mut seen = String::new();
    client.read_to_string(&mut seen).await.expect("read");
    assert_eq!(seen, "helloearly late");
    let end = outcomes.recv().await.expect("an outcome").expect("a tunnel");
    assert_eq!(end, TunnelEnd { bytes_up: 10, bytes_down: 15, reason: EndReason::Finished });
}

#[tokio::test]
async fn a_caller_that_is_never_handed_over_does_not_keep_the_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let upstream = listener.local_addr().expect("address");
    let (address, mut outcomes) = gateway(upstream, false, Duration::from_millis(50)).await;
    let mut client = TcpStream::connect(address).await.expect("connect");
    client.write_all(ASK).await.expect("write");
    let (mut endpoint, _) = listener.accept().await.expect("accept");
    read_head(&mut endpoint).await;
    endpoint.write_all(SWITCH.as_bytes()).await.expect("write");
    let outcome = outcomes.recv().await.expect("an outcome");
    assert!(matches!(outcome, Err(UpgradeError::Timeout)), "{outcome:?}");
    // The endpoint sees the end of its connection.
    assert_eq!(endpoint.read(&mut [0; 1]).await.expect("end"), 0);
}

#[tokio::test]
async fn what_was_not_upgraded_is_an_error_at_once() {
    let counters = TunnelCounters::default();
    let outcome = upgraded(
        hyper::upgrade::on(Request::new(())),
        hyper::upgrade::on(Response::new(())),
        Duration::from_secs(60),
        LIMITS,
        &counters,
        pending(),
    );
    assert!(matches!(outcome.await, Err(UpgradeError::Upstream(_))));
}
