//! HTTP/1: reuse, order, ends of bodies, upgrades.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::peer::{raw, read_head};
use super::{Piped, Server, get, pool, request, settled, text};
use crate::pool::{Connection, PoolConfig, Protocol, SendError, Target};

const HTTP1: Protocol = Protocol::Http1;

fn number(response: &Response<crate::pool::PooledBody>) -> String {
    response.headers()["connection-number"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig::default());
    for round in 0..50 {
        let response = pool.send(&target, request(&target, "/a", Piped::full("hello"))).await;
        let response = response.expect("response");
        let Connection { reused, age } = response.body().connection();
        assert_eq!(reused, round > 0);
        assert!(age < Duration::from_secs(10));
        assert_eq!(text(response).await, "hello");
    }
    let counts = settled(&pool, |counts| counts.http1.idle == 1).await;
    assert_eq!((counts.http1.connects, counts.http1.reuses, counts.http1.open), (1, 49, 1));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig::default());
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.send(&target, get(&target, "/")).await.expect("response"));
    }
    let last = number(&held[1]);
    for index in [0, 1, 0] {
        let response = held.remove(index);
        // Of 0, 1, 2 this ends 0, 2, 1.
        drop(text(response).await);
    }
    for _ in 0..5 {
        let response = pool.send(&target, get(&target, "/")).await.expect("response");
        assert_eq!(number(&response), last);
        drop(text(response).await);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    let config = PoolConfig { idle_http1: Duration::from_millis(60), ..PoolConfig::default() };
    let pool = pool(config);
    drop(text(pool.send(&target, get(&target, "/")).await.expect("response")).await);
    assert_eq!(pool.counts().http1.idle, 1);
    settled(&pool, |counts| counts.http1.open == 0 && counts.http1.idle == 0).await;
}

#[tokio::test]
async fn no_more_than_the_bound_stays_idle() {
    let server = Server::echo(HTTP1).await;
    let target = server.target(HTTP1);
    let other = Target::plain(server.address, 1, HTTP1);
    let config = PoolConfig { idle_per_target: 3, idle_total: 4, ..PoolConfig::default() };
    let pool = pool(config);
    for (target, most) in [(&target, 3), (&other, 4)] {
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(pool.send(target, get(target, "/")).await.expect("response"));
        }
        for response in held {
            drop(text(response).await);
        }
        let wanted =
            |counts: &crate::pool::Counts| counts.http1.idle == most && counts.http1.open == most;
        settled(&pool, wanted).await;
    }
}

#[tokio::test]
async fn a_response_without_a_body_gives_the_connection_back_at_once() {
    let server = Server::start(HTTP1, |_, _| async {
        Response::builder().status(204).body(Piped::empty()).expect("response")
    })
    .await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig::default());
    let response = pool.send(&target, get(&target, "/")).await.expect("response");
    assert!(response.body().is_end_stream());
    assert_eq!(pool.counts().http1.idle, 1);
    drop(response);
    assert_eq!(pool.counts().http1.idle, 1);
}

#[tokio::test]
async fn a_body_dropped_early_closes_the_connection() {
    let (held, body) = Piped::new();
    let body = std::sync::Mutex::new(Some(body));
    let body = std::sync::Arc::new(body);
    let server = Server::start(HTTP1, move |_, _| {
        let body = body.lock().expect("lock").take().unwrap_or_else(Piped::empty);
        async move { Response::new(body) }
    })
    .await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig::default());
    held.send(Frame::data(Bytes::from_static(b"start"))).await.expect("room");
    let mut response = pool.send(&target, get(&target, "/")).await.expect("response");
    let frame = response.body_mut().frame().await.expect("frame").expect("data");
    assert_eq!(frame.into_data().expect("data"), "start");
    drop(response);
    settled(&pool, |counts| counts.http1.open == 0 && counts.http1.idle == 0).await;
    // The server has seen it: its side of the body is gone.
    held.closed().await;
}

#[tokio::test]
async fn a_response_before_the_end_of_the_request_keeps_the_connection_from_others() {
    let (address, _task) = raw(|_, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await);
            let mut last = Vec::new();
            while !last.ends_with(b"0\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => last.push(byte),
                    Err(_) => return,
                }
            }
        }
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    let (upload, body) = Piped::new();
    upload.send(Frame::data(Bytes::from_static(b"part"))).await.expect("room");
    let response = pool.send(&target, request(&target, "/", body)).await.expect("response");
    assert_eq!(text(response).await, "hi");
    assert_eq!(pool.counts().http1.idle, 0);

    let second = pool.send(&target, request(&target, "/", Piped::full("x"))).await;
    let second = second.expect("response");
    assert!(!second.body().connection().reused);
    drop(text(second).await);
    settled(&pool, |counts| counts.http1.idle == 1 && counts.http1.open == 2).await;

    upload.send(Frame::data(Bytes::from_static(b"rest"))).await.expect("room");
    drop(upload);
    settled(&pool, |counts| counts.http1.idle == 2).await;
}

#[tokio::test]
async fn a_request_that_never_ends_loses_its_connection() {
    let (address, _task) = raw(|_, mut stream| async move {
        drop(read_head(&mut stream).await);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await);
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let config = PoolConfig { request_end: Duration::from_millis(50), ..PoolConfig::default() };
    let pool = pool(config);
    let (upload, body) = Piped::new();
    let response = pool.send(&target, request(&target, "/", body)).await.expect("response");
    assert_eq!(text(response).await, "hi");
    settled(&pool, |counts| counts.http1.open == 0).await;
    upload.closed().await;
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let server = Server::start(HTTP1, |_, request| async move {
        let all = request.into_body().collect().await.expect("body");
        let sum = all.trailers().expect("trailers")["checksum"].clone();
        let (sender, body) = Piped::new();
        sender.try_send(Frame::data(all.to_bytes())).expect("room");
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", sum);
        sender.try_send(Frame::trailers(trailers)).expect("room");
        Response::builder().header("trailer", "checksum").body(body).expect("response")
    })
    .await;
    let target = server.target(HTTP1);
    let pool = pool(PoolConfig::default());
    for _ in 0..3 {
        let (sender, body) = Piped::new();
        sender.try_send(Frame::data(Bytes::from_static(b"data"))).expect("room");
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", http::HeaderValue::from_static("42"));
        sender.try_send(Frame::trailers(trailers)).expect("room");
        drop(sender);
        let mut request = request(&target, "/", body);
        request.headers_mut().insert("trailer", http::HeaderValue::from_static("checksum"));
        request.headers_mut().insert("te", http::HeaderValue::from_static("trailers"));
        let response = pool.send(&target, request).await.expect("response");
        let all = response.into_body().collect().await.expect("body");
        assert_eq!(all.trailers().expect("trailers")["checksum"], "42");
        assert_eq!(all.to_bytes(), "data");
    }
    assert_eq!(pool.counts().http1.connects, 1);
}

#[tokio::test]
async fn an_upgraded_connection_belongs_to_its_caller() {
    let (address, _task) = raw(|_, mut stream| async move {
        drop(read_head(&mut stream).await);
        let head =
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        // The first bytes of the new protocol come with the head.
        drop(stream.write_all(&[&head[..], b"first"].concat()).await);
        let (mut read, mut write) = stream.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    let mut request = get(&target, "/");
    request.headers_mut().insert("connection", http::HeaderValue::from_static("upgrade"));
    request.headers_mut().insert("upgrade", http::HeaderValue::from_static("echo"));
    let mut response = pool.send(&target, request).await.expect("response");
    assert_eq!(response.status(), 101);
    let upgraded = hyper::upgrade::on(&mut response).await.expect("upgrade");
    drop(response);
    settled(&pool, |counts| counts.http1.open == 0 && counts.http1.idle == 0).await;
    let mut echo = TokioIo::new(upgraded);
    echo.write_all(b" second").await.expect("write");
    let mut seen = [0; 12];
    echo.read_exact(&mut seen).await.expect("read");
    assert_eq!(&seen, b"first second");
}

#[tokio::test]
async fn a_failing_body_is_not_the_fault_of_the_endpoint() {
    for protocol in [HTTP1, Protocol::Http2] {
        let server = Server::echo(protocol).await;
        let target = server.target(protocol);
        let runtime = tokio::runtime::Handle::current();
        let pool =
            crate::pool::Pool::new(PoolConfig::default(), runtime, std::sync::Arc::new(|_| {}));
        let body = http_body_util::BodyExt::map_frame(Failing, |frame: Frame<Bytes>| frame);
        let request = request(&target, "/", Piped::empty()).map(|_| body);
        match pool.send(&target, request).await {
            Err(SendError::Request(_)) => {}
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
}

struct Failing;

impl Body for Failing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("the client has gone"))))
    }
}
