//! The outbox: jobs that are enqueued in a transaction of the service's database while the
//! queue is elsewhere. A row is written with the transaction, and relayed after its commit:
//! in order, at least once, by one process at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::record::{NewJob, Pushed, millis, now_ms};
use super::store::{Rules, Store, StoreError};
use super::{JobFamilies, bounded};
use crate::sql::{Sql, SqlError, Transaction, query};
use crate::{BoxError, Stop};

/// Rows that are relayed in one go.
const BATCH: i64 = 100;

/// How long one process relays without saying that it still does.
const LEASE: Duration = Duration::from_secs(10);

/// From one look into an empty outbox to the next; a row that this process writes is looked
/// for at once.
const REST: Duration = Duration::from_millis(200);

/// A transaction is committed some time after its row was written: so long it is looked for
/// often.
const EXPECTED: Duration = Duration::from_millis(20);

/// Looks for a row that this process has just written.
const EXPECTED_LOOKS: u32 = 10;

/// After trouble, or while the queue is full.
const TROUBLE: Duration = Duration::from_secs(1);

const WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM updraft_outbox
    WHERE queue = $1 LIMIT $2) AS waiting";

const INSERT: &str = "INSERT INTO updraft_outbox (queue, id, job, enqueued_at_ms)
    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

const NEXT: &str = "SELECT seq, job, enqueued_at_ms FROM updraft_outbox
    WHERE queue = $1 AND $3 < seq ORDER BY seq LIMIT $2";

const DELETE: &str = "DELETE FROM updraft_outbox WHERE seq = $1";

const ACQUIRE: &str = "INSERT INTO updraft_outbox_lease (queue, token, until_ms)
    VALUES ($1, $2, $3)
    ON CONFLICT (queue) DO UPDATE SET token = excluded.token, until_ms = excluded.until_ms
    WHERE updraft_outbox_lease.token = excluded.token OR updraft_outbox_lease.until_ms <= $4";

/// The outbox of one queue.
#[derive(Clone)]
pub(super) struct Outbox {
    sql: Sql,
    rules: Rules,
    written: Arc<Notify>,
}

impl Outbox {
    pub(super) fn new(sql: Sql, rules: Rules) -> Self {
        Self { sql, rules, written: Arc::new(Notify::new()) }
    }

    /// Writes the job's row.
    pub(super) async fn insert(
        &self,
        transaction: &mut Transaction,
        job: &NewJob,
    ) -> Result<Pushed, StoreError> {
        let name = self.rules.name.as_str();
        let most = i64::from(self.rules.max_waiting);
        let waiting: i64 = query(WAITING)
            .bind(name)
            .bind(most)
            .fetch_one(&mut *transaction)
            .await
            .map_err(super::sql::wrong)?;
        if most <= waiting {
            return Ok(Pushed::Full);
        }
        let text = serde_json::to_string(job).map_err(|error| StoreError::Refused(error.into()))?;
        let inserted = query(INSERT)
            .bind(name)
            .bind(job.id.as_str())
            .bind(text.as_str())
            .bind(job.enqueued_ms)
            .execute(&mut *transaction)
            .await
            .map_err(super::sql::wrong)?;
        self.written.notify_one();
        Ok(if inserted == 1 { Pushed::New } else { Pushed::Duplicate(job.id.clone()) })
    }

    /// Relays until the process ends.
    pub(super) async fn relay(
        self,
        store: Arc<dyn Store>,
        families: Arc<JobFamilies>,
        stop: Stop,
    ) -> Result<(), BoxError> {
        let relay = Relay::new(self, store, families);
        let mut looks = 0;
        while !stop.is_requested() {
            let rest = match relay.turn().await {
                Ok(Turn::More) => continue,
                Ok(Turn::Empty) if 0 < looks => {
                    looks -= 1;
                    EXPECTED
                }
                Ok(Turn::Empty | Turn::Others) => REST,
                Ok(Turn::Full) => TROUBLE,
                Err(error) => {
                    let error = &*error as &dyn std::error::Error;
                    tracing::error!(error, "cannot relay jobs from the outbox");
                    TROUBLE
                }
            };
            relay.begin_anew();
            tokio::select! {
                () = stop.requested() => {}
                () = relay.outbox.written.notified() => looks = EXPECTED_LOOKS,
                () = tokio::time::sleep(rest) => {}
            }
        }
        // What is committed by now is not left to the next process.
        relay.begin_anew();
        while let Ok(Turn::More) = relay.turn().await {}
        relay.give_up_lease().await?;
        Ok(())
    }
}

#[cfg(feature = "testing")]
impl Outbox {
    /// Relays what is committed, and no more.
    pub(super) async fn relay_now(
        self,
        store: Arc<dyn Store>,
        families: Arc<JobFamilies>,
    ) -> Result<(), BoxError> {
        let relay = Relay::new(self, store, families);
        while let Turn::More = relay.turn().await? {}
        Ok(relay.give_up_lease().await?)
    }
}

/// What came of one look into the outbox.
enum Turn {
    More,
    Empty,
    /// Another process relays.
    Others,
    /// The queue takes no more, or nothing of what is there.
    Full,
}

struct Relay {
    outbox: Outbox,
    store: Arc<dyn Store>,
    families: Arc<JobFamilies>,
    token: String,
    /// The last row of those that were all refused: what is behind them comes next.
    passed_over: AtomicI64,
}

impl Relay {
    fn new(outbox: Outbox, store: Arc<dyn Store>, families: Arc<JobFamilies>) -> Self {
        let (token, passed_over) = (uuid::Uuid::now_v7().to_string(), AtomicI64::new(0));
        Self { outbox, store, families, token, passed_over }
    }

    /// Looks at the first row again: rows may have been committed behind others, and what was
    /// refused may be taken now.
    fn begin_anew(&self) {
        self.passed_over.store(0, Ordering::Relaxed);
    }

    async fn turn(&self) -> Result<Turn, BoxError> {
        let rows = self.next().await?;
        if self.passed_over.load(Ordering::Relaxed) == 0 {
            self.seen(&rows);
        }
        if rows.is_empty() {
            // Those that were passed over are tried again, after a while.
            let all_seen = self.passed_over.swap(0, Ordering::Relaxed) == 0;
            return Ok(if all_seen { Turn::Empty } else { Turn::Full });
        }
        if !self.acquire(LEASE).await? {
            return Ok(Turn::Others);
        }
        // Another process may have relayed them between the look and the lease.
        let mut acquired = Instant::now();
        let rows = self.next().await?;
        let mut moved = rows.is_empty();
        let last = rows.last().map(|(seq, ..)| *seq);
        for (seq, text, _) in rows {
            // A slow queue must not outlast the lease: two processes would relay at once.
            if LEASE / 3 < acquired.elapsed() {
                if !self.acquire(LEASE).await? {
                    return Ok(Turn::Others);
                }
                acquired = Instant::now();
            }
            match self.pass_on(&text).await {
                Ok(Pushed::New | Pushed::Duplicate(_)) => {}
                Ok(Pushed::Full) => return Ok(Turn::Full),
                Err(StoreError::Away(error)) => return Err(error),
                // It will be refused again, and must not hold up what is behind it.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, seq, "the queue refuses a job of the outbox");
                    continue;
                }
            }
            query(DELETE).bind(seq).execute(&self.outbox.sql).await?;
            moved = true;
        }
        if let (Some(last), false) = (last, moved) {
            self.passed_over.store(last, Ordering::Relaxed);
        }
        Ok(Turn::More)
    }

    async fn pass_on(&self, text: &str) -> Result<Pushed, StoreError> {
        let job: NewJob =
            serde_json::from_str(text).map_err(|error| StoreError::Foreign(error.into()))?;
        bounded(self.store.relay(&job)).await
    }

    async fn next(&self) -> Result<Vec<(i64, String, i64)>, SqlError> {
        let name = self.outbox.rules.name.as_str();
        let after = self.passed_over.load(Ordering::Relaxed);
        query(NEXT).bind(name).bind(BATCH).bind(after).fetch_all(&self.outbox.sql).await
    }

    fn seen(&self, rows: &[(i64, String, i64)]) {
        let age = rows.first().map_or(0, |(_, _, at)| now_ms() - at);
        let lag = Duration::from_millis(u64::try_from(age).unwrap_or_default());
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.families.outbox(&self.outbox.rules.name, count, lag);
    }

    /// Whether this process is the one that relays now.
    async fn acquire(&self, span: Duration) -> Result<bool, SqlError> {
        let now = now_ms();
        let acquired = query(ACQUIRE)
            .bind(self.outbox.rules.name.as_str())
            .bind(self.token.as_str())
            .bind(now + millis(span))
            .bind(now)
            .execute(&self.outbox.sql)
            .await?;
        Ok(acquired == 1)
    }

    async fn give_up_lease(&self) -> Result<(), SqlError> {
        let free = "DELETE FROM updraft_outbox_lease WHERE queue = $1 AND token = $2";
        let name = self.outbox.rules.name.as_str();
        query(free).bind(name).bind(self.token.as_str()).execute(&self.outbox.sql).await.map(drop)
    }
}
