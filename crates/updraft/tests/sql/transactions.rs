//! Transactions isolate and end alike on each kind of database.

use std::time::Duration;

use updraft::SqlError;
use updraft::sql::{SqlErrorKind, Transaction, query};

use crate::{Bench, each};

async fn accounts(bench: &Bench) {
    bench.run("CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)").await;
    bench.run("INSERT INTO account VALUES (1, 100), (2, 100)").await;
}

async fn total(bench: &Bench) -> i64 {
    query("SELECT sum(balance) FROM account").fetch_one(&bench.sql).await.unwrap()
}

async fn add(tx: &mut Transaction, id: i64, amount: i64) -> Result<u64, SqlError> {
    query("UPDATE account SET balance = balance + $1 WHERE id = $2")
        .bind(amount)
        .bind(id)
        .execute(tx)
        .await
}

#[tokio::test]
async fn what_is_not_committed_is_seen_by_nobody_and_gone_when_dropped() {
    for bench in each("").await {
        accounts(&bench).await;
        let mut tx = bench.sql.begin().await.unwrap();
        assert_eq!(add(&mut tx, 1, 7).await.unwrap(), 1);
        assert_eq!(total(&bench).await, 200, "{}", bench.kind);
        drop(tx);
        // The one writer of SQLite is free again only after the rollback.
        let mut tx = bench.sql.begin().await.unwrap();
        add(&mut tx, 1, 1).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(total(&bench).await, 201, "{}", bench.kind);
        let tx = bench.sql.begin().await.unwrap();
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_stays_the_same_while_others_write() {
    for bench in each("").await {
        accounts(&bench).await;
        let sum = || query("SELECT sum(balance) FROM account");
        let mut snapshot = bench.sql.begin_read().await.unwrap();
        assert_eq!(sum().fetch_one::<i64>(&mut snapshot).await.unwrap(), 200);
        bench.run("UPDATE account SET balance = 0").await;
        assert_eq!(sum().fetch_one::<i64>(&mut snapshot).await.unwrap(), 200, "{}", bench.kind);
        snapshot.commit().await.unwrap();
        assert_eq!(total(&bench).await, 0);
    }
}

#[tokio::test]
async fn after_a_failed_statement_nothing_of_the_transaction_can_be_kept() {
    for bench in each("").await {
        accounts(&bench).await;
        let mut tx = bench.sql.begin().await.unwrap();
        add(&mut tx, 1, 7).await.unwrap();
        let twice = query("INSERT INTO account VALUES (1, 0)").execute(&mut tx).await.unwrap_err();
        assert!(matches!(twice.kind(), SqlErrorKind::Unique { .. }));
        let further = add(&mut tx, 1, 7).await.unwrap_err();
        assert_eq!(*further.kind(), SqlErrorKind::Aborted, "{}", bench.kind);
        let committed = tx.commit().await.unwrap_err();
        assert_eq!(*committed.kind(), SqlErrorKind::Aborted, "{}", bench.kind);
        until_total(&bench, 200).await;
    }
}

/// A dropped transaction is rolled back soon, which a later writer waits for.
async fn until_total(bench: &Bench, expected: i64) {
    bench.sql.begin().await.unwrap().commit().await.unwrap();
    assert_eq!(total(bench).await, expected, "{}", bench.kind);
}

#[tokio::test]
async fn an_attempt_that_fails_undoes_only_itself() {
    for bench in each("").await {
        accounts(&bench).await;
        let mut tx = bench.sql.begin().await.unwrap();
        add(&mut tx, 1, 1).await.unwrap();
        let failed: Result<(), SqlError> = tx
            .attempt(|mut tx| async move {
                add(&mut tx, 1, 10).await?;
                let inner: Result<u64, SqlError> =
                    tx.attempt(|mut tx| async move { add(&mut tx, 2, 100).await }).await;
                assert_eq!(inner.unwrap(), 1);
                query("INSERT INTO account VALUES (1, 0)").execute(&mut tx).await.map(drop)
            })
            .await;
        assert!(matches!(failed.unwrap_err().kind(), SqlErrorKind::Unique { .. }));
        let kept: Result<u64, SqlError> =
            tx.attempt(|mut tx| async move { add(&mut tx, 2, 1000).await }).await;
        kept.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(total(&bench).await, 1201, "{}", bench.kind);
    }
}

#[tokio::test]
async fn eight_writers_at_once_lose_no_update_and_meet_no_lock() {
    for bench in each("").await {
        accounts(&bench).await;
        // Two processes of four writers each.
        let other = bench.again("").await;
        let mut writing = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let sql = if writer % 2 == 0 { bench.sql.clone() } else { other.clone() };
            writing.spawn(async move {
                for _ in 0..5 {
                    let mut tx = sql.begin().await.unwrap();
                    add(&mut tx, 1, 1).await.unwrap();
                    tx.commit().await.unwrap();
                    let add = "UPDATE account SET balance = balance + 1 WHERE id = 2";
                    query(add).execute(&sql).await.unwrap();
                }
            });
        }
        writing.join_all().await;
        assert_eq!(total(&bench).await, 280, "{}", bench.kind);
    }
}

#[tokio::test]
async fn transactions_that_are_in_each_others_way_are_done_again_until_all_are_done() {
    for bench in each("pool_max=12").await {
        accounts(&bench).await;
        let mut working = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let sql = bench.sql.clone();
            working.spawn(async move {
                sql.transaction(|mut tx| async move {
                    // Read, think, write: two that do this at once would lose an update.
                    let balance: i64 = query("SELECT balance FROM account WHERE id = 1")
                        .fetch_one(&mut tx)
                        .await?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    query("UPDATE account SET balance = $1 WHERE id = 1")
                        .bind(balance + 1)
                        .execute(&mut tx)
                        .await
                })
                .await
            });
        }
        let results = working.join_all().await;
        assert!(results.iter().all(Result::is_ok), "{} {results:?}", bench.kind);
        assert_eq!(total(&bench).await, 204, "{}", bench.kind);
    }
}

#[tokio::test]
async fn work_that_fails_by_itself_is_not_done_again() {
    for bench in each("").await {
        accounts(&bench).await;
        let times = std::sync::atomic::AtomicU32::new(0);
        let result: Result<(), updraft::BoxError> = bench
            .sql
            .transaction(async |mut tx| {
                times.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                add(&mut tx, 1, 50).await?;
                Err("there is too little".into())
            })
            .await;
        assert_eq!(result.unwrap_err().to_string(), "there is too little");
        assert_eq!(times.into_inner(), 1);
        until_total(&bench, 200).await;
    }
}

/// What an HTTP handler must be: a future that can go from thread to thread.
#[tokio::test]
async fn a_transaction_can_be_run_in_a_task() {
    for bench in each("").await {
        accounts(&bench).await;
        let sql = bench.sql.clone();
        let id = String::from("1");
        let task = tokio::spawn(async move {
            let id = id.as_str();
            sql.transaction(|mut tx| async move {
                let id: i64 = id.parse()?;
                add(&mut tx, id, 1).await?;
                tx.attempt(|mut tx| async move { add(&mut tx, id, 1).await }).await?;
                Ok::<_, updraft::BoxError>(())
            })
            .await
        });
        task.await.unwrap().unwrap();
        assert_eq!(total(&bench).await, 202);
    }
}
