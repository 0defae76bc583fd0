//! A job queue on the SQL database: a job is enqueued in the transaction that causes it,
//! leased by one worker at a time, and never lost when a worker dies. The tables are
//! described in `docs/reference/queue.md`, for programs in other languages.

mod url;
mod worker;

use serde::Serialize;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

pub use self::url::QueueUrl;
use crate::sql::{Sql, SqlOpenError};
use crate::{BoxError, Migration};
pub use worker::{Attempt, Worker};

/// The table of jobs.
const TABLE: &str = include_str!("queue/table.sql");

/// The queue cannot be used where its URL says.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Its database cannot be opened.
    #[error("cannot open the queue's database")]
    Open(#[source] SqlOpenError),
    /// It is in another file than the database it should share transactions with.
    #[error(
        "the queue is not in the database of the service, so a job cannot be enqueued in \
         its transactions: give both URLs the same file"
    )]
    OtherDatabase,
}

/// The job was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The payload has no JSON form.
    #[error("the payload of a `{kind}` job has no JSON form")]
    Payload {
        /// The kind of the job.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Too many jobs wait.
    #[error("the queue is full: {max_waiting} jobs wait")]
    Full {
        /// The bound, `max_waiting` of the queue's URL.
        max_waiting: u32,
    },
    /// The database refused.
    #[error("cannot enqueue a `{kind}` job")]
    Sql {
        /// The kind of the job.
        kind: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
}

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Jobs that wait for a worker, or for their next attempt.
    pub waiting: i64,
    /// Jobs that a worker holds.
    pub leased: i64,
    /// Jobs that were given up after their last attempt.
    pub dead: i64,
}

/// A queue of jobs.
#[derive(Clone, Debug)]
pub struct Queue {
    sql: Sql,
    url: QueueUrl,
}

impl Queue {
    /// Makes the queue's table; it belongs into the service's list of migrations.
    pub const MIGRATION: Migration = Migration::new("updraft_jobs_1", TABLE);

    /// The queue in the database of the service itself.
    ///
    /// # Errors
    ///
    /// [`QueueError::OtherDatabase`] when its URL names another file.
    pub fn within(sql: &Sql, url: &QueueUrl) -> Result<Self, QueueError> {
        if sql.path() != url.path() {
            return Err(QueueError::OtherDatabase);
        }
        Ok(Self { sql: sql.clone(), url: url.clone() })
    }

    /// A queue that has a database of its own.
    ///
    /// # Errors
    ///
    /// [`QueueError::Open`].
    pub async fn open(url: &QueueUrl) -> Result<Self, QueueError> {
        let sql = Sql::open(url.path()).await.map_err(QueueError::Open)?;
        Ok(Self { sql, url: url.clone() })
    }

    /// The database in which the queue is.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Enqueues a job within the caller's transaction, which must be one of
    /// [`Queue::sql`]: with it, the job comes into being or does not. Gives the job's id.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`]; the transaction should then be dropped.
    pub async fn enqueue(
        &self,
        transaction: &mut SqliteConnection,
        kind: &'static str,
        payload: &impl Serialize,
    ) -> Result<Uuid, EnqueueError> {
        let payload = serde_json::to_string(payload)
            .map_err(|source| EnqueueError::Payload { kind, source })?;
        let failed = |source| EnqueueError::Sql { kind, source };
        let max_waiting = self.url.max_waiting;
        // The bound is looked up in the index, without counting what is beyond it.
        let full = "SELECT EXISTS (SELECT 1 FROM updraft_jobs
            WHERE queue = ? AND state = 'waiting' LIMIT 1 OFFSET ?)";
        let full: bool = sqlx::query_scalar(full)
            .bind(&self.url.name)
            .bind(max_waiting.saturating_sub(1))
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if full {
            return Err(EnqueueError::Full { max_waiting });
        }
        let id = Uuid::now_v7();
        let now = now_ms();
        let insert = "INSERT INTO updraft_jobs
            (id, queue, kind, payload, state, max_attempts, due_at_ms, enqueued_at_ms)
            VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?)";
        sqlx::query(insert)
            .bind(id.to_string())
            .bind(&self.url.name)
            .bind(kind)
            .bind(payload)
            .bind(self.url.max_attempts)
            .bind(now)
            .bind(now)
            .execute(transaction)
            .await
            .map_err(failed)?;
        Ok(id)
    }

    /// How many jobs of this queue are in which state.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn counts(&self) -> Result<QueueCounts, sqlx::Error> {
        let by_state = "SELECT state, count(*) FROM updraft_jobs WHERE queue = ? GROUP BY state";
        let rows: Vec<(String, i64)> =
            sqlx::query_as(by_state).bind(&self.url.name).fetch_all(self.sql.read()).await?;
        let count = |wanted: &str| {
            rows.iter().find(|(state, _)| state == wanted).map_or(0, |(_, count)| *count)
        };
        Ok(QueueCounts { waiting: count("waiting"), leased: count("leased"), dead: count("dead") })
    }
}

/// A job in the hands of a worker. Its token proves that the lease is still the worker's.
#[derive(Debug, sqlx::FromRow)]
struct Leased {
    id: String,
    kind: String,
    payload: String,
    attempts: u32,
    max_attempts: u32,
    lease_token: String,
}

/// The moves of a job between its states. Each is one statement, so a worker may die
/// between any two of them.
impl Queue {
    /// Takes the job that is due longest, when there is one of these kinds (a JSON list).
    async fn claim(&self, kinds: &str) -> Result<Option<Leased>, sqlx::Error> {
        // Looking costs no lock; an idle worker must not hinder writers.
        let due = "SELECT EXISTS (SELECT 1 FROM updraft_jobs
            WHERE queue = ?1 AND state <> 'dead' AND due_at_ms <= ?2
              AND kind IN (SELECT value FROM json_each(?3)))";
        let now = now_ms();
        let due: bool = sqlx::query_scalar(due)
            .bind(&self.url.name)
            .bind(now)
            .bind(kinds)
            .fetch_one(self.sql.read())
            .await?;
        if !due {
            return Ok(None);
        }
        self.bury(now).await?;
        let claim = "UPDATE updraft_jobs
            SET state = 'leased', attempts = attempts + 1, lease_token = ?4, due_at_ms = ?5
            WHERE id = (SELECT id FROM updraft_jobs
                WHERE queue = ?1 AND state <> 'dead' AND due_at_ms <= ?2
                  AND kind IN (SELECT value FROM json_each(?3))
                ORDER BY due_at_ms, id LIMIT 1)
            RETURNING id, kind, payload, attempts, max_attempts, lease_token";
        sqlx::query_as(claim)
            .bind(&self.url.name)
            .bind(now)
            .bind(kinds)
            .bind(Uuid::now_v7().to_string())
            .bind(now + millis(self.url.lease))
            .fetch_optional(self.writer())
            .await
    }

    /// Gives up jobs whose worker died during their last attempt: one that kills its
    /// workers must not do so for ever.
    async fn bury(&self, now: i64) -> Result<(), sqlx::Error> {
        let bury = "UPDATE updraft_jobs
            SET state = 'dead', lease_token = NULL, last_error = 'the worker died'
            WHERE queue = ? AND state = 'leased' AND due_at_ms <= ? AND max_attempts <= attempts";
        let buried =
            sqlx::query(bury).bind(&self.url.name).bind(now).execute(self.writer()).await?;
        if 0 < buried.rows_affected() {
            tracing::error!(jobs = buried.rows_affected(), "jobs were given up: workers died");
        }
        Ok(())
    }

    /// Prolongs a lease; `false`: it is not ours any more.
    async fn heartbeat(&self, job: &Leased) -> Result<bool, sqlx::Error> {
        let prolong = "UPDATE updraft_jobs SET due_at_ms = ? WHERE id = ? AND lease_token = ?";
        let until = now_ms() + millis(self.url.lease);
        let moved = sqlx::query(prolong)
            .bind(until)
            .bind(&job.id)
            .bind(&job.lease_token)
            .execute(self.writer())
            .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// The job is done, and gone.
    async fn complete(&self, job: &Leased) -> Result<bool, sqlx::Error> {
        let remove = "DELETE FROM updraft_jobs WHERE id = ? AND lease_token = ?";
        let removed =
            sqlx::query(remove).bind(&job.id).bind(&job.lease_token).execute(self.writer()).await?;
        Ok(removed.rows_affected() == 1)
    }

    /// Gives the job back untried: another worker may take it at once.
    async fn hand_back(&self, job: &Leased) -> Result<(), sqlx::Error> {
        let back = "UPDATE updraft_jobs
            SET state = 'waiting', attempts = attempts - 1, lease_token = NULL, due_at_ms = ?
            WHERE id = ? AND lease_token = ?";
        sqlx::query(back)
            .bind(now_ms())
            .bind(&job.id)
            .bind(&job.lease_token)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The attempt failed: the job waits for its next one, or is given up.
    async fn fail(&self, job: &Leased, error: &BoxError, last: bool) -> Result<(), sqlx::Error> {
        let fail = "UPDATE updraft_jobs
            SET state = ?, lease_token = NULL, due_at_ms = ?, last_error = ?
            WHERE id = ? AND lease_token = ?";
        sqlx::query(fail)
            .bind(if last { "dead" } else { "waiting" })
            .bind(now_ms() + millis(worker::back_off(job.attempts)))
            .bind(error.to_string())
            .bind(&job.id)
            .bind(&job.lease_token)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    fn writer(&self) -> &SqlitePool {
        self.sql.write()
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
