//! Servers that close: nothing is lost, and nothing is sent twice.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use super::peer::{raw, read_head};
use super::{Piped, Server, get, look, pool, request, settled, text};
use crate::pool::{PoolConfig, Protocol, SendError, Target, UnsentCause};

const HTTP1: Protocol = Protocol::Http1;

/// The server is a thread, and the runtime is kept from looking at its sockets: only the kernel
/// knows that the connection is closed.
#[tokio::test]
async fn a_connection_that_was_closed_unseen_is_not_used() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (closed, wait) = mpsc::channel();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut seen = [0; 4096];
            let mut length = 0;
            while !seen[..length].ends_with(b"\r\n\r\n") {
                length += stream.read(&mut seen[length..]).expect("read");
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("write");
            stream.flush().expect("flush");
            // The client has the response before the connection ends.
            let go: mpsc::Sender<()> = closed.clone();
            std::thread::yield_now();
            drop(stream);
            go.send(()).expect("test");
        }
    });
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    for _ in 0..2 {
        let response = pool.send(&target, get(&target, "/")).await.expect("response");
        assert!(!response.body().connection().reused);
        drop(response);
        wait.recv().expect("server");
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
    }
    server.join().expect("server");
    assert_eq!(pool.counts().http1.connects, 2);
}

/// For each request there is one truth: answered means done once, unsent means never done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_the_server_closes_idle_connections() {
    let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let record = Arc::clone(&seen);
    let (address, _task) = raw(move |number, mut stream| {
        let record = Arc::clone(&record);
        async move {
            let mut left = number % 4;
            while let Some(head) = read_head(&mut stream).await {
                let path = head.split(' ').nth(1).expect("path").to_owned();
                *record.lock().expect("lock").entry(path).or_default() += 1;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                drop(stream.write_all(answer).await);
                if left == 0 {
                    return;
                }
                left -= 1;
                for _ in 0..number % 7 {
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    let mut answered = 0;
    for round in 0..2000 {
        let path = format!("/{round}");
        let mut request = request(&target, &path, Piped::empty());
        request.headers_mut().insert("content-length", http::HeaderValue::from_static("0"));
        let outcome = pool.send(&target, request).await;
        let times = || seen.lock().expect("lock").get(&path).copied().unwrap_or(0);
        match outcome {
            Ok(_) => {
                answered += 1;
                assert_eq!(times(), 1, "{path} was answered");
            }
            Err(SendError::Unsent { request, cause }) => {
                assert!(request.is_some(), "{path}: {cause}");
                assert_eq!(times(), 0, "{path} was given back");
            }
            Err(SendError::Sent(_)) => assert!(times() <= 1, "{path} was sent"),
            Err(error) => panic!("{error:?}"),
        }
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(answered > 1800, "{answered}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_head_says_sent() {
    let (address, _task) = raw(|_, mut stream| async move {
        drop(read_head(&mut stream).await);
        drop(stream.write_all(b"HTTP/1.1 200").await);
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    match pool.send(&target, get(&target, "/")).await {
        Err(SendError::Sent(_)) => {}
        other => panic!("{other:?}"),
    }
    settled(&pool, |counts| counts.http1.open == 0).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let (address, _task) = raw(|_, mut stream| async move {
        drop(read_head(&mut stream).await);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await);
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    let response = pool.send(&target, get(&target, "/")).await.expect("response");
    assert!(response.into_body().collect().await.is_err());
    settled(&pool, |counts| counts.http1.open == 0 && counts.http1.idle == 0).await;
}

#[tokio::test]
async fn a_future_that_is_dropped_closes_its_connection() {
    let (address, _task) = raw(|_, mut stream| async move {
        drop(read_head(&mut stream).await);
        drop(read_head(&mut stream).await);
    })
    .await;
    let target = Target::plain(address, 0, HTTP1);
    let pool = pool(PoolConfig::default());
    let sent =
        tokio::time::timeout(Duration::from_millis(50), pool.send(&target, get(&target, "/")));
    assert!(sent.await.is_err());
    settled(&pool, |counts| counts.http1.open == 0).await;
}

#[tokio::test]
async fn a_retired_target_keeps_nothing() {
    for protocol in [HTTP1, Protocol::Http2] {
        let server = Server::echo(protocol).await;
        let gone = server.target(protocol);
        let kept = Target::plain(server.address, 7, protocol);
        let pool = pool(PoolConfig::default());
        for target in [&gone, &kept] {
            let response = pool.send(target, get(target, "/")).await.expect("response");
            drop(text(response).await);
        }
        let under_way = pool.send(&gone, request(&gone, "/", Piped::full("late"))).await;
        pool.retire(|target| target.incarnation() == 7);
        // What was under way goes on, is known of, and closes then.
        let lingering = || pool.lingering(|target| target.incarnation() != 7);
        assert!(lingering() != 0, "{protocol:?}");
        assert_eq!(text(under_way.expect("response")).await, "late");
        let sum = |counts: &crate::pool::Counts| {
            (counts.http1.open + counts.http2.open, counts.http1.idle + counts.http2.idle)
        };
        settled(&pool, |counts| sum(counts) == (1, 1)).await;
        assert_eq!(lingering(), 0, "{protocol:?}");
        let again = pool.send(&gone, get(&gone, "/")).await.expect("response");
        assert!(!again.body().connection().reused);
    }
}

#[tokio::test]
async fn who_waits_for_a_retired_target_is_told() {
    let server = Server::start(HTTP1, |_, _| std::future::pending()).await;
    let target = server.target(HTTP1);
    let config =
        PoolConfig { connections: 1, wait: Duration::from_secs(60), ..PoolConfig::default() };
    let pool = pool(config);
    let first = tokio::spawn({
        let (pool, target) = (Arc::clone(&pool), target.clone());
        async move { pool.send(&target, get(&target, "/")).await }
    });
    settled(&pool, |counts| counts.http1.open == 1).await;
    let mut second = Box::pin(pool.send(&target, get(&target, "/")));
    assert!(look(&mut second).await.is_none());
    pool.retire(|_| false);
    match second.await {
        Err(SendError::Unsent { request: Some(_), cause: UnsentCause::Retired }) => {}
        other => panic!("{other:?}"),
    }
    first.abort();
}

#[tokio::test]
async fn all_ends_with_the_pool() {
    for protocol in [HTTP1, Protocol::Http2] {
        let (held, body) = Piped::new();
        let body = Arc::new(Mutex::new(Some(body)));
        let server = Server::start(protocol, move |_, _| {
            let body = body.lock().expect("lock").take().unwrap_or_else(Piped::empty);
            async move { http::Response::new(body) }
        })
        .await;
        let target = server.target(protocol);
        let pool = pool(PoolConfig::default());
        let response = pool.send(&target, get(&target, "/")).await.expect("response");
        let idle = pool.send(&target, get(&target, "/")).await.expect("response");
        drop(text(idle).await);
        drop(pool);
        assert!(response.into_body().collect().await.is_err(), "{protocol:?}");
        // The server sees that its peer has gone.
        held.closed().await;
        server.stop();
    }
}

#[tokio::test]
async fn a_connection_past_its_age_serves_no_more_requests() {
    for protocol in [HTTP1, Protocol::Http2] {
        let server = Server::echo(protocol).await;
        let target = server.target(protocol);
        let config = PoolConfig { max_age: Duration::from_millis(150), ..PoolConfig::default() };
        let pool = pool(config);
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(600) {
            let response = pool.send(&target, get(&target, "/")).await.expect("response");
            assert!(response.body().connection().age <= Duration::from_millis(166));
            drop(text(response).await);
            tokio::task::yield_now().await;
        }
        assert!(server.accepted() >= 3, "{}", server.accepted());
        settled(&pool, |counts| counts.http1.open + counts.http2.open <= 1).await;
    }
}
