//! Everything at once: after a storm of requests, cancellations and closed connections the books
//! are right, and every answer belongs to its request.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Piped, Server, pool, request, settled, text};
use crate::pool::{PoolConfig, Protocol};

async fn storm(protocol: Protocol) {
    let server = Server::echo(protocol).await;
    let target = server.target(protocol);
    let pool = pool(PoolConfig {
        connections: 20,
        streams: 5,
        idle_per_target: 7,
        // On a slow machine nearly all of them wait at once.
        waiters: 1500,
        idle_http1: Duration::from_millis(50),
        max_age: Duration::from_millis(80),
        wait: Duration::from_secs(20),
        ..PoolConfig::default()
    });
    let mut requests = JoinSet::new();
    for number in 0..1500_u32 {
        let (pool, target) = (Arc::clone(&pool), target.clone());
        requests.spawn(async move {
            let path = format!("/{number}");
            let sent = pool.send(&target, request(&target, &path, Piped::full("body")));
            let patience = Duration::from_millis(u64::from(number % 40));
            let response = if number % 3 == 0 {
                match tokio::time::timeout(patience, sent).await {
                    Ok(response) => response,
                    Err(_elapsed) => return,
                }
            } else {
                sent.await
            };
            // A request that was just begun when its connection became too old or its peer
            // went is an error of this storm, but never a wrong answer.
            let response = response.expect("a response");
            assert_eq!(response.headers()["path"], path.as_str());
            if number % 5 == 0 {
                return;
            }
            assert_eq!(text(response).await, "body");
        });
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    while let Some(done) = requests.join_next().await {
        done.expect("a right answer");
    }
    settled(&pool, |counts| {
        (counts.http1.open, counts.http1.idle) == (0, 0) && counts.http2.open == counts.http2.idle
    })
    .await;
    let counts = pool.counts();
    assert_eq!(counts.http1.connect_failures + counts.http2.connect_failures, 0);
}

#[tokio::test]
async fn the_books_are_right_after_a_storm_on_one_thread() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        storm(protocol).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_books_are_right_after_a_storm_on_many_threads() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        storm(protocol).await;
    }
}
