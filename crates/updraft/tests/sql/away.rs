//! A server that goes away, stands still and comes back, while it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use updraft::sql::query;
use updraft::testing::server::{Kind, Server};
use updraft::{Sql, SqlError};

use crate::{open, until};

/// No call may take longer than this: the sum of the bounds of the URL below, and what a busy
/// machine adds.
const BOUND: Duration = Duration::from_secs(15);

const PARAMETERS: &str =
    "pool_max=4&connect_timeout=500ms&acquire_timeout=500ms&statement_timeout=500ms";

/// Callers that never stop asking.
struct Load {
    stop: Arc<AtomicBool>,
    well: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    callers: tokio::task::JoinSet<Duration>,
}

impl Load {
    fn begin(sql: &Sql) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            well: Arc::default(),
            failed: Arc::default(),
            callers: tokio::task::JoinSet::new(),
        };
        for _ in 0..6 {
            let (sql, stop) = (sql.clone(), Arc::clone(&load.stop));
            let (well, failed) = (Arc::clone(&load.well), Arc::clone(&load.failed));
            load.callers.spawn(async move {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    match once(&sql).await {
                        Ok(()) => well.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert!(error.is_unavailable(), "{error:?}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                    longest = longest.max(begun.elapsed());
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                longest
            });
        }
        load
    }

    async fn until_well(&self) {
        let before = self.well.load(Ordering::Relaxed);
        until("calls succeed", async || before + 20 < self.well.load(Ordering::Relaxed)).await;
    }

    async fn until_failing(&self) {
        let before = self.failed.load(Ordering::Relaxed);
        until("calls fail", async || before + 20 < self.failed.load(Ordering::Relaxed)).await;
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(longest) = self.callers.join_next().await {
            let longest = longest.unwrap();
            assert!(longest < BOUND, "a call took {longest:?}");
        }
    }
}

async fn once(sql: &Sql) -> Result<(), SqlError> {
    query("SELECT 1").fetch_one::<i64>(sql).await?;
    let mut tx = sql.begin().await?;
    query("INSERT INTO t VALUES (1)").execute(&mut tx).await?;
    tx.commit().await
}

/// What blocks is done elsewhere.
async fn on(server: &Arc<Server>, act: fn(&Server)) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_killed_or_stalled_costs_bounded_errors_and_then_all_is_well() {
    let start = tokio::task::spawn_blocking(|| Server::start(Kind::Postgres).unwrap());
    let server = Arc::new(start.await.unwrap());
    let sql = open(&server.url(), PARAMETERS).await;
    query("CREATE TABLE t (x BIGINT)").execute(&sql).await.unwrap();
    let load = Load::begin(&sql);
    load.until_well().await;
    type Act = fn(&Server);
    let troubles: [(Act, Act); 3] = [
        (|server| server.kill().unwrap(), |server| server.restart().unwrap()),
        (|server| server.stall().unwrap(), |server| server.resume().unwrap()),
        (|server| server.stop().unwrap(), |server| server.restart().unwrap()),
    ];
    for (away, back) in troubles {
        on(&server, away).await;
        load.until_failing().await;
        on(&server, back).await;
        load.until_well().await;
    }
    load.end().await;
}

#[tokio::test]
async fn a_restart_that_nobody_noticed_costs_no_read_and_no_transaction() {
    let start = tokio::task::spawn_blocking(|| Server::start(Kind::Postgres).unwrap());
    let server = Arc::new(start.await.unwrap());
    // Statements have time: the machine may be busy.
    let sql = open(&server.url(), "pool_max=8").await;
    query("CREATE TABLE t (x BIGINT)").execute(&sql).await.unwrap();
    // Several connections are idle, …
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut tx = sql.begin_read().await.unwrap();
        query("SELECT 1").fetch_one::<i64>(&mut tx).await.unwrap();
        open.push(tx);
        open.push(sql.begin().await.unwrap());
    }
    for tx in open {
        tx.commit().await.unwrap();
    }
    // … and all of them are dead.
    on(&server, |server| server.restart().unwrap()).await;
    for _ in 0..8 {
        once(&sql).await.unwrap();
    }
}
