//! The moves of a job in the table.

use std::sync::atomic::Ordering;

use super::{SqlStore, statements, wrong};
use crate::queue::record::{
    Claimed, JobRecord, JobState, Leased, NewJob, Next, Pushed, Unique, millis, now_ms,
};
use crate::queue::store::StoreError;
use crate::sql::{Record, Row, SqlError, Transaction, query};

/// How often an insert is tried while keys become free under it.
const TRIES: u32 = 3;

impl SqlStore {
    pub(super) async fn insert_row(
        &self,
        transaction: &mut Transaction,
        job: &NewJob,
    ) -> Result<Pushed, StoreError> {
        for _ in 0..TRIES {
            let inserted = query(statements::INSERT)
                .bind(job.id.as_str())
                .bind(self.rules.name.as_str())
                .bind(job.kind.as_str())
                .bind(job.payload.as_str())
                .bind(i64::from(job.priority))
                .bind(i64::from(job.max_attempts))
                .bind(job.due_ms)
                .bind(job.enqueued_ms)
                .bind(job.unique_key())
                .bind(job.held_until())
                .bind(job.trace.as_deref())
                .bind(job.deadline_ms)
                .execute(&mut *transaction)
                .await
                .map_err(wrong)?;
            if inserted == 1 {
                // It is seen after the commit: until then it is looked for often.
                self.idle.store(0, Ordering::Relaxed);
                if let Some(notify) = self.statements.notify {
                    let call = query(notify).bind(self.rules.name.as_str());
                    call.execute(&mut *transaction).await.map_err(wrong)?;
                }
                return Ok(Pushed::New);
            }
            let there: Option<(String, String, i64)> = query(statements::CONFLICT)
                .bind(job.id.as_str())
                .bind(self.rules.name.as_str())
                .bind(job.kind.as_str())
                .bind(job.unique_key())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(wrong)?;
            match there {
                // Its key is held no longer.
                Some((id, state, until)) if state == "done" && until <= now_ms() => {
                    let free = query(statements::FREE_KEY).bind(id.as_str()).bind(now_ms());
                    free.execute(&mut *transaction).await.map_err(wrong)?;
                }
                Some((id, _, _)) => return Ok(Pushed::Duplicate(id)),
                // It has just gone.
                None => {}
            }
        }
        Err(StoreError::Away("the unique key changed hands again and again".into()))
    }

    pub(super) async fn take(
        &self,
        kinds: &[&'static str],
        most: usize,
    ) -> Result<Claimed, StoreError> {
        let kinds =
            serde_json::to_string(kinds).map_err(|error| StoreError::Refused(error.into()))?;
        // Looking costs no lock; an idle worker must not hinder writers.
        let next: Option<i64> = query(self.statements.next)
            .bind(self.rules.name.as_str())
            .bind(kinds.as_str())
            .fetch_optional(&self.sql)
            .await
            .map_err(wrong)?;
        let now = now_ms();
        let mut claimed =
            Claimed { next_in_ms: next.map(|at| (at - now).max(0)), ..Claimed::default() };
        // Before the claim: what is claimed must not be forgotten for an error here.
        if self.is_untidy() {
            claimed.buried = self.tidy(now).await?;
        }
        if next.is_none_or(|at| now < at) {
            return Ok(claimed);
        }
        let token = uuid::Uuid::now_v7().to_string();
        let rows: Vec<JobRecord> = query(self.statements.claim)
            .bind(self.rules.name.as_str())
            .bind(now)
            .bind(kinds.as_str())
            .bind(token.as_str())
            .bind(now + millis(self.rules.lease))
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(self.sql.writer())
            .await
            .map_err(wrong)?;
        if rows.is_empty() {
            claimed.buried += self.tidy(now).await?;
        }
        let leased = |row: JobRecord| Leased {
            place: row.job.id.clone(),
            attempts: row.attempts,
            token: token.clone(),
            job: row.job,
        };
        claimed.jobs = rows.into_iter().map(leased).collect();
        Ok(claimed)
    }

    /// Gives up jobs whose worker died during their last attempt (one that kills its workers
    /// must not do so for ever), and forgets keys that are held no longer.
    async fn tidy(&self, now: i64) -> Result<u64, StoreError> {
        let name = self.rules.name.as_str();
        let buried = query(statements::BURY).bind(name).bind(now).execute(&self.sql).await;
        let buried = buried.map_err(wrong)?;
        query(statements::SWEEP).bind(name).bind(now).execute(&self.sql).await.map_err(wrong)?;
        Ok(buried)
    }

    pub(super) async fn prolong(&self, job: &Leased) -> Result<bool, StoreError> {
        let until = now_ms() + millis(self.rules.lease);
        let moved = query(statements::PROLONG)
            .bind(until)
            .bind(job.place.as_str())
            .bind(job.token.as_str())
            .execute(&self.sql)
            .await;
        Ok(moved.map_err(wrong)? == 1)
    }

    /// The job is done, and gone; its key may be held on.
    pub(super) async fn end(&self, job: &Leased) -> Result<bool, StoreError> {
        let (id, token) = (job.place.as_str(), job.token.as_str());
        let moved = match job.job.held_until().filter(|until| now_ms() < *until) {
            Some(until) => {
                let held = query(statements::COMPLETE_HELD).bind(until);
                held.bind(id).bind(token).execute(&self.sql).await
            }
            None => query(statements::COMPLETE).bind(id).bind(token).execute(&self.sql).await,
        };
        Ok(moved.map_err(wrong)? == 1)
    }

    pub(super) async fn untake(&self, job: &Leased) -> Result<bool, StoreError> {
        let moved = query(statements::HAND_BACK)
            .bind(now_ms())
            .bind(job.place.as_str())
            .bind(job.token.as_str())
            .execute(&self.sql)
            .await;
        Ok(moved.map_err(wrong)? == 1)
    }

    pub(super) async fn put_off(
        &self,
        job: &Leased,
        error: &str,
        next: Next,
    ) -> Result<bool, StoreError> {
        let (state, at) = match next {
            Next::Again { after_ms } => (JobState::Waiting, now_ms() + after_ms),
            Next::Dead => (JobState::Dead, now_ms()),
        };
        let moved = query(statements::FAIL)
            .bind(state.as_str())
            .bind(at)
            .bind(error)
            .bind(job.place.as_str())
            .bind(job.token.as_str())
            .execute(&self.sql)
            .await;
        Ok(moved.map_err(wrong)? == 1)
    }
}

impl Record for JobRecord {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let state: String = row.get("state")?;
        let until_ms: Option<i64> = row.get("unique_until_ms")?;
        let key: Option<String> = row.get("unique_key")?;
        Ok(Self {
            job: NewJob {
                id: row.get("id")?,
                kind: row.get("kind")?,
                payload: row.get("payload")?,
                priority: row.get("priority")?,
                max_attempts: row.get("max_attempts")?,
                due_ms: row.get("first_due_at_ms")?,
                enqueued_ms: row.get("enqueued_at_ms")?,
                unique: key.map(|key| Unique { key, until_ms }),
                trace: row.get("trace")?,
                deadline_ms: row.get("deadline_at_ms")?,
            },
            // The table has a check.
            state: JobState::parse(&state).unwrap_or(JobState::Waiting),
            attempts: row.get("attempts")?,
            at_ms: row.get("due_at_ms")?,
            last_error: row.get("last_error")?,
            lease_token: row.get("lease_token")?,
        })
    }
}
