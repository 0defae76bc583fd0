//! A queue of each kind on a real server, and what the laws do with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::jobs::{Job, JobPolicy};
use crate::queue::outbox::Outbox;
use crate::queue::record::{Leased, NewJob, now_ms};
use crate::queue::store::Store;
use crate::queue::url::Place;
use crate::queue::{Queue, QueueUrl, Way, store_at};
use crate::sql::{Sql, SqlUrl};
use crate::testing::{Database, Server};
use crate::{Variable as _, testing};

/// How long a law waits for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds that the workers of the laws know.
pub(super) const KINDS: &[&str] = &["other", "note"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    Redis,
    Nats,
}

impl Kind {
    fn server(self) -> Option<testing::server::Kind> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(testing::server::Kind::Postgres),
            Self::Redis => Some(testing::server::Kind::Redis),
            Self::Nats => Some(testing::server::Kind::Nats),
        }
    }
}

/// Runs a law on a queue of this kind.
pub(super) fn run<F: Future<Output = ()>>(kind: Kind, law: impl Fn(Bench) -> F) {
    let database = kind.server().map(|kind| Server::shared(kind).unwrap().database().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/db.sqlite3", folder.path().display());
    let url = database.as_ref().map_or_else(|| file.clone(), Database::url);
    runtime().block_on(async {
        let db = if kind == Kind::Postgres { url.clone() } else { file };
        let sql = SqlUrl::parse(&db).unwrap().open().await.unwrap();
        sql.migrate(&[Queue::MIGRATION]).await.unwrap();
        law(Bench { kind, url, sql, _folder: folder }).await;
    });
    drop(database);
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(super) struct Bench {
    pub(super) kind: Kind,
    pub(super) url: String,
    /// The service's database.
    pub(super) sql: Sql,
    pub(super) _folder: TempDir,
}

impl Bench {
    /// A queue as one process sees it.
    pub(super) async fn queue(&self, parameters: &str) -> Bound {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{parameters}", self.url);
        let QueueUrl { place, rules, .. } = QueueUrl::parse(&url).unwrap();
        let queue = match place {
            Place::Sql(_) => Queue::of_sql(&self.sql, rules),
            place => {
                let store = store_at(place, &rules).await.unwrap();
                let outbox = Outbox::new(self.sql.clone(), rules.clone());
                Queue::new(store, rules, Way::Outbox(outbox))
            }
        };
        Bound::new(queue)
    }
}

/// A queue with somebody who listens, as in a worker.
pub(super) struct Bound {
    pub(super) queue: Queue,
    pub(super) woken: Arc<tokio::sync::Semaphore>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Bound {
    pub(super) fn new(queue: Queue) -> Self {
        let woken = Arc::new(tokio::sync::Semaphore::new(0));
        let listening = tokio::spawn({
            let (queue, woken) = (queue.clone(), Arc::clone(&woken));
            async move {
                loop {
                    drop(queue.store().attend(KINDS, &|| woken.add_permits(1)).await);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        Self { queue, woken, listening }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.queue.store()
    }

    pub(super) async fn push(&self, job: &NewJob) -> super::super::Pushed {
        self.store().push(job).await.unwrap()
    }

    /// The next job, as soon as there is one.
    pub(super) async fn claim(&self) -> Leased {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let claimed = self.store().claim(KINDS, 1).await.unwrap();
            if let Some(job) = claimed.jobs.into_iter().next() {
                return job;
            }
            assert!(Instant::now() < deadline, "no job is due: {:?}", self.queue.counts().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Nothing is due but a job that is pushed now.
    pub(super) async fn claims_nothing(&self) {
        let last = NewJob { priority: 0, ..job("other") };
        self.push(&last).await;
        let claimed = self.claim().await;
        assert_eq!(claimed.job.id, last.id, "{:?}", claimed.job);
        assert!(self.store().complete(&claimed).await.unwrap());
    }
}

/// A job that is due now.
pub(super) fn job(kind: &str) -> NewJob {
    NewJob {
        id: uuid::Uuid::now_v7().to_string(),
        kind: kind.to_owned(),
        payload: "{}".to_owned(),
        priority: 5,
        max_attempts: 3,
        due_ms: now_ms(),
        enqueued_ms: now_ms(),
        unique: None,
        trace: None,
        deadline_ms: None,
    }
}

/// What the laws enqueue by the public way.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Note {
    pub(super) text: String,
}

impl Job for Note {
    const KIND: &'static str = "note";
    const POLICY: JobPolicy = JobPolicy { attempts: Some(2), ..JobPolicy::DEFAULT };

    fn unique(&self) -> Option<String> {
        self.text.strip_prefix("unique ").map(ToOwned::to_owned)
    }
}
