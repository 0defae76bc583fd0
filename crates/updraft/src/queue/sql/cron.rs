//! The fires of schedules in the table: the row is the lock and the history.

use super::{SqlStore, statements, wrong};
use crate::queue::record::{Fired, NewJob, Pushed, now_ms};
use crate::queue::store::{FireAt, StoreError};
use crate::sql::query;

/// Fires of a schedule that are kept.
const FIRES_MOST: i64 = 100;

impl SqlStore {
    pub(super) async fn fired_last(&self, schedule: &str) -> Result<Option<i64>, StoreError> {
        let last = query(statements::LAST_FIRE).bind(self.rules.name.as_str()).bind(schedule);
        last.fetch_one(&self.sql).await.map_err(wrong)
    }

    pub(super) async fn note_seen(&self, at: FireAt<'_>) -> Result<(), StoreError> {
        if self.fired_last(at.schedule).await?.is_some() {
            return Ok(());
        }
        let noted = query(statements::FIRE)
            .bind(self.rules.name.as_str())
            .bind(at.schedule)
            .bind(at.due_ms)
            .bind(now_ms())
            .bind("seen")
            .bind(None::<&str>)
            .execute(&self.sql)
            .await;
        noted.map(drop).map_err(wrong)
    }

    pub(super) async fn fire_once(
        &self,
        at: FireAt<'_>,
        job: &NewJob,
    ) -> Result<Fired, StoreError> {
        let name = self.rules.name.as_str();
        let mut tx = self.sql.begin().await.map_err(wrong)?;
        let noted = query(statements::FIRE)
            .bind(name)
            .bind(at.schedule)
            .bind(at.due_ms)
            .bind(now_ms())
            .bind("fired")
            .bind(Some(job.id.as_str()))
            .execute(&mut tx)
            .await
            .map_err(wrong)?;
        if noted == 0 {
            return Ok(Fired::Before);
        }
        let fired = match self.insert(&mut tx, job).await? {
            Pushed::New => Fired::Now,
            // The note goes with the transaction.
            Pushed::Full => return Ok(Fired::Full),
            Pushed::Duplicate(_) => {
                let overlaps = query(statements::OVERLAPS).bind(name).bind(at.schedule);
                overlaps.bind(at.due_ms).execute(&mut tx).await.map_err(wrong)?;
                Fired::Overlaps
            }
        };
        let forget = query(statements::FORGET_FIRES).bind(name).bind(at.schedule).bind(FIRES_MOST);
        forget.execute(&mut tx).await.map_err(wrong)?;
        tx.commit().await.map_err(wrong)?;
        Ok(fired)
    }
}
