//! Fulfilling an order: take the goods from the shelf, pack them, stamp the order. A
//! worker may die between any two steps and another begins again, so each step can be done
//! twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::{BoxError, Sql};

use crate::store;

/// The kind of these jobs in the queue.
pub(crate) const KIND: &str = "fulfil";

/// Fulfil one order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fulfil {
    pub(crate) order_id: String,
}

pub(crate) async fn fulfil(db: Sql, job: Fulfil, packing_time: Duration) -> Result<(), BoxError> {
    let mut tx = db.begin().await?;
    store::reserve(&mut tx, &job.order_id).await?;
    tx.commit().await?;

    // No lock is held while somebody packs.
    tokio::time::sleep(packing_time).await;

    let mut tx = db.begin().await?;
    store::fulfilled(&mut tx, &job.order_id).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use updraft::{SqlUrl, Variable};

    use super::*;

    #[tokio::test]
    async fn doing_it_twice_takes_the_goods_once() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("db.sqlite3").display());
        let db = SqlUrl::parse(&url).unwrap().open().await.unwrap();
        db.migrate(store::MIGRATIONS).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let order_id = store::insert(&mut tx, "KITE", 3, None).await.unwrap();
        tx.commit().await.unwrap();

        for _ in 0..2 {
            let job = Fulfil { order_id: order_id.clone() };
            fulfil(db.clone(), job, Duration::ZERO).await.unwrap();
        }
        let on_hand: i64 = sqlx::query_scalar("SELECT on_hand FROM stock WHERE sku = 'KITE'")
            .fetch_one(db.read())
            .await
            .unwrap();
        assert_eq!(on_hand, 37);
        let orders = store::latest(db.read(), 1).await.unwrap();
        assert_eq!(orders[0].state, "fulfilled");
    }
}
