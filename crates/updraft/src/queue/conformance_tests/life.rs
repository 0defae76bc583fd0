//! The life of a job: enqueued, leased, done, failed, dead.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::bench::{Bench, Kind, Note, PATIENCE, job};
use crate::metrics::Metrics;
use crate::queue::record::{Next, Pushed, now_ms};
use crate::queue::{Enqueued, JobState, NewJob, QueueCounts, Retried};

on_every_kind!(
    only_what_is_committed_is_enqueued,
    what_waits_in_the_outbox_is_told_with_its_age,
    all_of_a_job_comes_through,
    each_job_is_held_by_one_worker,
    a_lease_that_is_over_goes_to_another_and_the_first_has_nothing_to_say_any_more,
    a_heartbeat_makes_the_lease_longer,
    a_failed_job_comes_again_with_its_error,
    a_dead_job_is_kept_taken_up_again_or_removed,
    a_job_that_is_handed_back_was_never_taken,
    a_job_whose_workers_die_at_each_attempt_is_given_up,
    who_listens_is_told,
);

async fn only_what_is_committed_is_enqueued(bench: Bench) {
    let one = bench.queue("queue=q").await;
    // What cannot be relayed holds nothing up.
    let unreadable = "INSERT INTO updraft_outbox (queue, id, job, enqueued_at_ms)
        VALUES ('q', $1, '{}', 0)";
    for number in 0..101 {
        let id = format!("unreadable-{number}");
        crate::sql::query(unreadable).bind(id).execute(&bench.sql).await.unwrap();
    }
    let stopping = crate::drain::Drain::new(PATIENCE);
    let relaying = tokio::spawn(one.queue.clone().relay_for_test(stopping.stop()));
    for commit in [false, true, false, true] {
        let mut tx = bench.sql.begin().await.unwrap();
        let note = Note { text: commit.to_string() };
        one.queue.enqueue(&mut tx, note).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
    for _ in 0..2 {
        let claimed = one.claim().await;
        assert!(claimed.job.payload.contains("true"), "{:?}", claimed.job);
        assert!(one.store().complete(&claimed).await.unwrap());
    }
    one.claims_nothing().await;
    stopping.advance(crate::drain::Phase::Draining);
    relaying.await.unwrap();
}

async fn what_waits_in_the_outbox_is_told_with_its_age(bench: Bench) {
    if matches!(bench.kind, Kind::Sqlite | Kind::Postgres) {
        return;
    }
    let one = bench.queue("queue=q").await;
    let unreadable = "INSERT INTO updraft_outbox (queue, id, job, enqueued_at_ms)
        VALUES ('q', $1, '{}', $2)";
    for (id, minutes_ago) in [("older", 10), ("newer", 5)] {
        let at = now_ms() - minutes_ago * 60_000;
        crate::sql::query(unreadable).bind(id).bind(at).execute(&bench.sql).await.unwrap();
    }
    let metrics = Metrics::default();
    let told = |name| crate::testing::metrics::sum(&metrics.encode().unwrap(), name, &[]).unwrap();
    for (gone, rows, lag) in [("none", 2.0, 600.0), ("older", 1.0, 300.0), ("newer", 0.0, 0.0)] {
        let remove = "DELETE FROM updraft_outbox WHERE id = $1";
        crate::sql::query(remove).bind(gone).execute(&bench.sql).await.unwrap();
        one.queue.relay_now(&metrics).await.unwrap();
        let (found, age) = (told("updraft_outbox_rows"), told("updraft_outbox_lag_seconds"));
        assert_eq!(found, rows, "{gone}");
        assert!((lag..lag + PATIENCE.as_secs_f64()).contains(&age), "{gone}: {age}");
    }
}

async fn all_of_a_job_comes_through(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let text = "\"ünï\\cødé\"\n\u{1F680} ".repeat(5000);
    let sent = NewJob {
        payload: serde_json::to_string(&text).unwrap(),
        priority: 9,
        max_attempts: 77,
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        deadline_ms: Some(now_ms() + 1_000_000),
        ..job("note")
    };
    one.push(&sent).await;
    let claimed = one.claim().await;
    assert_eq!(claimed.job, sent);
    assert_eq!(claimed.attempts, 1);
    let record = one.queue.find(&sent.id).await.unwrap().unwrap();
    assert_eq!((record.state(), record.payload()), (JobState::Leased, sent.payload.as_str()));
    assert!(one.store().complete(&claimed).await.unwrap());
    assert_eq!(one.queue.find(&sent.id).await.unwrap(), None);
}

async fn each_job_is_held_by_one_worker(bench: Bench) {
    let (one, two) = (bench.queue("queue=q").await, bench.queue("queue=q").await);
    let mut sent = BTreeSet::new();
    for _ in 0..24 {
        let job = job("note");
        one.push(&job).await;
        sent.insert(job.id);
    }
    let settled = AtomicUsize::new(0);
    let work = async |worker: &super::bench::Bound| {
        let mut done = Vec::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while settled.load(Ordering::Relaxed) < sent.len() {
            assert!(std::time::Instant::now() < deadline);
            // The other one runs on the same task.
            tokio::time::sleep(Duration::from_millis(1)).await;
            for job in worker.store().claim(super::bench::KINDS, 3).await.unwrap().jobs {
                assert!(worker.store().complete(&job).await.unwrap());
                settled.fetch_add(1, Ordering::Relaxed);
                done.push(job.job.id);
            }
        }
        done
    };
    let (first, second) = tokio::join!(work(&one), work(&two));
    let all: Vec<_> = first.into_iter().chain(second).collect();
    assert_eq!(one.queue.counts().await.unwrap(), QueueCounts::default());
    assert_eq!(all.len(), sent.len(), "some were held twice, or lost");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), sent);
}

async fn a_lease_that_is_over_goes_to_another_and_the_first_has_nothing_to_say_any_more(
    bench: Bench,
) {
    let one = bench.queue("queue=q&lease=500ms").await;
    let two = bench.queue("queue=q&lease=60s").await;
    one.push(&job("note")).await;
    let dead = one.claim().await;
    let again = two.claim().await;
    assert_eq!((&again.job.id, again.attempts), (&dead.job.id, 2));
    assert!(!one.store().heartbeat(&dead).await.unwrap());
    assert!(!one.store().fail(&dead, "late", Next::Dead).await.unwrap());
    assert!(!one.store().hand_back(&dead).await.unwrap());
    assert!(!one.store().complete(&dead).await.unwrap());
    assert!(two.store().complete(&again).await.unwrap());
    one.claims_nothing().await;
}

async fn a_heartbeat_makes_the_lease_longer(bench: Bench) {
    let one = bench.queue("queue=q&lease=60s").await;
    let sent = job("note");
    one.push(&sent).await;
    let claimed = one.claim().await;
    let end = one.queue.find(&sent.id).await.unwrap().unwrap().at_ms;
    let moved = async {
        while one.queue.find(&sent.id).await.unwrap().unwrap().at_ms == end {
            assert!(one.store().heartbeat(&claimed).await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.unwrap();
    assert!(end < one.queue.find(&sent.id).await.unwrap().unwrap().at_ms);
    assert!(one.store().complete(&claimed).await.unwrap());
    assert!(!one.store().complete(&claimed).await.unwrap());
}

async fn a_failed_job_comes_again_with_its_error(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let sent = job("note");
    one.push(&sent).await;
    for attempts in 1..=3 {
        let claimed = one.claim().await;
        assert_eq!(claimed.attempts, attempts);
        let failed_at = now_ms();
        let next = Next::Again { after_ms: 100 };
        assert!(one.store().fail(&claimed, "no luck", next).await.unwrap());
        let record = one.queue.find(&sent.id).await.unwrap().unwrap();
        assert_eq!((record.state(), record.last_error()), (JobState::Waiting, Some("no luck")));
        assert!(failed_at + 90 <= record.at_ms, "{} {failed_at}", record.at_ms);
    }
}

async fn a_dead_job_is_kept_taken_up_again_or_removed(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let sent = job("note");
    one.push(&sent).await;
    let claimed = one.claim().await;
    assert!(!one.queue.remove(&sent.id).await.unwrap(), "a worker holds it");
    assert_eq!(one.queue.retry(&sent.id).await.unwrap(), Retried::NotDead);
    assert!(one.store().fail(&claimed, "hopeless", Next::Dead).await.unwrap());
    let counts = one.queue.counts().await.unwrap();
    assert_eq!(counts, QueueCounts { dead: 1, ..QueueCounts::default() });
    one.claims_nothing().await;
    let dead = one.queue.list(Some(JobState::Dead), 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id(), dead[0].last_error()), (sent.id.as_str(), Some("hopeless")));

    assert_eq!(one.queue.retry(&sent.id).await.unwrap(), Retried::Waiting);
    let again = one.claim().await;
    assert_eq!((&again.job.id, again.attempts), (&sent.id, 1));
    assert!(one.store().fail(&again, "hopeless", Next::Dead).await.unwrap());
    assert!(one.queue.remove(&sent.id).await.unwrap());
    assert!(!one.queue.remove(&sent.id).await.unwrap());
    assert_eq!(one.queue.find(&sent.id).await.unwrap(), None);
    assert_eq!(one.queue.counts().await.unwrap(), QueueCounts::default());
}

async fn a_job_that_is_handed_back_was_never_taken(bench: Bench) {
    let one = bench.queue("queue=q").await;
    one.push(&job("note")).await;
    for _ in 0..2 {
        let claimed = one.claim().await;
        assert_eq!(claimed.attempts, 1);
        assert!(one.store().hand_back(&claimed).await.unwrap());
    }
    let counts = one.queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.leased), (1, 0));
}

async fn a_job_whose_workers_die_at_each_attempt_is_given_up(bench: Bench) {
    let one = bench.queue("queue=q&lease=500ms").await;
    let sent = NewJob { max_attempts: 2, ..job("note") };
    one.push(&sent).await;
    for attempts in 1..=2 {
        // Its worker dies: nothing more is heard of it.
        assert_eq!(one.claim().await.attempts, attempts);
    }
    let mut buried = 0;
    let deadline = std::time::Instant::now() + PATIENCE;
    while buried == 0 {
        assert!(std::time::Instant::now() < deadline);
        let claimed = one.store().claim(super::bench::KINDS, 1).await.unwrap();
        assert!(claimed.jobs.is_empty(), "{claimed:?}");
        buried = claimed.buried;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let record = one.queue.find(&sent.id).await.unwrap().unwrap();
    assert_eq!((record.state(), record.last_error()), (JobState::Dead, Some("the worker died")));
}

async fn who_listens_is_told(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let other = bench.queue("queue=q").await;
    if bench.kind == super::bench::Kind::Sqlite {
        // A file tells nobody; but within a process a worker is called.
        let woken = one.queue.wake().notified();
        one.queue.push(Note { text: "x".to_owned() }).await.unwrap();
        tokio::time::timeout(PATIENCE, woken).await.unwrap();
        return;
    }
    let mut told = 0;
    let listening = async {
        // Until the listener is there, a push may not be heard: the second is.
        while told < 3 {
            assert!(matches!(other.push(&job("note")).await, Pushed::New));
            let heard = tokio::time::timeout(Duration::from_millis(500), one.woken.acquire());
            if let Ok(Ok(permit)) = heard.await {
                permit.forget();
                told += 1;
            }
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.unwrap();
    let pushed = one.queue.push(Note { text: "x".to_owned() }).await.unwrap();
    assert!(matches!(pushed, Enqueued::New(_)));
}
