//! What a worker makes of what an attempt says.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::drain::{Drain, Phase};
use crate::jobs::{JobBackoff, JobPolicy};
use crate::metrics::Metrics;
use crate::queue::record::{NewJob, now_ms};
use crate::sql::SqlUrl;
use crate::{JobState, Variable as _};

struct Bench {
    _folder: tempfile::TempDir,
    queue: Queue,
    metrics: Metrics,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/db.sqlite3", folder.path().display());
        let sql = SqlUrl::parse(&url).unwrap().open().await.unwrap();
        sql.migrate(&[Queue::MIGRATION]).await.unwrap();
        Self { _folder: folder, queue: Queue::within(&sql, "q"), metrics: Metrics::default() }
    }

    async fn push(&self, change: impl FnOnce(&mut NewJob)) -> String {
        let now = now_ms();
        let mut job = NewJob {
            id: uuid::Uuid::now_v7().to_string(),
            kind: "note".to_owned(),
            payload: "1".to_owned(),
            priority: 5,
            max_attempts: 3,
            due_ms: now,
            enqueued_ms: now,
            unique: None,
            trace: None,
            deadline_ms: None,
        };
        change(&mut job);
        self.queue.store().push(&job).await.unwrap();
        job.id
    }

    /// Works until the queue looks like this.
    async fn work(
        &self,
        policy: JobPolicy,
        attempt: impl Fn(Attempt) -> Work + Send + Sync + 'static,
        wanted: impl Fn(crate::QueueCounts) -> bool,
    ) {
        let begin: Arc<Begin> = Arc::new(move |it: &Attempt| Ok(attempt(it.clone())));
        let handlers = BTreeMap::from([("note", Handler { policy, begin })]);
        let families = self.metrics.families::<JobFamilies>();
        let drain = Drain::new(Duration::from_secs(10));
        let worker = Worker::new(self.queue.clone(), handlers, families, 2);
        let working = tokio::spawn(worker.run(drain.stop()));
        let looking = async {
            while !wanted(self.queue.counts().await.unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), looking).await.unwrap();
        drain.advance(Phase::Draining);
        working.await.unwrap().unwrap();
    }

    fn counted(&self, outcome: &str) -> bool {
        let text = self.metrics.encode().unwrap();
        let line = format!("updraft_jobs_attempts_total{{kind=\"note\",outcome=\"{outcome}\"}}");
        assert!(text.contains("updraft_jobs_"), "{text}");
        text.contains(&line)
    }
}

const QUICK: JobPolicy = JobPolicy {
    backoff: JobBackoff {
        first: Duration::from_millis(5),
        factor: 1.0,
        max: Duration::from_millis(5),
    },
    ..JobPolicy::DEFAULT
};

#[tokio::test]
async fn what_an_attempt_says_decides_what_becomes_of_the_job() {
    type Say = fn() -> JobError;
    let cases: [(Say, u32, &str); 3] = [
        (|| JobError::from("plain"), 3, "dead"),
        (|| JobError::give_up("hopeless"), 1, "dead"),
        (|| JobError::retry_after(Duration::from_millis(1), "busy"), 3, "failed"),
    ];
    for (say, attempts, outcome) in cases {
        let bench = Bench::new().await;
        let id = bench.push(|_| {}).await;
        let attempt = move |_| Box::pin(async move { Err(say()) }) as Work;
        bench.work(QUICK, attempt, |counts| counts.dead == 1).await;
        let job = bench.queue.find(&id).await.unwrap().unwrap();
        assert_eq!((job.state(), job.attempts()), (JobState::Dead, attempts));
        assert_eq!(job.last_error(), Some(say().to_string().as_str()));
        assert!(bench.counted(outcome), "{outcome}");
    }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_cut_off_and_has_failed() {
    let bench = Bench::new().await;
    let id = bench.push(|job| job.max_attempts = 1).await;
    let policy = JobPolicy { timeout: Duration::from_millis(20), ..QUICK };
    let attempt = |_| Box::pin(std::future::pending()) as Work;
    bench.work(policy, attempt, |counts| counts.dead == 1).await;
    let job = bench.queue.find(&id).await.unwrap().unwrap();
    assert!(job.last_error().unwrap().contains("longer than 20ms"), "{:?}", job.last_error());
    assert!(bench.counted("timeout"));
}

#[tokio::test]
async fn what_is_too_late_is_not_begun() {
    let bench = Bench::new().await;
    let id = bench.push(|job| job.deadline_ms = Some(now_ms() - 1)).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&begun);
    let attempt = move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) }) as Work
    };
    // The work itself is only made, never polled: the handler is not even called.
    bench.work(QUICK, attempt, |counts| counts.dead == 1).await;
    assert_eq!(begun.load(Ordering::Relaxed), 0);
    let job = bench.queue.find(&id).await.unwrap().unwrap();
    assert!(job.last_error().unwrap().contains("deadline"));
}

#[tokio::test]
async fn never_more_are_in_hand_than_the_bound_and_all_are_done() {
    let bench = Bench::new().await;
    for _ in 0..12 {
        bench.push(|_| {}).await;
    }
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (in_hand, seen) = (Arc::clone(&now), Arc::clone(&most));
    let attempt = move |_| {
        let (in_hand, seen) = (Arc::clone(&in_hand), Arc::clone(&seen));
        Box::pin(async move {
            let count = in_hand.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(count, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            in_hand.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }) as Work
    };
    bench.work(QUICK, attempt, |counts| counts == crate::QueueCounts::default()).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(bench.counted("done"));
}

#[tokio::test]
async fn what_a_job_enqueues_is_in_the_trace_of_who_enqueued_it() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let spans = crate::trace::SpanLayer::new(crate::trace::Sampler::of_callers(), None);
    let subscriber = tracing_subscriber::registry().with(spans);
    let _of_this_thread = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new().await;
    bench.push(|job| job.trace = Some(TRACE.to_owned())).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let attempt = move |attempt: Attempt| {
        let sender = sender.clone();
        Box::pin(async move {
            let left = deadline::current().is_some();
            sender.send((crate::trace::current_traceparent(), left)).await?;
            assert_eq!(attempt.traceparent(), Some(TRACE));
            Ok(())
        }) as Work
    };
    bench.work(QUICK, attempt, |counts| counts == crate::QueueCounts::default()).await;
    let (traceparent, has_deadline) = receiver.recv().await.unwrap();
    let traceparent = traceparent.unwrap();
    // The same trace, by a span of its own.
    assert_eq!(traceparent[..36], TRACE[..36]);
    assert_ne!(traceparent, TRACE);
    assert!(has_deadline);
}

use tracing_subscriber::layer::SubscriberExt as _;
use updraft_resilience::deadline;
