//! Errors have the same kinds on each kind of database, and hold no values.

use std::time::Duration;

use updraft::SqlError;
use updraft::sql::{SqlErrorKind, query, query_of};

use crate::{Bench, each, open};

async fn tables(bench: &Bench) {
    bench.run("CREATE TABLE shop (id BIGINT PRIMARY KEY)").await;
    bench
        .run(
            "CREATE TABLE sale (id BIGINT PRIMARY KEY, number TEXT NOT NULL, shop BIGINT
                REFERENCES shop (id), amount BIGINT CONSTRAINT positive CHECK (0 < amount),
                UNIQUE (shop, number))",
        )
        .await;
    bench.run("INSERT INTO shop VALUES (1)").await;
    bench.run("INSERT INTO sale VALUES (1, 'canary', 1, 5)").await;
}

async fn fails(bench: &Bench, text: &str) -> SqlError {
    let error = query_of(text).execute(&bench.sql).await.unwrap_err();
    let shown = format!(
        "{error} {error:?} {:?}",
        std::error::Error::source(&error).map(ToString::to_string)
    );
    assert!(!shown.contains("canary"), "{}: {shown}", bench.kind);
    error
}

#[tokio::test]
async fn a_broken_constraint_is_told_by_kind_and_name() {
    for bench in each("").await {
        tables(&bench).await;
        let unique = |name: &str| SqlErrorKind::Unique { constraint: name.to_owned() };
        for (text, kind) in [
            ("INSERT INTO sale VALUES (2, 'canary', 1, 5)", unique("sale_shop_number_key")),
            ("INSERT INTO sale VALUES (1, 'x', 1, 5)", unique("sale_pkey")),
            (
                "INSERT INTO sale VALUES (2, 'canary2', 1, -77)",
                SqlErrorKind::Check { constraint: "positive".into() },
            ),
            (
                "INSERT INTO sale VALUES (2, NULL, 1, 5)",
                SqlErrorKind::NotNull { column: "number".into() },
            ),
        ] {
            assert_eq!(*fails(&bench, text).await.kind(), kind, "{} {text}", bench.kind);
        }
        let foreign = fails(&bench, "INSERT INTO sale VALUES (2, 'canary2', 9, 5)").await;
        assert!(matches!(foreign.kind(), SqlErrorKind::ForeignKey { .. }), "{foreign:?}");
        let foreign = fails(&bench, "DELETE FROM shop").await;
        assert!(matches!(foreign.kind(), SqlErrorKind::ForeignKey { .. }), "{foreign:?}");
    }
}

#[tokio::test]
async fn a_wrong_statement_is_told_as_such() {
    for bench in each("").await {
        for text in ["SELEKT 1", "SELECT * FROM nowhere", "SELECT nothing"] {
            let error = query_of(text).fetch_optional::<i64>(&bench.sql).await.unwrap_err();
            assert_eq!(*error.kind(), SqlErrorKind::Statement, "{} {text}", bench.kind);
        }
    }
}

#[tokio::test]
async fn a_write_through_a_reader_is_refused() {
    for bench in each("").await {
        tables(&bench).await;
        let insert = "INSERT INTO shop VALUES (2) RETURNING id";
        let error = query(insert).fetch_one::<i64>(&bench.sql).await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::ReadOnly, "{}", bench.kind);
        let mut tx = bench.sql.begin_read().await.unwrap();
        let error = query(insert).fetch_one::<i64>(&mut tx).await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::ReadOnly, "{}", bench.kind);
        drop(tx);
        assert_eq!(query(insert).fetch_one::<i64>(bench.sql.writer()).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_the_connection_goes_on() {
    let endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
        SELECT count(*) FROM c";
    for bench in each("statement_timeout=150ms&pool_max=2").await {
        for _ in 0..2 {
            let error = query(endless).fetch_one::<i64>(&bench.sql).await.unwrap_err();
            assert_eq!(*error.kind(), SqlErrorKind::Timeout, "{}: {error:?}", bench.kind);
            // The database itself has ended it.
            assert!(error.code().is_some(), "{}: {error:?}", bench.kind);
            assert_eq!(query("SELECT 7").fetch_one::<i64>(&bench.sql).await.unwrap(), 7);
        }
    }
}

#[tokio::test]
async fn more_callers_than_connections_wait_a_bounded_time() {
    for bench in each("pool_max=2&acquire_timeout=50ms").await {
        let held = bench.sql.begin().await.unwrap();
        let error = bench.sql.begin().await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::Saturated, "{}", bench.kind);
        // Readers are not behind writers.
        assert_eq!(query("SELECT 1").fetch_one::<i64>(&bench.sql).await.unwrap(), 1);
        held.commit().await.unwrap();
        bench.sql.begin().await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_not_repeated() {
    let bench = Bench::postgres("").await;
    let (scheme, rest) = bench.url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    let sql = open(&format!("{scheme}://nobody:canary@{place}"), "").await;
    let error = query("SELECT 1").fetch_one::<i64>(&sql).await.unwrap_err();
    assert_eq!(*error.kind(), SqlErrorKind::Denied, "{error:?}");
    assert!(!format!("{error:?} {sql:?}").contains("canary"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_at_once() {
    // The port of a socket that is bound and not listened to.
    let port = tokio::net::TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("postgres://u:canary@{}/db", port.local_addr().unwrap());
    let sql = open(&url, "connect_timeout=20s&acquire_timeout=20s").await;
    let begun = tokio::time::Instant::now();
    let mut refused_at_once = 0;
    for _ in 0..10 {
        let error = query("SELECT 1").fetch_one::<i64>(&sql).await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::Unavailable, "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
        refused_at_once += u32::from(error.retry_after().is_some());
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(0 < refused_at_once, "the circuit never opened");
}
