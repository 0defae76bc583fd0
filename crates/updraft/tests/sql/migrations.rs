//! Migrations on each kind of database, and what only PostgreSQL can do wrong.

use updraft::sql::{SqlErrorKind, query};
use updraft::{MigrateError, Migration, SchemaState};

use crate::{Bench, each};

const TABLE: Migration = Migration::of_kinds(
    "table",
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
     INSERT INTO item (name) VALUES ('a'), ('b')",
    "CREATE TABLE item (id BIGINT GENERATED ALWAYS AS IDENTITY, name TEXT NOT NULL);
     INSERT INTO item (name) VALUES ('a'), ('b')",
);

const INDEX: Migration = Migration::of_kinds(
    "index",
    "CREATE UNIQUE INDEX item_name_idx ON item (name)",
    "-- updraft: no-transaction
     CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS item_name_idx ON item (name);
     ANALYZE item;",
);

async fn invalid(bench: &Bench) -> i64 {
    query("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetch_one(&bench.sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_migrate_at_once_with_a_concurrent_index_all_end_well() {
    for bench in each("").await {
        let mut migrating = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let sql = bench.again("").await;
            migrating.spawn(async move { sql.migrate(&[TABLE, INDEX]).await });
        }
        let done = tokio::time::timeout(crate::PATIENCE, migrating.join_all()).await;
        let done = done.expect("a deadlock").into_iter().map(Result::unwrap);
        let mut done: Vec<_> = done.flatten().collect();
        done.sort_unstable();
        assert_eq!(done, ["index", "table"], "{}: each was applied once", bench.kind);
        assert!(matches!(bench.sql.schema_state(&[TABLE, INDEX]).await, SchemaState::Current));
        let twice = query("INSERT INTO item (name) VALUES ('a')").execute(&bench.sql).await;
        assert!(matches!(
            twice.unwrap_err().kind(),
            SqlErrorKind::Unique { constraint } if constraint.starts_with("item_name")
        ));
        if bench.kind == "postgres" {
            assert_eq!(invalid(&bench).await, 0);
        }
    }
}

#[tokio::test]
async fn an_index_that_could_not_be_made_is_told_and_made_when_it_can_be() {
    let bench = Bench::postgres("").await;
    bench.sql.migrate(&[TABLE]).await.unwrap();
    bench.run("INSERT INTO item (name) VALUES ('a')").await;
    let error = bench.sql.migrate(&[TABLE, INDEX]).await.unwrap_err();
    assert!(
        matches!(&error, MigrateError::Partly { migration: "index", statement: 1, .. }),
        "{error:?}"
    );
    // PostgreSQL leaves it behind, and IF NOT EXISTS would now be content with it.
    assert_eq!(invalid(&bench).await, 1);
    bench.sql.require(&[INDEX]).await.unwrap_err();
    bench.run("DELETE FROM item WHERE id = 3").await;
    bench.sql.migrate(&[TABLE, INDEX]).await.unwrap();
    assert_eq!(invalid(&bench).await, 0);
    bench.sql.require(&[TABLE, INDEX]).await.unwrap();
}

#[tokio::test]
async fn a_failed_change_is_undone_as_a_whole() {
    let broken = Migration::new("broken", "CREATE TABLE half (x BIGINT); SELECT nothing");
    for bench in each("").await {
        let error = bench.sql.migrate(&[TABLE, broken]).await.unwrap_err();
        assert!(matches!(error, MigrateError::Failed { migration: "broken", .. }), "{error:?}");
        let half = query("SELECT count(*) FROM half").fetch_one::<i64>(&bench.sql).await;
        assert_eq!(*half.unwrap_err().kind(), SqlErrorKind::Statement, "{}", bench.kind);
        bench.sql.require(&[TABLE]).await.unwrap();
        let plan = bench.sql.plan(&[TABLE, broken]).await.unwrap();
        assert_eq!(plan.iter().map(Migration::name).collect::<Vec<_>>(), ["broken"]);
    }
}

#[tokio::test]
async fn a_change_lets_others_pass_while_a_table_is_in_use() {
    let bench = Bench::postgres("").await;
    bench.sql.migrate(&[TABLE]).await.unwrap();
    let mut reader = bench.sql.begin_read().await.unwrap();
    query("SELECT count(*) FROM item").fetch_one::<i64>(&mut reader).await.unwrap();
    let column = Migration::new("column", "ALTER TABLE item ADD COLUMN note TEXT");
    let sql = bench.again("").await;
    let migrating = tokio::spawn(async move { sql.migrate(&[TABLE, column]).await });
    // It meets the reader's lock, gives up its place in the queue after a while and tries again.
    crate::until("the change waits", async || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND datname = current_database()";
        0 < query(waits).fetch_one::<i64>(&bench.sql).await.unwrap()
    })
    .await;
    crate::until("others pass", async || {
        let read = query("SELECT count(*) FROM item").fetch_one::<i64>(&bench.sql);
        tokio::time::timeout(std::time::Duration::from_millis(500), read).await.is_ok()
    })
    .await;
    drop(reader);
    assert_eq!(migrating.await.unwrap().unwrap(), ["column"]);
}
