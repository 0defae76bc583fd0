//! The orders as rows.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use updraft::{Migration, Queue};
use uuid::Uuid;

/// The schema, oldest change first.
pub(crate) const MIGRATIONS: &[Migration] =
    &[Queue::MIGRATION, Migration::new("orders_1", include_str!("../migrations/1_orders.sql"))];

/// An order as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) state: String,
    pub(crate) placed_at: String,
    pub(crate) fulfilled_at: Option<String>,
}

pub(crate) async fn has_product(
    connection: &mut SqliteConnection,
    sku: &str,
) -> Result<bool, sqlx::Error> {
    let known = "SELECT EXISTS (SELECT 1 FROM stock WHERE sku = ?)";
    sqlx::query_scalar(known).bind(sku).fetch_one(connection).await
}

/// Inserts an order and gives its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    sku: &str,
    quantity: u32,
    idempotency_key: Option<&str>,
) -> Result<String, sqlx::Error> {
    let id = Uuid::now_v7().to_string();
    let insert = "INSERT INTO orders (id, idempotency_key, sku, quantity, placed_at)
        VALUES (?, ?, ?, ?, ?)";
    sqlx::query(insert)
        .bind(&id)
        .bind(idempotency_key)
        .bind(sku)
        .bind(quantity)
        .bind(now())
        .execute(connection)
        .await?;
    Ok(id)
}

pub(crate) async fn by_key(
    connection: &mut SqliteConnection,
    idempotency_key: &str,
) -> Result<Option<Order>, sqlx::Error> {
    let find = "SELECT *, iif(fulfilled_at IS NULL, 'placed', 'fulfilled') AS state
        FROM orders WHERE idempotency_key = ?";
    sqlx::query_as(find).bind(idempotency_key).fetch_optional(connection).await
}

pub(crate) async fn by_id(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<Order>, sqlx::Error> {
    let find = "SELECT *, iif(fulfilled_at IS NULL, 'placed', 'fulfilled') AS state
        FROM orders WHERE id = ?";
    sqlx::query_as(find).bind(id).fetch_optional(connection).await
}

/// The latest orders; their ids grow with time.
pub(crate) async fn latest(db: &SqlitePool, limit: u32) -> Result<Vec<Order>, sqlx::Error> {
    let list = "SELECT *, iif(fulfilled_at IS NULL, 'placed', 'fulfilled') AS state
        FROM orders ORDER BY id DESC LIMIT ?";
    sqlx::query_as(list).bind(limit).fetch_all(db).await
}

/// Takes the goods of an order from the shelf, unless that was done before.
pub(crate) async fn reserve(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<(), sqlx::Error> {
    let mark = "UPDATE orders SET reserved_at = ? WHERE id = ? AND reserved_at IS NULL
        RETURNING sku, quantity";
    let reserved: Option<(String, u32)> =
        sqlx::query_as(mark).bind(now()).bind(id).fetch_optional(&mut *connection).await?;
    let Some((sku, quantity)) = reserved else { return Ok(()) };
    // The warehouse never runs dry: an empty shelf is refilled by a hundred.
    let take = "UPDATE stock
        SET on_hand = on_hand - ?1 + iif(on_hand < ?1, 100, 0) WHERE sku = ?2";
    sqlx::query(take).bind(quantity).bind(sku).execute(connection).await?;
    Ok(())
}

pub(crate) async fn fulfilled(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<(), sqlx::Error> {
    let stamp = "UPDATE orders SET fulfilled_at = ? WHERE id = ? AND fulfilled_at IS NULL";
    sqlx::query(stamp).bind(now()).bind(id).execute(connection).await?;
    Ok(())
}

fn now() -> String {
    format!("{:.3}", Timestamp::now())
}
