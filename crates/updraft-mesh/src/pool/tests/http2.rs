//! HTTP/2: many streams, goodbyes, refusals.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

use super::peer::{
    GOAWAY, HEADERS, RST_STREAM, SETTINGS, await_request, http2_preface, raw, read_frame,
    write_frame,
};
use super::{Piped, Server, get, pool, request, settled, text};
use crate::pool::{PoolConfig, Protocol, SendError, Target, UnsentCause};

const HTTP2: Protocol = Protocol::Http2;

#[tokio::test]
async fn a_thousand_streams_at_once_need_few_connections() {
    let all_here = Arc::new(Barrier::new(1000));
    let gate = Arc::clone(&all_here);
    let server = Server::start(HTTP2, move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            Response::new(Piped::full("done"))
        }
    })
    .await;
    let target = server.target(HTTP2);
    let pool = pool(PoolConfig { wait: Duration::from_secs(30), ..PoolConfig::default() });
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let (pool, target) = (Arc::clone(&pool), target.clone());
        requests.spawn(async move {
            text(pool.send(&target, get(&target, "/")).await.expect("response")).await
        });
    }
    while let Some(answer) = requests.join_next().await {
        assert_eq!(answer.expect("task"), "done");
    }
    // 1000 / 80, rounded up.
    assert_eq!(server.accepted(), 13);
    let counts = settled(&pool, |counts| counts.http2.idle == 13).await;
    assert_eq!(counts.http2.open, 13);
}

#[tokio::test]
async fn one_connection_serves_as_long_as_it_has_room() {
    let server = Server::echo(HTTP2).await;
    let target = server.target(HTTP2);
    let pool = pool(PoolConfig { streams: 4, ..PoolConfig::default() });
    let mut held = Vec::new();
    for count in 1..=9_usize {
        let response = pool.send(&target, request(&target, "/", Piped::full("x"))).await;
        held.push(response.expect("response"));
        assert_eq!(server.accepted(), count.div_ceil(4));
    }
    // A place on the first connection is used before a fourth is opened.
    drop(text(held.remove(0)).await);
    for _ in 0..3 {
        let response = pool.send(&target, request(&target, "/", Piped::full("x"))).await;
        held.push(response.expect("response"));
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn a_body_dropped_early_ends_its_stream_alone() {
    let (held, body) = Piped::new();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let server = Server::start(HTTP2, move |_, _| {
        let body = body.lock().expect("lock").take().unwrap_or_else(Piped::empty);
        async move { Response::new(body) }
    })
    .await;
    let target = server.target(HTTP2);
    let pool = pool(PoolConfig::default());
    held.send(Frame::data(Bytes::from_static(b"start"))).await.expect("room");
    let response = pool.send(&target, get(&target, "/")).await.expect("response");
    assert_eq!(pool.counts().http2.idle, 0);
    drop(response);
    held.closed().await;
    assert_eq!(pool.counts().http2.idle, 1);
    let again = pool.send(&target, get(&target, "/")).await.expect("response");
    assert!(again.body().connection().reused);
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let server = Server::start(HTTP2, |_, request| async move {
        let all = request.into_body().collect().await.expect("body");
        let status = all.trailers().expect("trailers")["grpc-status"].clone();
        let (sender, body) = Piped::new();
        sender.try_send(Frame::data(all.to_bytes())).expect("room");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status);
        sender.try_send(Frame::trailers(trailers)).expect("room");
        Response::new(body)
    })
    .await;
    let target = server.target(HTTP2);
    let pool = pool(PoolConfig::default());
    let (sender, body) = Piped::new();
    sender.try_send(Frame::data(Bytes::from_static(b"data"))).expect("room");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("14"));
    sender.try_send(Frame::trailers(trailers)).expect("room");
    drop(sender);
    let response = pool.send(&target, request(&target, "/", body)).await.expect("response");
    let all = response.into_body().collect().await.expect("body");
    assert_eq!(all.trailers().expect("trailers")["grpc-status"], "14");
    assert_eq!(all.to_bytes(), "data");
    settled(&pool, |counts| counts.http2.idle == 1).await;
}

/// The peer takes stream 1, says goodbye before stream 3, and breaks off.
#[tokio::test]
async fn a_goodbye_tells_apart_what_was_taken_and_what_was_not() {
    let seen = Arc::new(Semaphore::new(0));
    let first = Arc::clone(&seen);
    let (address, _task) = raw(move |_, mut stream| {
        let first = Arc::clone(&first);
        async move {
            http2_preface(&mut stream).await;
            await_request(&mut stream, 1).await;
            first.add_permits(1);
            await_request(&mut stream, 3).await;
            write_frame(&mut stream, GOAWAY, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
        }
    })
    .await;
    let target = Target::plain(address, 0, HTTP2);
    let pool = pool(PoolConfig::default());
    let taken = tokio::spawn({
        let (pool, target) = (Arc::clone(&pool), target.clone());
        async move { pool.send(&target, get(&target, "/1")).await }
    });
    seen.acquire().await.expect("open").forget();
    let refused = pool.send(&target, get(&target, "/3")).await;
    let taken = taken.await.expect("task");
    assert!(matches!(taken, Err(SendError::Sent(_))), "{taken:?}");
    let cause = match refused {
        Err(SendError::Unsent { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    assert!(matches!(cause, UnsentCause::Refused(_)), "{cause:?}");
    settled(&pool, |counts| counts.http2.open == 0).await;
}

/// Of a connection that has said goodbye nothing new is asked, and nothing is lost.
#[tokio::test]
async fn after_a_goodbye_requests_go_elsewhere() {
    let (address, _task) = raw(|number, mut stream| async move {
        http2_preface(&mut stream).await;
        await_request(&mut stream, 1).await;
        if number == 0 {
            // The stream is taken and stays open; no further one is.
            write_frame(&mut stream, GOAWAY, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
        } else {
            // `:status: 200`, and the end of the stream.
            let mut frame = vec![0, 0, 1, HEADERS, 5];
            frame.extend([0, 0, 0, 1, 0x88]);
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &frame).await);
        }
        while read_frame(&mut stream).await.is_some() {}
    })
    .await;
    let target = Target::plain(address, 0, HTTP2);
    let pool = pool(PoolConfig::default());
    let first = tokio::spawn({
        let (pool, target) = (Arc::clone(&pool), target.clone());
        async move { pool.send(&target, get(&target, "/")).await }
    });
    settled(&pool, |counts| counts.http2.open == 1).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let sent = tokio::time::timeout(
                Duration::from_millis(200),
                pool.send(&target, request(&target, "/", Piped::full("x"))),
            );
            match sent.await {
                Ok(Ok(response)) => break assert_eq!(response.status(), 200),
                Ok(Err(error)) => assert!(error.is_unsent(), "{error:?}"),
                // The goodbye was not here yet: the peer ignores that stream.
                Err(_elapsed) => {}
            }
        }
    })
    .await
    .expect("another connection is used");
    assert!(!first.is_finished());
    first.abort();
}

#[tokio::test]
async fn a_refused_stream_was_not_sent_and_a_cancelled_one_was() {
    for (reason, unsent) in [(7_u8, true), (8, false), (2, false)] {
        let (address, _task) = raw(move |_, mut stream| async move {
            http2_preface(&mut stream).await;
            await_request(&mut stream, 1).await;
            write_frame(&mut stream, RST_STREAM, 1, &[0, 0, 0, reason]).await;
            while read_frame(&mut stream).await.is_some() {}
        })
        .await;
        let target = Target::plain(address, 0, HTTP2);
        let pool = pool(PoolConfig::default());
        let error = pool.send(&target, get(&target, "/")).await.expect_err("a reset");
        assert_eq!(error.is_unsent(), unsent, "{reason}: {error:?}");
        // Others of that connection go on.
        assert_eq!(pool.counts().http2.open, 1);
    }
}

#[tokio::test]
async fn the_limit_of_the_peer_holds() {
    let (address, _task) = raw(|_, mut stream| async move {
        let mut preface = [0; 24];
        drop(tokio::io::AsyncReadExt::read_exact(&mut stream, &mut preface).await);
        // SETTINGS_MAX_CONCURRENT_STREAMS: 2.
        write_frame(&mut stream, SETTINGS, 0, &[0, 3, 0, 0, 0, 2]).await;
        while read_frame(&mut stream).await.is_some() {}
    })
    .await;
    let target = Target::plain(address, 0, HTTP2);
    let pool = pool(PoolConfig::default());
    let mut requests = JoinSet::new();
    let mut ask = || {
        let (pool, target) = (Arc::clone(&pool), target.clone());
        requests.spawn(async move { pool.send(&target, get(&target, "/")).await.is_ok() });
    };
    ask();
    settled(&pool, |counts| counts.http2.open == 1).await;
    // The limit is known with a request after the settings; until then there is one connection.
    for _ in 0..7 {
        ask();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    settled(&pool, |counts| counts.http2.open == 4).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let server = Server::echo(HTTP2).await;
    let target = server.target(HTTP2);
    let config = PoolConfig { idle_http2: Duration::from_millis(60), ..PoolConfig::default() };
    let pool = pool(config);
    let held = pool.send(&target, request(&target, "/", Piped::full("x"))).await;
    let held = held.expect("response");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(pool.counts().http2.open, 1, "it is in use");
    assert_eq!(text(held).await, "x");
    settled(&pool, |counts| counts.http2.open == 0 && counts.http2.idle == 0).await;
}

#[tokio::test]
async fn a_peer_that_has_gone_without_a_word_is_noticed() {
    let (address, _task) = raw(|_, mut stream| async move {
        http2_preface(&mut stream).await;
        // It reads, and never answers a PING.
        while read_frame(&mut stream).await.is_some() {}
    })
    .await;
    let target = Target::plain(address, 0, HTTP2);
    let config = PoolConfig {
        ping_interval: Duration::from_millis(30),
        ping_timeout: Duration::from_millis(30),
        ..PoolConfig::default()
    };
    let pool = pool(config);
    let error = pool.send(&target, get(&target, "/")).await.expect_err("a silent peer");
    assert!(matches!(error, SendError::Sent(_)), "{error:?}");
    settled(&pool, |counts| counts.http2.open == 0).await;
}
