//! The orders as rows, in SQL that SQLite and PostgreSQL share.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use updraft::sql::{Executor, Record, Transaction, query};
use updraft::{Idempotency, Migration, Queue, Sql, SqlError, migrations};
use uuid::Uuid;

/// The schema, oldest change first.
pub(crate) const MIGRATIONS: &[Migration] =
    migrations!(Queue::MIGRATION, Idempotency::MIGRATION, "migrations");

/// An order as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Record, Serialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) state: String,
    pub(crate) placed_at: Timestamp,
    pub(crate) fulfilled_at: Option<Timestamp>,
}

pub(crate) async fn has_product(tx: &mut Transaction, sku: &str) -> Result<bool, SqlError> {
    query("SELECT EXISTS (SELECT 1 FROM stock WHERE sku = $1)").bind(sku).fetch_one(tx).await
}

/// Inserts an order and gives its id.
pub(crate) async fn insert(
    tx: &mut Transaction,
    sku: &str,
    quantity: u32,
) -> Result<String, SqlError> {
    let insert = "INSERT INTO orders (id, sku, quantity, placed_at) VALUES ($1, $2, $3, $4)
        RETURNING id";
    query(insert)
        .bind(Uuid::now_v7().to_string())
        .bind(sku)
        .bind(quantity)
        .bind(Timestamp::now())
        .fetch_one(tx)
        .await
}

pub(crate) async fn by_id(on: impl Executor<'_>, id: &str) -> Result<Option<Order>, SqlError> {
    let find = "SELECT *, CASE WHEN fulfilled_at IS NULL THEN 'placed' ELSE 'fulfilled' END
        AS state FROM orders WHERE id = $1";
    query(find).bind(id).fetch_optional(on).await
}

/// The latest orders; their ids grow with time.
pub(crate) async fn latest(db: &Sql, limit: u32) -> Result<Vec<Order>, SqlError> {
    let list = "SELECT *, CASE WHEN fulfilled_at IS NULL THEN 'placed' ELSE 'fulfilled' END
        AS state FROM orders ORDER BY id DESC LIMIT $1";
    query(list).bind(limit).fetch_all(db).await
}

/// Takes the goods of an order from the shelf, unless that was done before.
pub(crate) async fn reserve(tx: &mut Transaction, id: &str) -> Result<(), SqlError> {
    let mark = "UPDATE orders SET reserved_at = $1 WHERE id = $2 AND reserved_at IS NULL
        RETURNING sku, quantity";
    let mark = query(mark).bind(Timestamp::now()).bind(id);
    let Some((sku, quantity)) = mark.fetch_optional::<(String, u32)>(&mut *tx).await? else {
        return Ok(());
    };
    // The warehouse never runs dry: an empty shelf is refilled by a hundred.
    let take = "UPDATE stock SET on_hand = on_hand - $1
        + CASE WHEN on_hand < $1 THEN 100 ELSE 0 END WHERE sku = $2";
    query(take).bind(quantity).bind(sku).execute(tx).await?;
    Ok(())
}

pub(crate) async fn fulfilled(tx: &mut Transaction, id: &str) -> Result<(), SqlError> {
    query("UPDATE orders SET fulfilled_at = $1 WHERE id = $2 AND fulfilled_at IS NULL")
        .bind(Timestamp::now())
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}
