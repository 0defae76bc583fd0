//! What is particular to SQLite files; what holds on both kinds is in `tests/sql`.

use super::*;

#[tokio::test]
async fn many_first_starts_at_once_all_open_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.sqlite3");
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let path = path.clone();
        opening.spawn(async move { SqlUrl::of_file(path).open().await });
    }
    while let Some(opened) = opening.join_next().await {
        let sql = opened.unwrap().unwrap();
        let mode: String = query("PRAGMA journal_mode").fetch_one(&sql).await.unwrap();
        assert_eq!(mode, "wal");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary");
    std::fs::write(&path, "this is a text and no database, long enough to be looked at").unwrap();
    let error = SqlUrl::of_file(path).open().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot open the database sqlite://"), "{error}");
}

#[tokio::test]
async fn nobody_waits_for_a_connection_beyond_the_deadline_of_the_caller() {
    use updraft_resilience::deadline::{self, Deadline};

    use crate::Variable as _;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?acquire_timeout=5m", folder.path().join("db").display());
    let sql = SqlUrl::parse(&url).unwrap().open().await.unwrap();
    let _writer = sql.begin().await.unwrap();
    let soon = Deadline::after(Clock::system().now(), Duration::from_millis(50));
    let begun = Instant::now();
    let error = deadline::with(soon, sql.begin()).await.unwrap_err();
    assert_eq!(*error.kind(), SqlErrorKind::Saturated);
    assert!(begun.elapsed() < Duration::from_secs(60), "it waited for acquire_timeout");
}

#[tokio::test]
async fn parsers_of_values_tell_no_values() {
    let folder = tempfile::tempdir().unwrap();
    let sql = SqlUrl::of_file(folder.path().join("db.sqlite3")).open().await.unwrap();
    let path = query("SELECT json_extract('{}', $1)").bind("canary");
    let error = path.fetch_one::<String>(&sql).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}
