//! The depth of a queue against the very tables of the chassis.

use super::*;

const TABLES: &str = include_str!("../../../updraft/src/queue/sql/tables.sqlite.sql");
const NOW: i64 = 1_000_000;

async fn database(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn address(path: &std::path::Path, query: &str) -> ResourceUrl {
    let file = ResourceUrl::of_path("sqlite", path).unwrap();
    file.with_query(query)
}

#[tokio::test]
async fn what_is_due_or_under_way_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.sqlite3");
    let mut chassis = database(&path).await;
    sqlx::raw_sql(TABLES).execute(&mut chassis).await.unwrap();
    let jobs = [
        ("jobs", "waiting", NOW - 5),
        ("jobs", "waiting", NOW),
        ("jobs", "waiting", NOW + 1),
        ("jobs", "leased", NOW + 60_000),
        ("jobs", "leased", NOW - 60_000),
        ("jobs", "dead", NOW - 5),
        ("jobs", "done", NOW - 5),
        ("other", "waiting", NOW - 5),
    ];
    for (id, (queue, state, due)) in jobs.into_iter().enumerate() {
        let token = (state == "leased").then_some("token");
        sqlx::query(
            "INSERT INTO updraft_jobs (id, queue, kind, payload, state, max_attempts, due_at_ms,
                 lease_token, enqueued_at_ms, first_due_at_ms)
             VALUES ($1, $2, 'k', '{}', $3, 5, $4, $5, 0, 0)",
        )
        .bind(id.to_string())
        .bind(queue)
        .bind(state)
        .bind(due)
        .bind(token)
        .execute(&mut chassis)
        .await
        .unwrap();
    }
    let depth_of = async |query: &str| depth(&address(&path, query), NOW).await.unwrap();
    assert_eq!(depth_of("queue=jobs&max_attempts=5&lease=10s").await, 4);
    assert_eq!(depth_of("queue=other").await, 1);
    assert_eq!(depth_of("queue=nobody").await, 0);
}

#[tokio::test]
async fn what_cannot_be_read_says_so_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.sqlite3"), folder.path().join("e.sqlite3"));
    drop(database(&empty).await.close().await);
    for (address, word) in [
        (address(&missing, "queue=jobs"), "open"),
        (address(&empty, "queue=jobs"), "tables yet"),
        (ResourceUrl::parse("nats://u:hunter2@h:4222?queue=jobs").unwrap(), "`nats:`"),
        (ResourceUrl::parse("postgres://u:hunter2@127.0.0.1:1/x?queue=q").unwrap(), "refused"),
    ] {
        let error = depth(&address, NOW).await.unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
    }
    assert!(!missing.exists(), "a look makes no database");
}
