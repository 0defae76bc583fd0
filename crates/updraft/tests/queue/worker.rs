//! The laws of workers: what is committed is done, at least once, whoever dies.

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use updraft::{EnqueueError, Enqueued, Job, JobState, QueueCounts};

use crate::fleet::{Fleet, Place, everywhere, everywhere_at_once, runtime};

#[derive(Job, Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

#[derive(Job, Serialize, Deserialize)]
struct Fails;

#[derive(Job, Serialize, Deserialize)]
struct Panics;

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 2)]
struct Poison;

#[derive(Job, Serialize, Deserialize)]
struct Causes {
    commit: bool,
}

/// Of a kind that a worker of this release does not know.
#[derive(Job, Serialize, Deserialize)]
struct OfTheNextRelease;

/// Of the same kind as a note, but none.
#[derive(Job, Serialize, Deserialize)]
#[job(kind = "note")]
struct NoNote {
    pause_ms: String,
}

async fn note(fleet: &Fleet, pause_ms: u64) -> String {
    fleet.queue.push(Note { pause_ms }).await.unwrap().id().to_string()
}

#[test]
fn fifty_killed_workers_lose_no_job() {
    const KILLS: usize = 50;
    /// How many jobs a worker has in hand at once.
    const IN_HAND: usize = 4;
    /// On each kind a part of them.
    const PLACES: [(Place, usize); 4] =
        [(Place::Sqlite, 20), (Place::Postgres, 10), (Place::Redis, 10), (Place::Nats, 10)];
    assert_eq!(PLACES.map(|(_, kills)| kills).iter().sum::<usize>(), KILLS);
    for (place, kills) in PLACES {
        runtime().block_on(async {
            // Many attempts: here workers die more often than jobs may.
            let fleet = Fleet::new(place, "&lease=500ms&max_attempts=1000").await;
            let mut ids = Vec::new();
            let mut workers: Vec<_> = (0..2).map(|_| fleet.start("worker")).collect();
            for _ in 0..kills {
                let mut victim = workers.remove(0);
                // It is killed with work in hand, and finds some however late it starts.
                while !victim.has_said("working") {
                    if fleet.counts().await.waiting < 2 * IN_HAND as u64 {
                        ids.push(note(&fleet, 50).await);
                    }
                }
                victim.kill();
                workers.push(fleet.start("worker"));
            }
            fleet.until("all done", |counts| counts == QueueCounts::default()).await;
            let mut done = fleet.done("note").await;
            let attempts = done.len();
            done.dedup();
            ids.sort();
            assert_eq!(done, ids, "{place:?}");
            // At least once, and again only what was in the hands of the dead.
            assert!(attempts <= ids.len() + kills * IN_HAND, "{place:?}: {attempts}");
        });
    }
}

#[test]
fn several_workers_at_once_do_each_job_once() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "").await;
        let workers: Vec<_> = (0..2).map(|_| fleet.start("worker")).collect();
        let mut ids = Vec::new();
        for _ in 0..60 {
            ids.push(note(&fleet, 1).await);
        }
        fleet.until("all done", |counts| counts == QueueCounts::default()).await;
        ids.sort();
        assert_eq!(fleet.done("note").await, ids);
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
    everywhere_at_once(|place| async move {
        let fleet = Fleet::new(place, "&lease=4s").await;
        let _workers = [fleet.start("worker"), fleet.start("worker")];
        let id = note(&fleet, 9000).await;
        fleet.until("all done", |counts| counts == QueueCounts::default()).await;
        assert_eq!(fleet.done("note").await, [id]);
    });
}

#[test]
fn a_signal_hands_back_what_cannot_be_finished() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "").await;
        let mut worker = fleet.start("worker");
        let long = note(&fleet, 600_000).await;
        note(&fleet, 500).await;
        worker.wait_for("working");
        worker.wait_for("working");
        worker.signal(Signal::TERM);
        assert_eq!(worker.end().0.code(), Some(0));
        // The short one was finished, the long one waits as if it had never been tried.
        assert_eq!(fleet.counts().await, QueueCounts { waiting: 1, ..QueueCounts::default() });
        let job = fleet.queue.find(&long).await.unwrap().unwrap();
        assert_eq!((job.state(), job.attempts()), (JobState::Waiting, 0));
        assert_eq!(fleet.done("note").await.len(), 1);
    });
}

#[test]
fn a_job_that_fails_panics_or_kills_its_workers_is_given_up() {
    everywhere_at_once(|place| async move {
        let fleet = Fleet::new(place, "&max_attempts=2&lease=4s").await;
        let mut worker = fleet.start("worker");
        fleet.queue.push(Fails).await.unwrap();
        fleet.queue.push(Panics).await.unwrap();
        fleet.until("given up", |counts| counts.dead == 2).await;
        // It is the job that failed, not the worker.
        assert!(!worker.is_over());
        let poison = fleet.queue.push(Poison).await.unwrap().id().to_string();
        while fleet.counts().await.dead < 3 {
            if worker.is_over() {
                worker = fleet.start("worker");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for job in fleet.queue.list(Some(JobState::Dead), 10).await.unwrap() {
            let error = job.last_error().unwrap();
            let word = match job.kind() {
                "fails" => "doomed",
                "panics" => "panicked",
                _ => "the worker died",
            };
            assert!(error.contains(word), "{}: {error}", job.kind());
            assert_eq!(job.attempts(), 2);
        }
        let poison = fleet.queue.find(&poison).await.unwrap().unwrap();
        assert_eq!(poison.state(), JobState::Dead);
    });
}

#[test]
fn what_no_attempt_can_read_is_given_up_at_once_and_unknown_kinds_are_left_alone() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "").await;
        let _worker = fleet.start("worker");
        fleet.queue.push(OfTheNextRelease).await.unwrap();
        let wrong = NoNote { pause_ms: "soon".to_owned() };
        let wrong = fleet.queue.push(wrong).await.unwrap().id().to_string();
        fleet.until("given up", |counts| counts.dead == 1).await;
        assert_eq!(fleet.counts().await.waiting, 1);
        assert_eq!(fleet.queue.find(&wrong).await.unwrap().unwrap().attempts(), 1);
    });
}

#[test]
fn a_job_comes_into_being_with_the_transaction_that_causes_it_or_not_at_all() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "").await;
        let _worker = fleet.start("worker");
        for commit in [true, false, true, false] {
            fleet.queue.push(Causes { commit }).await.unwrap();
        }
        let deadline = std::time::Instant::now() + crate::fleet::PATIENCE;
        while fleet.done("note").await.len() < 2 {
            assert!(std::time::Instant::now() < deadline, "{:?}", fleet.counts().await);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        fleet.until("all done", |counts| counts == QueueCounts::default()).await;
        assert_eq!(fleet.done("cause").await.len(), 2);
        assert_eq!(fleet.done("note").await.len(), 2);
    });
}

#[test]
fn a_full_queue_refuses() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "&max_waiting=2").await;
        for _ in 0..2 {
            assert!(matches!(fleet.queue.push(Fails).await, Ok(Enqueued::New(_))));
        }
        let refused = fleet.queue.push(Fails).await;
        assert!(matches!(refused, Err(EnqueueError::Full { max_waiting: 2 })), "{refused:?}");
    });
}
