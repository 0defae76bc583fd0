//! What people ask of the table, and do to a job.

use super::{SqlStore, statements, wrong};
use crate::queue::record::{JobRecord, QueueCounts, Retried, now_ms};
use crate::queue::store::{Filter, StoreError};
use crate::sql::{SqlErrorKind, query};

impl SqlStore {
    pub(super) async fn count(&self) -> Result<QueueCounts, StoreError> {
        let rows: Vec<(String, i64, Option<i64>)> = query(statements::COUNTS)
            .bind(self.rules.name.as_str())
            .fetch_all(&self.sql)
            .await
            .map_err(wrong)?;
        let mut counts = QueueCounts::default();
        for (state, count, first_ms) in rows {
            let count = u64::try_from(count).unwrap_or_default();
            match state.as_str() {
                "waiting" => {
                    counts.waiting = count;
                    let oldest = first_ms.map_or(0, |first| now_ms() - first);
                    counts.oldest_ms = u64::try_from(oldest).unwrap_or_default();
                }
                "leased" => counts.leased = count,
                "dead" => counts.dead = count,
                _ => {}
            }
        }
        Ok(counts)
    }

    pub(super) async fn records(&self, filter: Filter) -> Result<Vec<JobRecord>, StoreError> {
        query(statements::LIST)
            .bind(self.rules.name.as_str())
            .bind(filter.state.map(|state| state.as_str()).unwrap_or_default())
            .bind(i64::try_from(filter.most).unwrap_or(i64::MAX))
            .fetch_all(&self.sql)
            .await
            .map_err(wrong)
    }

    pub(super) async fn found(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        let find = query(statements::FIND).bind(self.rules.name.as_str()).bind(id);
        find.fetch_optional(&self.sql).await.map_err(wrong)
    }

    pub(super) async fn take_up(&self, id: &str) -> Result<Retried, StoreError> {
        let mut tx = self.sql.begin().await.map_err(wrong)?;
        let name = self.rules.name.as_str();
        let retried =
            query(statements::RETRY).bind(now_ms()).bind(name).bind(id).execute(&mut tx).await;
        match retried {
            Ok(0) => Ok(Retried::NotDead),
            Ok(_) => {
                if let Some(notify) = self.statements.notify {
                    query(notify).bind(name).execute(&mut tx).await.map_err(wrong)?;
                }
                tx.commit().await.map_err(wrong)?;
                Ok(Retried::Waiting)
            }
            Err(error) if matches!(error.kind(), SqlErrorKind::Unique { .. }) => {
                Ok(Retried::Occupied)
            }
            Err(error) => Err(wrong(error)),
        }
    }

    pub(super) async fn drop_job(&self, id: &str) -> Result<bool, StoreError> {
        let removed = query(statements::REMOVE).bind(self.rules.name.as_str()).bind(id);
        Ok(removed.execute(&self.sql).await.map_err(wrong)? == 1)
    }
}
