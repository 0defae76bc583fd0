//! What every peer answers from: ten thousand rows of one SQLite file.

use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

/// The readers of a peer.
pub type Pool = SqlitePool;

/// A row, and the JSON of an answer.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Item {
    pub id: i64,
    pub name: String,
    pub price_minor: i64,
    pub on_hand: i64,
}

/// Rows of the file.
pub const COUNT: i64 = 10_000;

/// One row by its id.
pub const FIND: &str = "SELECT id, name, price_minor, on_hand FROM items WHERE id = $1";

/// Makes the file that all peers read.
pub async fn make(file: &std::path::Path) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let table = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL,
        price_minor INTEGER NOT NULL, on_hand INTEGER NOT NULL)";
    sqlx::raw_sql(table).execute(&pool).await?;
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
        INSERT INTO items SELECT i, 'item ' || i, i * 7 % 9973, i * 13 % 101 FROM n";
    sqlx::query(fill).bind(COUNT).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// A pool of readers, as many as the chassis has, on the file that `ITEMS` names.
pub fn pool() -> SqlitePool {
    let file = std::env::var("ITEMS").expect("ITEMS names the file");
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options)
}

/// One row by its id.
pub async fn find(pool: &SqlitePool, id: i64) -> Option<Item> {
    sqlx::query_as(FIND).bind(id).fetch_optional(pool).await.expect("the file is whole")
}

/// The port to listen on.
pub fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).expect("PORT is a port")
}
