//! Fulfilling an order: take the goods from the shelf, pack them, stamp the order. A
//! worker may die between any two steps and another begins again, so each step can be done
//! twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::{Attempt, BoxError, Ctx, Job, JobError, Run, Sql};

use crate::{Orders, store};

/// Fulfil one order.
#[derive(Debug, Job, Serialize, Deserialize)]
pub(crate) struct Fulfil {
    pub(crate) order_id: String,
}

impl Run<Orders> for Fulfil {
    async fn run(self, app: Ctx<Orders>, _attempt: Attempt) -> Result<(), JobError> {
        Ok(fulfil(app.db.clone(), self, app.packing_time).await?)
    }
}

async fn fulfil(db: Sql, job: Fulfil, packing_time: Duration) -> Result<(), BoxError> {
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
    use updraft::sql::query;
    use updraft::testing::server::{Kind, Server};
    use updraft::{Migration, SqlUrl, Variable, migrations};

    use super::*;

    /// Without the queue, which is not what is looked at.
    const ORDERS: &[Migration] = migrations!("migrations");

    #[tokio::test]
    async fn doing_it_twice_takes_the_goods_once_on_each_kind_of_database() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", folder.path().join("db.sqlite3").display());
        let server = Server::shared(Kind::Postgres).unwrap().database().unwrap();
        for url in [file, server.url()] {
            let db = SqlUrl::parse(&url).unwrap().open().await.unwrap();
            db.migrate(ORDERS).await.unwrap();
            let mut tx = db.begin().await.unwrap();
            let order_id = store::insert(&mut tx, "KITE", 3).await.unwrap();
            tx.commit().await.unwrap();

            for _ in 0..2 {
                let job = Fulfil { order_id: order_id.clone() };
                fulfil(db.clone(), job, Duration::ZERO).await.unwrap();
            }
            let on_hand = query("SELECT on_hand FROM stock WHERE sku = 'KITE'");
            assert_eq!(on_hand.fetch_one::<i64>(&db).await.unwrap(), 37);
            let orders = store::latest(&db, 1).await.unwrap();
            assert_eq!(orders[0].state, "fulfilled");
        }
    }
}
