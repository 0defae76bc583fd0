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
