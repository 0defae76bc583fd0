//! What decides whether, when and in which order jobs are done.

use std::time::Duration;

use super::bench::{Bench, Bound, KINDS, Kind, Note, job};
use crate::jobs::Job as _;
use crate::queue::record::{Fired, JobState, Next, Pushed, Unique, now_ms};
use crate::queue::{EnqueueError, Enqueued, Filter, FireAt, NewJob, Retried};
use crate::sql::query;

on_every_kind!(
    a_unique_job_is_there_once_while_it_waits_or_runs,
    a_unique_key_is_held_for_its_time,
    the_unique_key_of_a_dead_job_is_free,
    the_same_id_is_the_same_job,
    the_most_urgent_is_first_and_of_these_the_oldest,
    no_job_comes_before_its_time,
    only_known_kinds_are_claimed,
    queues_of_other_names_are_others,
    a_key_that_is_held_no_longer_leaves_no_row,
    a_full_queue_refuses_and_takes_again_when_there_is_room,
    two_schedulers_fire_once,
    a_run_that_is_not_done_leaves_the_next_out,
    jobs_are_listed_the_oldest_first,
);

fn unique(key: &str, for_ms: Option<i64>) -> NewJob {
    let until_ms = for_ms.map(|span| now_ms() + span);
    NewJob { unique: Some(Unique { key: key.to_owned(), until_ms }), ..job("note") }
}

async fn a_unique_job_is_there_once_while_it_waits_or_runs(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let first = one.queue.push(Note { text: "unique a".to_owned() }).await.unwrap();
    assert!(first.is_new());
    let again = one.queue.push(Note { text: "unique a".to_owned() }).await.unwrap();
    assert_eq!(again, Enqueued::Already(first.id()));
    assert!(one.queue.push(Note { text: "unique b".to_owned() }).await.unwrap().is_new());
    let other = NewJob { kind: "other".to_owned(), ..unique("a", None) };
    assert_eq!(one.push(&other).await, Pushed::New, "the key is of another kind");
    let mut claimed = one.claim().await;
    while claimed.job.id != first.id().to_string() {
        claimed = one.claim().await;
    }
    let again = one.queue.push(Note { text: "unique a".to_owned() }).await.unwrap();
    assert_eq!(again, Enqueued::Already(first.id()), "it runs");
    // Failed, it waits again.
    assert!(one.store().fail(&claimed, "x", Next::Again { after_ms: 0 }).await.unwrap());
    let again = one.queue.push(Note { text: "unique a".to_owned() }).await.unwrap();
    assert_eq!(again, Enqueued::Already(first.id()));
    let mut claimed = one.claim().await;
    while claimed.job.id != first.id().to_string() {
        claimed = one.claim().await;
    }
    assert!(one.store().complete(&claimed).await.unwrap());
    assert!(one.queue.push(Note { text: "unique a".to_owned() }).await.unwrap().is_new());
}

async fn a_unique_key_is_held_for_its_time(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let long = unique("long", Some(600_000));
    let short = unique("short", Some(700));
    one.push(&long).await;
    one.push(&short).await;
    for _ in 0..2 {
        let claimed = one.claim().await;
        assert!(one.store().complete(&claimed).await.unwrap());
    }
    assert_eq!(one.queue.counts().await.unwrap(), crate::QueueCounts::default());
    assert_eq!(one.push(&unique("long", None)).await, Pushed::Duplicate(long.id));
    let deadline = std::time::Instant::now() + super::bench::PATIENCE;
    while one.push(&unique("short", None)).await != Pushed::New {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(short.held_until().unwrap() <= now_ms() + 1, "it was free before its time");
}

async fn a_key_that_is_held_no_longer_leaves_no_row(bench: Bench) {
    // The other servers forget by themselves.
    if !matches!(bench.kind, Kind::Sqlite | Kind::Postgres) {
        return;
    }
    let one = bench.queue("queue=q").await;
    one.push(&unique("short", Some(500))).await;
    let claimed = one.claim().await;
    assert!(one.store().complete(&claimed).await.unwrap());
    let deadline = std::time::Instant::now() + super::bench::PATIENCE;
    loop {
        // A worker that has just started, and has nothing to do.
        let idle = bench.queue("queue=q").await;
        assert!(idle.store().claim(KINDS, 1).await.unwrap().jobs.is_empty());
        let rows = query("SELECT count(*) FROM updraft_jobs");
        if rows.fetch_one::<i64>(&bench.sql).await.unwrap() == 0 {
            return;
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_unique_key_of_a_dead_job_is_free(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let first = unique("a", None);
    one.push(&first).await;
    let claimed = one.claim().await;
    assert!(one.store().fail(&claimed, "x", Next::Dead).await.unwrap());
    assert_eq!(one.push(&unique("a", None)).await, Pushed::New);
    assert_eq!(one.queue.retry(&first.id).await.unwrap(), Retried::Occupied);
    let claimed = one.claim().await;
    assert!(one.store().complete(&claimed).await.unwrap());
    assert_eq!(one.queue.retry(&first.id).await.unwrap(), Retried::Waiting);
    assert_eq!(one.claim().await.job.id, first.id);
}

async fn the_same_id_is_the_same_job(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let id = uuid::Uuid::now_v7();
    let note = || Note { text: "x".to_owned() }.after(Duration::ZERO).id(id);
    assert_eq!(one.queue.push(note()).await.unwrap(), Enqueued::New(id));
    assert_eq!(one.queue.push(note()).await.unwrap(), Enqueued::Already(id));
    assert_eq!(one.queue.counts().await.unwrap().waiting, 1);
}

async fn the_most_urgent_is_first_and_of_these_the_oldest(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let past = now_ms() - 1000;
    let mut sent = Vec::new();
    for (priority, due_ms) in [(1, past), (9, past + 2), (5, past), (9, past + 1), (5, past + 7)] {
        let job = NewJob { priority, due_ms, ..job("note") };
        one.push(&job).await;
        sent.push((9 - priority, due_ms, job.id));
    }
    // All are known before the first is taken.
    let all_known = NewJob { priority: 9, due_ms: past - 1, ..job("other") };
    one.push(&all_known).await;
    let mut claimed = one.claim().await;
    while claimed.job.id != all_known.id {
        assert!(one.store().hand_back(&claimed).await.unwrap());
        // Handing back makes it due now; its old place is what is tested.
        one.queue.remove(&claimed.job.id).await.unwrap();
        one.push(&claimed.job).await;
        claimed = one.claim().await;
    }
    sent.sort();
    for (_, _, id) in sent {
        assert_eq!(one.claim().await.job.id, id);
    }
}

async fn no_job_comes_before_its_time(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let later = NewJob { due_ms: now_ms() + 700, priority: 9, ..job("note") };
    let never = NewJob { due_ms: now_ms() + 3_600_000, priority: 9, ..job("note") };
    one.push(&never).await;
    one.push(&later).await;
    one.push(&job("other")).await;
    assert_eq!(one.claim().await.job.kind, "other");
    assert_eq!(one.claim().await.job.id, later.id);
    assert!(later.due_ms <= now_ms() + 1);
    let idle = one.store().claim(KINDS, 1).await.unwrap();
    assert!(idle.jobs.is_empty() && idle.next_in_ms.is_some(), "{idle:?}");
}

async fn only_known_kinds_are_claimed(bench: Bench) {
    let one = bench.queue("queue=q").await;
    one.push(&NewJob { priority: 9, ..job("of.the.next release") }).await;
    one.claims_nothing().await;
    assert_eq!(one.queue.counts().await.unwrap().waiting, 1);
}

async fn queues_of_other_names_are_others(bench: Bench) {
    let (one, two) = (bench.queue("queue=q").await, bench.queue("queue=q.2").await);
    one.push(&job("note")).await;
    two.claims_nothing().await;
    assert_eq!(two.queue.counts().await.unwrap(), crate::QueueCounts::default());
    assert_eq!(one.queue.counts().await.unwrap().waiting, 1);
}

async fn a_full_queue_refuses_and_takes_again_when_there_is_room(bench: Bench) {
    let one = bench.queue("queue=q&max_waiting=3").await;
    for _ in 0..3 {
        assert_eq!(one.push(&job("note")).await, Pushed::New);
    }
    let refused = one.queue.push(Note { text: String::new() }).await;
    assert!(matches!(refused, Err(EnqueueError::Full { max_waiting: 3 })), "{refused:?}");
    let claimed = one.claim().await;
    assert!(one.store().complete(&claimed).await.unwrap());
    assert_eq!(one.push(&job("note")).await, Pushed::New);
    assert_eq!(one.push(&job("note")).await, Pushed::Full);
    // What is there goes on: the bound is on what comes in.
    let claimed = one.claim().await;
    assert!(one.store().heartbeat(&claimed).await.unwrap());
    assert!(one.store().fail(&claimed, "x", Next::Again { after_ms: 0 }).await.unwrap());
}

/// The job of a fire, as all schedulers make it.
fn fired(due_ms: i64, key: Option<&str>) -> NewJob {
    let unique = key.map(|key| Unique { key: key.to_owned(), until_ms: None });
    let id = uuid::Uuid::from_u128(u128::try_from(due_ms).unwrap()).to_string();
    NewJob { id, unique, ..job("note") }
}

async fn fire(at: &Bound, due_ms: i64, key: Option<&str>) -> Fired {
    at.store().fire(FireAt { schedule: "nightly", due_ms }, &fired(due_ms, key)).await.unwrap()
}

async fn two_schedulers_fire_once(bench: Bench) {
    let (one, two) = (bench.queue("queue=q").await, bench.queue("queue=q").await);
    assert_eq!(one.store().last_fire("nightly").await.unwrap(), None);
    let start = 1_700_000_000_000;
    let seen = FireAt { schedule: "nightly", due_ms: start };
    one.store().first_seen(seen).await.unwrap();
    two.store().first_seen(FireAt { due_ms: start + 5, ..seen }).await.unwrap();
    assert_eq!(two.store().last_fire("nightly").await.unwrap(), Some(start));
    for night in 1..=10_i64 {
        let due = start + night * 86_400_000;
        let (a, b, c) =
            tokio::join!(fire(&one, due, None), fire(&two, due, None), fire(&two, due, None));
        let now = [a, b, c].iter().filter(|fired| **fired == Fired::Now).count();
        assert_eq!(now, 1, "night {night}: {a:?} {b:?} {c:?}");
        assert_eq!(one.store().last_fire("nightly").await.unwrap(), Some(due));
    }
    assert_eq!(fire(&one, start + 86_400_000, None).await, Fired::Before, "it is long past");
    assert_eq!(one.queue.counts().await.unwrap().waiting, 10);
}

async fn a_run_that_is_not_done_leaves_the_next_out(bench: Bench) {
    let one = bench.queue("queue=q").await;
    assert_eq!(fire(&one, 1000, Some("nightly")).await, Fired::Now);
    assert_eq!(fire(&one, 2000, Some("nightly")).await, Fired::Overlaps);
    assert_eq!(fire(&one, 2000, Some("nightly")).await, Fired::Before);
    let claimed = one.claim().await;
    assert_eq!(fire(&one, 3000, Some("nightly")).await, Fired::Overlaps);
    assert!(one.store().complete(&claimed).await.unwrap());
    assert_eq!(fire(&one, 4000, Some("nightly")).await, Fired::Now);
    assert_eq!(one.queue.counts().await.unwrap().waiting, 1);
}

async fn jobs_are_listed_the_oldest_first(bench: Bench) {
    let one = bench.queue("queue=q").await;
    let (first, second, third) = (job("note"), job("note"), job("note"));
    one.push(&first).await;
    one.push(&second).await;
    let mut claimed = [one.claim().await, one.claim().await];
    claimed.sort_by(|a, b| a.job.id.cmp(&b.job.id));
    one.push(&third).await;
    // The second is given up before the first.
    for job in claimed.iter().rev() {
        assert!(one.store().fail(job, "x", Next::Dead).await.unwrap());
    }
    let listed = async |state| {
        let records = one.store().list(Filter { state, most: 10 }).await.unwrap();
        records.into_iter().map(|record| record.job.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some(JobState::Dead)).await, [first.id.as_str(), &second.id]);
    assert_eq!(listed(Some(JobState::Waiting)).await, [third.id.as_str()]);
    assert_eq!(listed(None).await, [first.id.as_str(), &second.id, &third.id]);
}
