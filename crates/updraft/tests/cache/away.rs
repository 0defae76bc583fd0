//! A cache that is stopped, stalled and killed under load: callers go on, within bounds, and
//! nobody has to do anything when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use updraft::Cache;
use updraft::testing::server::{Kind, Server};

use super::support::{HOUR, open, until};

/// The longest that one call may take. Its own bounds are a hundred times as tight; the rest
/// is for a busy machine.
const BOUND: Duration = Duration::from_secs(10);

/// Callers that go on until they are told to stop.
struct Load {
    callers: JoinSet<()>,
    end: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Load {
    fn on(cache: &Cache) -> Self {
        let mut load =
            Self { callers: JoinSet::new(), end: Arc::default(), answered: Arc::default() };
        for caller in 0..8_u64 {
            let (cache, end, answered) =
                (cache.clone(), Arc::clone(&load.end), Arc::clone(&load.answered));
            load.callers.spawn(async move {
                let mut turn = 0_u64;
                while !end.load(Ordering::Relaxed) {
                    turn += 1;
                    let (key, ttl) = (format!("{caller}:{}", turn % 7), Duration::from_millis(20));
                    let make = move || async move { Ok::<_, String>(turn % 7) };
                    let begun = Instant::now();
                    let value = cache.get_or_try_init(&key, ttl, make).await;
                    assert!(begun.elapsed() < BOUND, "a call took {:?}", begun.elapsed());
                    assert_eq!(value.unwrap(), turn % 7);
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
        }
        load
    }

    /// Waits for a hundred answers more.
    async fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        let answered = || async { before + 100 <= self.answered.load(Ordering::Relaxed) };
        until("callers go on", answered).await;
    }

    async fn end(self) {
        self.end.store(true, Ordering::Relaxed);
        self.callers.join_all().await;
    }
}

/// Makes the server unwell, looks, and makes it well again.
async fn survives(ill: impl Fn(&Server), well: impl Fn(&Server)) {
    let server = Server::start(Kind::Redis).unwrap();
    let cache = open(&format!("{}?timeout=100ms&connect_timeout=100ms", server.url()));
    let answers = || async { cache.set("k", &1, HOUR).await.is_ok() };
    until("it answers", answers).await;
    let load = Load::on(&cache);
    for _ in 0..2 {
        load.goes_on().await;
        ill(&server);
        until("it is away", || async {
            let begun = Instant::now();
            let error = cache.set("k", &2, HOUR).await.err();
            assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
            assert!(error.as_ref().is_none_or(updraft::CacheError::is_away), "{error:?}");
            error.is_some()
        })
        .await;
        load.goes_on().await;
        well(&server);
        until("it is back", answers).await;
        let reads = || async { cache.get::<u8>("k").await.is_ok_and(|found| found == Some(1)) };
        until("it reads what was written", reads).await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_outlive_a_cache_that_is_stopped() {
    survives(|server| server.stop().unwrap(), |server| server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_outlive_a_cache_that_is_killed() {
    survives(|server| server.kill().unwrap(), |server| server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_outlive_a_cache_that_stalls() {
    survives(|server| server.stall().unwrap(), |server| server.resume().unwrap()).await;
}

#[tokio::test]
async fn a_cache_that_never_was_there_is_gone_on_without() {
    // Port 1 is nobody's.
    let cache = open("redis://:canary@127.0.0.1:1/0?timeout=100ms&connect_timeout=100ms");
    for _ in 0..20 {
        let made = cache.get_or_try_init("k", HOUR, || async { Ok::<_, String>(1) }).await;
        assert_eq!(made.unwrap(), 1);
        let error = cache.get::<u8>("k").await.unwrap_err();
        assert!(error.is_away(), "{error:?}");
        let mut told = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            told.push_str(&format!(" {error} {error:?}"));
            source = error.source();
        }
        assert!(!told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_from_an_empty_cache() {
    let server = Server::shared(Kind::Redis).unwrap();
    let url = format!("redis://:canary@127.0.0.1:{}/0?timeout=10s", server.port());
    let error = open(&url).get::<u8>("k").await.unwrap_err();
    assert!(error.is_away(), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}
