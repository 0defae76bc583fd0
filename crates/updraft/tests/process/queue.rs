//! The laws of the queue: what is committed is done, at least once, whoever dies.

use std::time::Duration;

use proptest::prelude::*;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use updraft::{EnqueueError, Queue, QueueCounts, QueueError, QueueUrl, Variable};

use crate::support::{PATIENCE, Process};

/// A queue in a fresh folder, as a service and its workers see it.
struct Fixture {
    _folder: TempDir,
    db_url: String,
    jobs_url: String,
    queue: Queue,
}

impl Fixture {
    async fn new(parameters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db_url = format!("sqlite://{}/db.sqlite3", folder.path().display());
        let jobs_url = format!("{db_url}?queue=jobs{parameters}");
        let queue = Queue::open(&QueueUrl::parse(&jobs_url).unwrap()).await.unwrap();
        let fixture = Self { _folder: folder, db_url, jobs_url, queue };
        assert!(fixture.process("migrate").end().0.success());
        fixture
    }

    async fn enqueue(&self, kind: &'static str, payload: serde_json::Value) -> String {
        let mut tx = self.queue.sql().begin().await.unwrap();
        let id = self.queue.enqueue(&mut tx, kind, &payload).await.unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }

    async fn counts(&self) -> QueueCounts {
        self.queue.counts().await.unwrap()
    }

    async fn until(&self, what: &str, wanted: impl Fn(QueueCounts) -> bool) {
        let waiting = async {
            while !wanted(self.counts().await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let counts = tokio::time::timeout(2 * PATIENCE, waiting).await;
        assert!(counts.is_ok(), "never {what}: {:?}", self.counts().await);
    }

    /// What workers wrote down, by job, in the order of its doing.
    async fn done(&self) -> Vec<String> {
        let done = "SELECT job_id FROM done ORDER BY rowid";
        sqlx::query_scalar(done).fetch_all(self.queue.sql().read()).await.unwrap()
    }

    fn process(&self, name: &str) -> Process {
        let (db, jobs) = (self.db_url.as_str(), self.jobs_url.as_str());
        // Jobs in hand have half of the grace to finish.
        let grace = ("SHUTDOWN_GRACE", "4s");
        Process::start(name, &[("DB_URL", db), ("JOBS_URL", jobs), grace])
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn a_killed_worker_loses_nothing() {
    const KILLS: usize = 8;
    /// How many jobs a worker has in hand at once.
    const IN_HAND: usize = 4;
    runtime().block_on(async {
        // Many attempts: here workers die more often than jobs may.
        let fixture = Fixture::new("&lease=500ms&max_attempts=1000").await;
        let mut ids = Vec::new();
        let mut workers: Vec<_> = (0..3).map(|_| fixture.process("worker")).collect();
        for _ in 0..KILLS {
            let mut victim = workers.remove(0);
            // It is killed with work in hand.
            while !victim.has_said("working") {
                ids.push(fixture.enqueue("note", json!({ "pause_ms": 150 })).await);
            }
            victim.kill();
            workers.push(fixture.process("worker"));
        }
        fixture.until("all done", |counts| counts == QueueCounts::default()).await;
        let mut done = fixture.done().await;
        let attempts = done.len();
        done.sort();
        done.dedup();
        ids.sort();
        assert_eq!(done, ids);
        // At least once, and again only what was in the hands of the dead.
        assert!(attempts <= ids.len() + KILLS * IN_HAND, "{attempts}");
    });
}

#[test]
fn several_workers_at_once_do_each_job_once() {
    runtime().block_on(async {
        let fixture = Fixture::new("").await;
        let workers: Vec<_> = (0..3).map(|_| fixture.process("worker")).collect();
        let mut ids = Vec::new();
        for _ in 0..150 {
            ids.push(fixture.enqueue("note", json!({ "pause_ms": 1 })).await);
        }
        fixture.until("all done", |counts| counts == QueueCounts::default()).await;
        let mut done = fixture.done().await;
        done.sort();
        ids.sort();
        assert_eq!(done, ids);
        for worker in &workers {
            worker.signal(Signal::TERM);
        }
        for worker in workers {
            assert_eq!(worker.end().0.code(), Some(0));
        }
    });
}

#[test]
fn a_job_longer_than_its_lease_is_not_done_twice() {
    runtime().block_on(async {
        let fixture = Fixture::new("&lease=500ms").await;
        let _workers = [fixture.process("worker"), fixture.process("worker")];
        let id = fixture.enqueue("note", json!({ "pause_ms": 2500 })).await;
        fixture.until("all done", |counts| counts == QueueCounts::default()).await;
        assert_eq!(fixture.done().await, [id]);
    });
}

#[test]
fn a_signal_hands_back_what_cannot_be_finished() {
    runtime().block_on(async {
        let fixture = Fixture::new("").await;
        let mut worker = fixture.process("worker");
        fixture.enqueue("note", json!({ "pause_ms": 600_000 })).await;
        fixture.enqueue("note", json!({ "pause_ms": 1000 })).await;
        worker.wait_for("working");
        worker.wait_for("working");
        worker.signal(Signal::TERM);
        let (status, _) = worker.end();
        assert_eq!(status.code(), Some(0));
        // The short one was finished, the long one waits as if it had never been tried.
        let wanted = QueueCounts { waiting: 1, ..QueueCounts::default() };
        assert_eq!(fixture.counts().await, wanted);
        let attempts = "SELECT attempts FROM updraft_jobs";
        let attempts: i64 =
            sqlx::query_scalar(attempts).fetch_one(fixture.queue.sql().read()).await.unwrap();
        assert_eq!(attempts, 0);
        assert_eq!(fixture.done().await.len(), 1);
    });
}

#[test]
fn a_job_that_fails_is_tried_again_and_then_given_up() {
    for kind in ["fails", "panics"] {
        runtime().block_on(async {
            let fixture = Fixture::new("&max_attempts=2").await;
            let worker = fixture.process("worker");
            fixture.enqueue(kind, json!(null)).await;
            fixture.until("given up", |counts| counts.dead == 1).await;
            let row = "SELECT attempts, last_error FROM updraft_jobs WHERE state = 'dead'";
            let (attempts, error): (i64, String) =
                sqlx::query_as(row).fetch_one(fixture.queue.sql().read()).await.unwrap();
            assert_eq!(attempts, 2);
            assert!(error.contains("doomed") || error.contains("panicked"), "{error}");
            worker.signal(Signal::TERM);
            // It is the job that failed, not the worker.
            assert_eq!(worker.end().0.code(), Some(0));
        });
    }
}

#[test]
fn what_no_attempt_can_read_is_given_up_at_once_and_unknown_kinds_are_left_alone() {
    runtime().block_on(async {
        let fixture = Fixture::new("").await;
        let _worker = fixture.process("worker");
        fixture.enqueue("of-the-next-release", json!({})).await;
        fixture.enqueue("note", json!({ "pause_ms": "soon" })).await;
        fixture.until("given up", |counts| counts.dead == 1).await;
        assert_eq!(fixture.counts().await.waiting, 1);
    });
}

#[test]
fn a_full_queue_refuses() {
    runtime().block_on(async {
        let fixture = Fixture::new("&max_waiting=2").await;
        fixture.enqueue("note", json!(null)).await;
        fixture.enqueue("note", json!(null)).await;
        let mut tx = fixture.queue.sql().begin().await.unwrap();
        let refused = fixture.queue.enqueue(&mut tx, "note", &json!(null)).await;
        assert!(matches!(refused, Err(EnqueueError::Full { max_waiting: 2 })));
    });
}

#[test]
fn a_queue_elsewhere_cannot_share_transactions() {
    runtime().block_on(async {
        let fixture = Fixture::new("").await;
        let elsewhere = QueueUrl::parse("sqlite:///nowhere/else.db?queue=jobs").unwrap();
        let refused = Queue::within(fixture.queue.sql(), &elsewhere);
        assert!(matches!(refused, Err(QueueError::OtherDatabase)));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A job comes into being with the transaction that causes it, or not at all.
    #[test]
    fn only_what_is_committed_is_enqueued(committed in prop::collection::vec(any::<bool>(), 1..20)) {
        runtime().block_on(async {
            let fixture = Fixture::new("").await;
            for commit in &committed {
                let mut tx = fixture.queue.sql().begin().await.unwrap();
                fixture.queue.enqueue(&mut tx, "note", &json!(null)).await.unwrap();
                if *commit {
                    tx.commit().await.unwrap();
                }
            }
            let wanted = committed.iter().filter(|commit| **commit).count();
            assert_eq!(usize::try_from(fixture.counts().await.waiting).unwrap(), wanted);
        });
    }
}
