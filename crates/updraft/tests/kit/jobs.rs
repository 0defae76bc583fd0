//! Jobs are done when the test says so.

use std::time::Duration;
use updraft::testing::{JobsDone, TestApp};

use crate::depot::{Depot, NewParcel, take_in};

async fn taken_in(t: &TestApp<Depot>, id: i64, weight: u32) {
    t.call::<take_in>().json(&NewParcel { id, weight }).await.status(201);
}

fn counts(done: JobsDone) -> (u64, u64, u64) {
    (done.done, done.failed, done.dead)
}

#[updraft::test(kinds = ["sqlite", "postgres", "sqlite+redis", "postgres+redis", "sqlite+nats"])]
async fn nothing_is_done_until_it_is_asked_for_and_then_all_of_it(t: TestApp<Depot>) {
    for id in 0..3 {
        taken_in(&t, id, 1).await;
    }
    assert_eq!(t.job_count().await, 3);
    // Each parcel that is packed causes a job that tells of it.
    assert_eq!(counts(t.run_jobs().await), (6, 0, 0));
    assert_eq!(t.job_count().await, 0);
    assert_eq!(counts(t.run_jobs().await), (0, 0, 0));
}

#[updraft::test(kinds = ["sqlite", "postgres", "sqlite+nats"])]
async fn a_failed_job_waits_for_its_time(t: TestApp<Depot>) {
    taken_in(&t, 1, 41).await;
    assert_eq!(counts(t.run_jobs().await), (0, 1, 0));
    assert_eq!(t.logged("the job failed").field("error").unwrap(), "too heavy for one");
    assert_eq!(counts(t.run_jobs().await), (0, 0, 0));
    // Waits are spread, and never longer than what is said of them.
    t.advance(Duration::from_secs(60));
    assert_eq!(counts(t.run_jobs().await), (2, 0, 0));
}

#[updraft::test(kinds = ["sqlite", "postgres", "sqlite+nats"])]
async fn a_job_that_gives_up_is_dead(t: TestApp<Depot>) {
    taken_in(&t, 1, 13).await;
    assert_eq!(counts(t.run_jobs().await), (0, 0, 1));
    assert_eq!(t.app().jobs.counts().await.unwrap().dead, 1);
    let spans = t.spans();
    let request = spans.iter().find(|span| span.name == "POST /v1/parcels").unwrap();
    let job = spans.iter().find(|span| span.name == "process pack").unwrap();
    assert_eq!((job.kind, job.trace_id), ("consumer", request.trace_id));
}
