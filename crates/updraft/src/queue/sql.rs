//! Queues in a SQL database: one table, in which every move of a job is one statement.

mod admin;
mod cron;
mod moves;
mod statements;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::record::{
    Claimed, Fired, JobRecord, Leased, NewJob, Next, Pushed, QueueCounts, Retried,
};
use super::store::{Answer, Filter, FireAt, Rules, Store, StoreError};
use crate::Migration;
use crate::attachment::{Attachment as _, Location};
use crate::sql::{Sql, SqlError, Transaction};
use statements::Statements;

/// The tables of queues, outbox and schedules.
pub(super) const MIGRATION: Migration = Migration::of_kinds(
    "updraft_jobs_1",
    include_str!("sql/tables.sqlite.sql"),
    include_str!("sql/tables.postgres.sql"),
);

/// From one look for due jobs to the next, where no notification comes: just after there was
/// something to do; doubled each time, …
const REST_LEAST: Duration = Duration::from_millis(20);

/// … up to this.
const REST_MOST: Duration = Duration::from_millis(320);

/// The same where notifications come: they may be missed while a connection is lost.
const REST_NOTIFIED: Duration = Duration::from_secs(2);

/// How long the room that was counted in a queue may be given away without counting anew.
const COUNT_HOLDS: Duration = Duration::from_secs(1);

/// From one clearing of what nobody asks for any more to the next.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// The part of that room that one process may give away: others do the same.
const COUNT_SHARE: i64 = 10;

/// A queue in a database.
#[derive(Debug)]
pub(super) struct SqlStore {
    sql: Sql,
    rules: Rules,
    statements: &'static Statements,
    room: Mutex<Option<Room>>,
    tidied: Mutex<Option<Instant>>,
    /// Looks in a row that found nothing.
    idle: AtomicU32,
}

/// How many more jobs this process may enqueue before the waiting ones are counted again.
#[derive(Clone, Copy, Debug)]
struct Room {
    left: i64,
    counted: Instant,
}

impl SqlStore {
    pub(super) fn new(sql: Sql, rules: Rules) -> Self {
        let statements =
            if is_postgres(&sql) { &Statements::POSTGRES } else { &Statements::SQLITE };
        Self {
            sql,
            rules,
            statements,
            room: Mutex::new(None),
            tidied: Mutex::new(None),
            idle: AtomicU32::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Enqueues within a transaction of this database.
    pub(super) async fn insert(
        &self,
        transaction: &mut Transaction,
        job: &NewJob,
    ) -> Result<Pushed, StoreError> {
        if !self.has_room() && !self.count_room(transaction).await? {
            return Ok(Pushed::Full);
        }
        self.insert_row(transaction, job).await
    }

    /// Whether there is room by the last count.
    fn has_room(&self) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match room.as_mut() {
            Some(room) if 0 < room.left && room.counted.elapsed() < COUNT_HOLDS => {
                room.left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Whether it is time to clear up; who is told so does it.
    fn is_untidy(&self) -> bool {
        let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tidied.is_none_or(|last| TIDY_EVERY <= last.elapsed());
        if due {
            *tidied = Some(Instant::now());
        }
        due
    }

    async fn count_room(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let most = i64::from(self.rules.max_waiting);
        let waiting: i64 = crate::sql::query(statements::WAITING)
            .bind(self.rules.name.as_str())
            .bind(most)
            .fetch_one(transaction)
            .await
            .map_err(wrong)?;
        let left = (most - waiting) / COUNT_SHARE;
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        *room = Some(Room { left, counted: Instant::now() });
        Ok(waiting < most)
    }
}

/// Whether notifications come.
fn is_postgres(sql: &Sql) -> bool {
    sql.system() == "postgresql"
}

impl Store for SqlStore {
    fn location(&self) -> Location {
        self.sql.location()
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async { self.sql.check().await.map_err(StoreError::Away) })
    }

    fn push<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        Box::pin(async move {
            let mut tx = self.sql.begin().await.map_err(wrong)?;
            let pushed = self.insert(&mut tx, job).await?;
            tx.commit().await.map_err(wrong)?;
            Ok(pushed)
        })
    }

    fn claim<'a>(&'a self, kinds: &'a [&'static str], most: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let claimed = self.take(kinds, most).await?;
            match claimed.jobs.is_empty() {
                true => self.idle.fetch_add(1, Ordering::Relaxed),
                false => self.idle.swap(0, Ordering::Relaxed),
            };
            Ok(claimed)
        })
    }

    fn heartbeat<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.prolong(job))
    }

    fn complete<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.end(job))
    }

    fn hand_back<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.untake(job))
    }

    fn fail<'a>(&'a self, job: &'a Leased, error: &'a str, next: Next) -> Answer<'a, bool> {
        Box::pin(self.put_off(job, error, next))
    }

    fn last_fire<'a>(&'a self, schedule: &'a str) -> Answer<'a, Option<i64>> {
        Box::pin(self.fired_last(schedule))
    }

    fn first_seen<'a>(&'a self, at: FireAt<'a>) -> Answer<'a, ()> {
        Box::pin(self.note_seen(at))
    }

    fn fire<'a>(&'a self, at: FireAt<'a>, job: &'a NewJob) -> Answer<'a, Fired> {
        Box::pin(self.fire_once(at, job))
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        Box::pin(self.count())
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<JobRecord>> {
        Box::pin(self.records(filter))
    }

    fn find<'a>(&'a self, id: &'a str) -> Answer<'a, Option<JobRecord>> {
        Box::pin(self.found(id))
    }

    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a, Retried> {
        Box::pin(self.take_up(id))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(self.drop_job(id))
    }

    fn attend<'a>(
        &'a self,
        _kinds: &'a [&'static str],
        wake: &'a (dyn Fn() + Send + Sync),
    ) -> Answer<'a, ()> {
        Box::pin(self.listen(wake))
    }

    fn rest(&self) -> Duration {
        if is_postgres(&self.sql) {
            return REST_NOTIFIED;
        }
        let doublings = self.idle.load(Ordering::Relaxed).min(8);
        REST_LEAST.saturating_mul(1 << doublings).min(REST_MOST)
    }
}

impl SqlStore {
    /// Waits for notifications. A database without them stays silent.
    #[cfg(feature = "postgres")]
    async fn listen(&self, wake: &(dyn Fn() + Send + Sync)) -> Result<(), StoreError> {
        let Some(pool) = self.sql.postgres() else { return std::future::pending().await };
        let driver = |error: sqlx::Error| StoreError::Away(error.into());
        let mut listener = sqlx::postgres::PgListener::connect_with(pool).await.map_err(driver)?;
        listener.listen("updraft_jobs").await.map_err(driver)?;
        // What came before was not heard.
        wake();
        loop {
            // `None`: the connection was lost, and there is a new one; some may be missed.
            match listener.try_recv().await.map_err(driver)? {
                Some(notification) if notification.payload() != self.rules.name => {}
                _ => wake(),
            }
        }
    }

    #[cfg(not(feature = "postgres"))]
    async fn listen(&self, _wake: &(dyn Fn() + Send + Sync)) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

/// What a database says, as a queue says it.
pub(super) fn wrong(error: SqlError) -> StoreError {
    let away = error.is_unavailable() || error.is_retryable();
    if away { StoreError::Away(error.into()) } else { StoreError::Refused(error.into()) }
}
