//! A queue of jobs: a job is enqueued in the transaction that causes it, leased by one
//! worker at a time, and never lost when a worker dies. Where jobs are kept (SQLite,
//! PostgreSQL, NATS JetStream, Redis) is said by a URL. The tables are described in
//! `docs/reference/queue.md`, for programs in other languages.

mod error;
mod metrics;
#[cfg(feature = "nats")]
mod nats;
mod outbox;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod sql;
mod store;
mod url;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::app::{Field, FieldSpec};
use crate::attachment::{AttachError, Attached, Attaching, Attachment, Location};
use crate::config::{Config, Invalid};
use crate::jobs::{Job, Scheduled};
use crate::metrics::Metrics;
use crate::process::{BoxFuture, Context};
use crate::sql::{Sql, Transaction};
use crate::{BoxError, Migration};

pub use error::{EnqueueError, QueueError};
pub(crate) use metrics::JobFamilies;
pub(crate) use record::{Fired, MOST_URGENT, NORMAL, NewJob, Pushed, Unique, millis, now_ms};
pub use record::{JobRecord, JobState, QueueCounts, Retried};
pub use store::StoreError;
pub(crate) use store::{Filter, FireAt, Store};
pub use url::QueueUrl;
pub use worker::Attempt;
pub(crate) use worker::{Handler, Work, Worker};

use outbox::Outbox;
use sql::SqlStore;
use store::Rules;
use url::Place;

/// How long a store may take for one answer: more than any driver's own bound.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// What came of an enqueueing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// The job is in the queue. Its id.
    New(Uuid),
    /// A job with this id, or a job of this kind with the same unique key, is there already.
    /// Its id.
    Already(Uuid),
}

impl Enqueued {
    /// The id of the job that is in the queue.
    pub fn id(self) -> Uuid {
        match self {
            Self::New(id) | Self::Already(id) => id,
        }
    }

    /// Whether this call put it there.
    pub fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }
}

/// A queue of jobs. Clones are the same queue.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use updraft::{App, BoxError, Ctx, Job, Queue, Sql};
///
/// #[derive(App)]
/// struct Invoices {
///     /// The invoices
///     db: Sql, // DB_URL
///     /// Work on invoices, in the same database
///     #[env(default = "same:db")]
///     jobs: Queue, // JOBS_URL
/// }
///
/// #[derive(Job, Serialize, Deserialize)]
/// struct Remind {
///     invoice: u64,
/// }
///
/// async fn bill(app: Ctx<Invoices>) -> Result<(), BoxError> {
///     let mut tx = app.db.begin().await?;
///     // … what causes the job, in the same transaction …
///     app.jobs.enqueue(&mut tx, Remind { invoice: 7 }).await?;
///     tx.commit().await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    rules: Rules,
    /// How a job gets in within a transaction.
    way: Way,
    /// Calls workers of this process.
    wake: Notify,
}

/// How a job gets into the queue within a transaction of the service's database.
enum Way {
    /// The queue is in that database.
    Same(Arc<SqlStore>),
    /// By a row there, which is relayed after the commit.
    Outbox(Outbox),
    /// There is no such database.
    None,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Queue {
    /// Makes the tables of queues, outbox and schedules; it belongs into the service's list
    /// of migrations.
    pub const MIGRATION: Migration = sql::MIGRATION;

    /// The queue in this database.
    pub fn within(sql: &Sql, name: &str) -> Self {
        let rules = Rules { name: name.to_owned(), ..Rules::default() };
        Self::of_sql(sql, rules)
    }

    fn of_sql(sql: &Sql, rules: Rules) -> Self {
        let store = Arc::new(SqlStore::new(sql.clone(), rules.clone()));
        Self::new(Arc::clone(&store) as Arc<dyn Store>, rules, Way::Same(store))
    }

    fn new(store: Arc<dyn Store>, rules: Rules, way: Way) -> Self {
        let inner = Inner { store, rules, way, wake: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The queue at `url`, without a database whose transactions it could share: for a
    /// program that only uses [`Queue::push`] and looks at jobs.
    ///
    /// # Errors
    ///
    /// [`QueueError`]; a store that is away is none.
    pub async fn open(url: &QueueUrl) -> Result<Self, QueueError> {
        let QueueUrl { place, rules, .. } = url.clone();
        match place {
            Place::Sql(url) => {
                let sql = url.open().await.map_err(|error| QueueError::Open(error.into()))?;
                Ok(Self::of_sql(&sql, rules))
            }
            Place::Same(field) => Err(QueueError::NoSuchDatabase { field }),
            place => Ok(Self::new(store_at(place, &rules).await?, rules, Way::None)),
        }
    }

    /// Its name, which tells queues in the same store apart.
    pub fn name(&self) -> &str {
        &self.inner.rules.name
    }

    /// Enqueues a job within the caller's transaction: with its commit the job comes into
    /// being, or does not. Where the queue is elsewhere than that database, the job is a row
    /// of `updraft_outbox` until it is relayed, at once after the commit.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`]; the transaction should then be dropped.
    pub async fn enqueue<J: Job>(
        &self,
        transaction: &mut Transaction,
        job: impl Into<Scheduled<J>>,
    ) -> Result<Enqueued, EnqueueError> {
        let job = job.into().into_new(self.inner.rules.max_attempts)?;
        let pushed = match &self.inner.way {
            Way::Same(store) => store.insert(transaction, &job).await,
            Way::Outbox(outbox) => outbox.insert(transaction, &job).await,
            Way::None => return Err(EnqueueError::NoTransactions { kind: J::KIND }),
        };
        self.told::<J>(&job, pushed)
    }

    /// Enqueues a job that no transaction causes. When this returns, the job is kept.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`]. When the store was away ([`EnqueueError::is_temporary`]), the job may
    /// be there all the same: push it again with the same [`Scheduled::id`].
    pub async fn push<J: Job>(
        &self,
        job: impl Into<Scheduled<J>>,
    ) -> Result<Enqueued, EnqueueError> {
        let job = job.into().into_new(self.inner.rules.max_attempts)?;
        let pushed = bounded(self.inner.store.push(&job)).await;
        self.told::<J>(&job, pushed)
    }

    fn told<J: Job>(
        &self,
        job: &NewJob,
        pushed: Result<Pushed, StoreError>,
    ) -> Result<Enqueued, EnqueueError> {
        let kind = J::KIND;
        let store = |source| EnqueueError::Store { kind, source };
        let id = |text: &str| {
            Uuid::parse_str(text).map_err(|error| store(StoreError::Foreign(error.into())))
        };
        match pushed.map_err(store)? {
            Pushed::New => {
                self.inner.wake.notify_one();
                Ok(Enqueued::New(id(&job.id)?))
            }
            Pushed::Duplicate(there) => Ok(Enqueued::Already(id(&there)?)),
            Pushed::Full => Err(EnqueueError::Full { max_waiting: self.inner.rules.max_waiting }),
        }
    }

    /// How many jobs of this queue are in which state.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn counts(&self) -> Result<QueueCounts, StoreError> {
        bounded(self.inner.store.counts()).await
    }

    /// The jobs in this state, or in any: the oldest first, at most `most`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list(
        &self,
        state: Option<JobState>,
        most: usize,
    ) -> Result<Vec<JobRecord>, StoreError> {
        bounded(self.inner.store.list(Filter { state, most })).await
    }

    /// The job of this id, unless it is done.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        bounded(self.inner.store.find(id)).await
    }

    /// Takes a dead job up again, with all its attempts before it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn retry(&self, id: &str) -> Result<Retried, StoreError> {
        let retried = bounded(self.inner.store.retry(id)).await;
        self.inner.wake.notify_one();
        retried
    }

    /// Removes a job that no worker holds; `false`: there is none of this id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        bounded(self.inner.store.remove(id)).await
    }

    /// Starts to relay what is committed in the outbox, where the queue has one.
    pub(crate) fn relay(&self, context: &Context, metrics: &Metrics) {
        if let Way::Outbox(outbox) = &self.inner.way {
            let store = Arc::clone(&self.inner.store);
            let families = metrics.families::<JobFamilies>();
            context.run("outbox", outbox.clone().relay(store, families, context.stop()));
        }
    }

    /// Relays what is committed in the outbox, where the queue has one, and no more.
    #[cfg(feature = "testing")]
    pub(crate) async fn relay_now(&self, metrics: &Metrics) -> Result<(), BoxError> {
        if let Way::Outbox(outbox) = &self.inner.way {
            let families = metrics.families::<JobFamilies>();
            outbox.clone().relay_now(Arc::clone(&self.inner.store), families).await?;
        }
        Ok(())
    }

    /// The relay of the outbox; of a queue without one, nothing.
    #[cfg(test)]
    async fn relay_for_test(self, stop: crate::Stop) {
        if let Way::Outbox(outbox) = &self.inner.way {
            let families = Metrics::default().families::<JobFamilies>();
            let relay = outbox.clone().relay(Arc::clone(&self.inner.store), families, stop);
            drop(relay.await);
        }
    }

    #[cfg(test)]
    fn database_for_test(&self) -> Option<Sql> {
        match &self.inner.way {
            Way::Same(store) => Some(store.sql().clone()),
            Way::Outbox(_) | Way::None => None,
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    pub(crate) fn wake(&self) -> &Notify {
        &self.inner.wake
    }

    pub(crate) fn max_attempts(&self) -> u32 {
        self.inner.rules.max_attempts
    }

    pub(crate) fn lease(&self) -> Duration {
        self.inner.rules.lease
    }
}

/// An answer within its time.
pub(crate) async fn bounded<T>(answer: store::Answer<'_, T>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_TIME, answer).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(StoreError::Away(elapsed.into())),
    }
}

/// A store that is no database of SQL.
async fn store_at(place: Place, rules: &Rules) -> Result<Arc<dyn Store>, QueueError> {
    match place {
        #[cfg(feature = "nats")]
        Place::Nats(url) => Ok(Arc::new(nats::NatsStore::open(&url, rules.clone()).await?)),
        #[cfg(not(feature = "nats"))]
        Place::Nats(_) => Err(QueueError::NotCompiled { kind: "NATS", feature: "nats" }),
        #[cfg(feature = "redis")]
        Place::Redis(url) => Ok(Arc::new(redis::RedisStore::open(&url, rules.clone())?)),
        #[cfg(not(feature = "redis"))]
        Place::Redis(_) => Err(QueueError::NotCompiled { kind: "Redis", feature: "redis" }),
        Place::Same(field) => Err(QueueError::NoSuchDatabase { field }),
        Place::Sql(url) => {
            let sql = url.open().await.map_err(|error| QueueError::Open(error.into()))?;
            Ok(Arc::new(SqlStore::new(sql, rules.clone())))
        }
    }
}

impl Field for Queue {
    type Parsed = QueueUrl;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<QueueUrl, Invalid> {
        config.field(spec.url, spec)
    }

    async fn attach(
        parsed: QueueUrl,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        let wrong = |error: QueueError| AttachError::new(spec.url, error);
        let queue = attach(parsed, attaching).await.map_err(wrong)?;
        attaching.add(Attached {
            name: spec.field,
            variable: spec.url,
            attachment: Arc::new(queue.clone()),
        });
        attaching.add_queue(spec.field, queue.clone());
        Ok(queue)
    }
}

async fn attach(url: QueueUrl, attaching: &Attaching) -> Result<Queue, QueueError> {
    let QueueUrl { place, rules, outbox } = url;
    let database = attaching.sql(outbox.as_deref());
    if let (Some(named), None) = (&outbox, &database) {
        return Err(QueueError::NoSuchDatabase { field: named.clone() });
    }
    let place = match place {
        Place::Same(named) => {
            let Some(sql) = attaching.sql(Some(&named)) else {
                return Err(QueueError::NoSuchDatabase { field: named });
            };
            return Ok(Queue::of_sql(&sql, rules));
        }
        Place::Sql(url) => match &database {
            // Two URLs of one database: its transactions are the queue's.
            Some(sql) if sql.url().is_same_database(&url) => {
                return Ok(Queue::of_sql(sql, rules));
            }
            _ => Place::Sql(url),
        },
        place => place,
    };
    let store = store_at(place, &rules).await?;
    let way = match database {
        Some(sql) => Way::Outbox(Outbox::new(sql, rules.clone())),
        None => Way::None,
    };
    Ok(Queue::new(store, rules, way))
}

impl Attachment for Queue {
    fn location(&self) -> Location {
        self.inner.store.location()
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let store = Arc::clone(&self.inner.store);
        Box::pin(async move { Ok(bounded(store.check()).await?) })
    }
}

#[cfg(all(feature = "testing", feature = "postgres", feature = "redis", feature = "nats"))]
#[cfg(test)]
#[path = "queue/conformance_tests.rs"]
mod conformance;
