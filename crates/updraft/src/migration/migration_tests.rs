//! Laws of migrations on SQLite; those of PostgreSQL are in `tests/sql`.

use super::*;
use crate::SqlUrl;
use crate::sql::query;

const FIRST: Migration = Migration::new("first", "CREATE TABLE a (id INTEGER)");
const SECOND: Migration = Migration::new("second", "CREATE TABLE b (id INTEGER)");
const BROKEN: Migration = Migration::new("broken", "CREATE TABLE c (id INTEGER); nonsense");

async fn database(folder: &tempfile::TempDir) -> Sql {
    SqlUrl::of_file(folder.path().join("db.sqlite3")).open().await.unwrap()
}

#[tokio::test]
async fn replicas_that_migrate_at_once_apply_each_change_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut migrating = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let sql = database(&folder).await;
        migrating.spawn(async move {
            let done = sql.migrate(&[FIRST, SECOND]).await.unwrap();
            sql.require(&[FIRST, SECOND]).await.unwrap();
            done
        });
    }
    let mut done = migrating.join_all().await.concat();
    done.sort_unstable();
    assert_eq!(done, ["first", "second"]);
}

#[tokio::test]
async fn a_failed_change_leaves_nothing_behind_and_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let sql = database(&folder).await;
    let missing = sql.require(&[FIRST]).await.unwrap_err();
    assert!(missing.to_string().contains("first"));
    sql.migrate(&[FIRST, BROKEN]).await.unwrap_err();
    sql.require(&[FIRST]).await.unwrap();
    sql.require(&[BROKEN]).await.unwrap_err();
    let tables = query("SELECT count(*) FROM sqlite_schema WHERE name = 'c'");
    assert_eq!(tables.fetch_one::<i64>(&sql).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_applied_and_then_edited_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let sql = database(&folder).await;
    sql.migrate(&[FIRST]).await.unwrap();
    let edited = Migration::new("first", "CREATE TABLE a (id INTEGER, more TEXT)");
    for error in [
        sql.migrate(&[edited, SECOND]).await.map(drop).unwrap_err(),
        sql.plan(&[edited, SECOND]).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(&error, MigrateError::Changed { names } if *names == ["first"]));
    }
    // Nothing after it was applied.
    sql.require(&[SECOND]).await.unwrap_err();
    // Another way to end lines is no edit.
    let lines = Migration::new("lines", "CREATE TABLE l (\n id INTEGER)");
    sql.migrate(&[lines]).await.unwrap();
    sql.migrate(&[Migration::new("lines", "CREATE TABLE l (\r\n id INTEGER)")]).await.unwrap();
}

#[tokio::test]
async fn the_state_of_the_schema_is_current_behind_ahead_or_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let sql = database(&folder).await;
    assert!(matches!(
        sql.schema_state(&[FIRST, SECOND]).await,
        SchemaState::Behind { missing } if missing == ["first", "second"]
    ));
    sql.migrate(&[FIRST, SECOND]).await.unwrap();
    assert!(matches!(sql.schema_state(&[FIRST, SECOND]).await, SchemaState::Current));
    assert!(matches!(sql.schema_state(&[FIRST]).await, SchemaState::Ahead));
    assert!(sql.plan(&[FIRST, SECOND]).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_changes_of_one_name_and_a_bare_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sql = database(&folder).await;
    let twice = sql.migrate(&[FIRST, SECOND, FIRST]).await.unwrap_err();
    assert!(matches!(twice, MigrateError::Twice { migration: "first" }));
    let bare = Migration::new("bare", "-- updraft: no-transaction\nVACUUM");
    let refused = sql.migrate(&[bare]).await.unwrap_err();
    assert!(matches!(refused, MigrateError::NeedsTransaction { migration: "bare" }));
}
