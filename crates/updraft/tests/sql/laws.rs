//! What else holds of each kind of database.

use std::time::Duration;

use updraft::sql::{SqlErrorKind, query, query_of};

use crate::{each, until};

#[tokio::test]
async fn rows_are_streamed_in_order_with_few_read_ahead() {
    for bench in each("pool_max=2").await {
        bench.run("CREATE TABLE n (x BIGINT PRIMARY KEY)").await;
        bench
            .run(
                "INSERT INTO n WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c
                    WHERE x < 1000) SELECT x FROM c",
            )
            .await;
        let mut rows =
            query("SELECT x FROM n WHERE x > $1 ORDER BY x").bind(10).fetch::<i64>(&bench.sql);
        let mut expected = 11;
        while let Some(row) = rows.next().await {
            assert_eq!(row.unwrap(), expected, "{}", bench.kind);
            expected += 1;
        }
        drop(rows);
        assert_eq!(expected, 1001, "{}", bench.kind);
        // One that is left in the middle gives its connection back.
        for _ in 0..3 {
            let mut rows = query("SELECT x FROM n").fetch::<i64>(&bench.sql);
            rows.next().await.unwrap().unwrap();
        }
        // An error comes once, and then the end.
        let mut rows = query("SELECT nothing").fetch::<i64>(&bench.sql);
        assert_eq!(*rows.next().await.unwrap().unwrap_err().kind(), SqlErrorKind::Statement);
        assert!(rows.next().await.is_none());
        drop(rows);
        let mut tx = bench.sql.begin().await.unwrap();
        let mut rows = query("SELECT x FROM n ORDER BY x").fetch::<i64>(&mut tx);
        assert_eq!(rows.next().await.unwrap().unwrap(), 1);
        drop(rows);
    }
}

#[tokio::test]
async fn more_rows_than_the_bound_are_an_error_and_no_surprise() {
    for bench in each("").await {
        let three = || query("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3");
        assert_eq!(three().at_most(3).fetch_all::<i64>(&bench.sql).await.unwrap().len(), 3);
        let error = three().at_most(2).fetch_all::<i64>(&bench.sql).await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::TooManyRows { bound: 2 });
        assert_eq!(three().fetch_all::<i64>(&bench.sql).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn no_row_is_none_or_not_found() {
    for bench in each("").await {
        let none = || query("SELECT 1 WHERE 1 = 0");
        assert_eq!(none().fetch_optional::<i64>(&bench.sql).await.unwrap(), None);
        let error = none().fetch_one::<i64>(&bench.sql).await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::NotFound);
        assert!(none().fetch_all::<i64>(&bench.sql).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_trace() {
    let slow = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c
        WHERE x < 100000000) SELECT count(*) FROM c";
    for bench in each("pool_max=2&acquire_timeout=20s").await {
        bench.run("CREATE TABLE t (x BIGINT)").await;
        for _ in 0..3 {
            let gone = query(slow).fetch_one::<i64>(&bench.sql);
            let gone = tokio::time::timeout(Duration::from_millis(20), gone).await;
            assert!(gone.is_err(), "{}", bench.kind);
            // In the middle of a write, within a transaction.
            let mut tx = bench.sql.begin().await.unwrap();
            query("INSERT INTO t VALUES (1)").execute(&mut tx).await.unwrap();
            let gone = query(slow).fetch_one::<i64>(&mut tx);
            let gone = tokio::time::timeout(Duration::from_millis(20), gone).await;
            assert!(gone.is_err(), "{}", bench.kind);
            drop(tx);
        }
        until("the database answers and kept nothing", async || {
            let count = query("SELECT count(*) FROM t").fetch_one::<i64>(&bench.sql).await;
            let written = query("DELETE FROM t").execute(&bench.sql).await;
            count.is_ok_and(|count| count == 0) && written.is_ok_and(|rows| rows == 0)
        })
        .await;
    }
}

#[tokio::test]
async fn a_statement_that_is_put_together_is_run_like_any_other() {
    for bench in each("").await {
        let columns = ["a", "b"];
        bench.run(&format!("CREATE TABLE d ({} BIGINT)", columns.join(" BIGINT, "))).await;
        let rows = query_of(format!("INSERT INTO d ({}) VALUES ($1, $2)", columns.join(", ")))
            .bind(1)
            .bind(2)
            .execute(&bench.sql)
            .await;
        assert_eq!(rows.unwrap(), 1);
        let read: (i64, i64) = query("SELECT a, b FROM d").fetch_one(&bench.sql).await.unwrap();
        assert_eq!(read, (1, 2));
    }
}

#[tokio::test]
async fn the_driver_can_be_reached_for_what_has_no_words_here() {
    let [sqlite, postgres] = each("").await;
    let one: i64 =
        sqlx::query_scalar("SELECT 1").fetch_one(sqlite.sql.sqlite().unwrap()).await.unwrap();
    assert_eq!(one, 1);
    let pool = postgres.sql.postgres().unwrap();
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(pool).await.unwrap();
    assert_eq!(one, 1);
    assert!(sqlite.sql.postgres().is_none() && postgres.sql.sqlite().is_none());
    let mut tx = postgres.sql.begin().await.unwrap();
    assert!(tx.sqlite().is_none());
    sqlx::query("SELECT 1").execute(tx.postgres().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_schema_of_ones_own_holds_the_tables() {
    let bench = crate::Bench::postgres("").await;
    bench.run("CREATE SCHEMA own").await;
    let own = bench.again("schema=own&application_name=test").await;
    query("CREATE TABLE here (x BIGINT)").execute(&own).await.unwrap();
    query("SELECT x FROM own.here").fetch_optional::<i64>(&bench.sql).await.unwrap();
    query("SELECT x FROM here").fetch_optional::<i64>(&bench.sql).await.unwrap_err();
}
