//! Notes as rows, in SQL that SQLite and PostgreSQL share.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use updraft::sql::{Executor, Record, Transaction, query};
use updraft::{Migration, Queue, Sql, SqlError, migrations};
use uuid::Uuid;

pub(crate) const MIGRATIONS: &[Migration] = migrations!(Queue::MIGRATION, "migrations");

/// A note as its readers see it.
#[derive(Debug, JsonSchema, Record, Serialize)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) body: String,
    /// Not counted yet, while there is none
    pub(crate) words: Option<u32>,
}

/// Writes a note down and gives its id.
pub(crate) async fn insert(tx: &mut Transaction, body: &str) -> Result<String, SqlError> {
    let id = Uuid::now_v7().to_string();
    query("INSERT INTO notes (id, body, written_at_ms) VALUES ($1, $2, $3)")
        .bind(&id)
        .bind(body)
        .bind(Timestamp::now().as_millisecond())
        .execute(tx)
        .await?;
    Ok(id)
}

pub(crate) async fn by_id(on: impl Executor<'_>, id: &str) -> Result<Option<Note>, SqlError> {
    query("SELECT id, body, words FROM notes WHERE id = $1").bind(id).fetch_optional(on).await
}

/// The latest notes; their ids grow with time.
pub(crate) async fn latest(db: &Sql, limit: u32) -> Result<Vec<Note>, SqlError> {
    query("SELECT id, body, words FROM notes ORDER BY id DESC LIMIT $1")
        .bind(limit)
        .fetch_all(db)
        .await
}

pub(crate) async fn set_words(db: &Sql, id: &str, words: u32) -> Result<(), SqlError> {
    query("UPDATE notes SET words = $1 WHERE id = $2").bind(words).bind(id).execute(db).await?;
    Ok(())
}

/// Removes what is older than this, and tells how many notes that were.
pub(crate) async fn forget(db: &Sql, older_than: Duration) -> Result<u64, SqlError> {
    let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let until_ms = Timestamp::now().as_millisecond().saturating_sub(age_ms);
    query("DELETE FROM notes WHERE written_at_ms < $1").bind(until_ms).execute(db).await
}
