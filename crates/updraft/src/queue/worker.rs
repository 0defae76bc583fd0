//! A worker: it leases jobs, keeps the leases alive while it works, and hands back what it
//! cannot finish when the process ends.

mod attempt;
mod settle;
#[cfg(feature = "testing")]
mod stepping;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use updraft_resilience::backoff::{Backoff, Jitter};

use super::record::{Claimed, Leased};
use super::{JobFamilies, Queue, bounded};
use crate::jobs::{JobError, JobPolicy};
use crate::{BoxError, Stop, trace};

pub use attempt::Attempt;

/// After the store refused or was away: time for it to come back; doubled each time, …
const TROUBLE_FIRST: Duration = Duration::from_millis(200);

/// … but no longer than this.
const TROUBLE_MOST: Duration = Duration::from_secs(5);

/// In a drain: how long jobs in hand may take to finish before they are handed back; never
/// more than half of the drain's budget, so that there is time to hand them back.
const FINISH_TIME: Duration = Duration::from_secs(5);

/// From one sample of the queue for the metrics to the next.
const SAMPLE_PAUSE: Duration = Duration::from_secs(15);

/// The shortest rest, so that a job that is due in a moment is not asked for in a circle.
const REST_LEAST: Duration = Duration::from_millis(10);

/// One attempt.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// Begins an attempt from its payload.
type Begin = dyn Fn(&Attempt) -> Result<Work, serde_json::Error> + Send + Sync;

/// How jobs of one kind are done.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) policy: JobPolicy,
    pub(crate) begin: Arc<Begin>,
}

/// Works on the jobs of one queue.
///
/// A job may be tried more than once, also after it was done (a worker can die just before
/// it says so): what a handler does must be safe to do again.
#[derive(Clone)]
pub(crate) struct Worker {
    queue: Queue,
    handlers: Arc<BTreeMap<&'static str, Handler>>,
    kinds: Arc<[&'static str]>,
    families: Arc<JobFamilies>,
    /// Jobs in hand at once.
    concurrency: usize,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("queue", &self.queue).field("kinds", &self.kinds).finish()
    }
}

impl Worker {
    /// A worker for jobs of these kinds. Jobs of other kinds are left to other workers.
    pub(crate) fn new(
        queue: Queue,
        handlers: BTreeMap<&'static str, Handler>,
        families: Arc<JobFamilies>,
        concurrency: usize,
    ) -> Self {
        let kinds = handlers.keys().copied().collect();
        Self { queue, handlers: Arc::new(handlers), kinds, families, concurrency }
    }

    /// Works until the process ends.
    ///
    /// # Errors
    ///
    /// None today: trouble with the store is logged and waited out.
    pub(crate) async fn run(self, stop: Stop) -> Result<(), BoxError> {
        let give_back = watch::Sender::new(false);
        let mut in_hand = JoinSet::new();
        tokio::select! {
            () = self.work(&stop, &mut in_hand, &give_back) => {}
            () = self.attend() => {}
            () = self.sample() => {}
        }
        let finishing = async { while in_hand.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIME.min(stop.grace() / 2), finishing).await.is_err() {
            tracing::info!(jobs = in_hand.len(), "handing back jobs");
            give_back.send_replace(true);
            while in_hand.join_next().await.is_some() {}
        }
        Ok(())
    }

    /// Takes jobs up until the process is asked to stop.
    async fn work(&self, stop: &Stop, in_hand: &mut JoinSet<()>, give_back: &watch::Sender<bool>) {
        let mut troubles = 0;
        while !stop.is_requested() {
            let free = self.concurrency.saturating_sub(in_hand.len());
            let rest = match self.claim(free).await {
                Ok(claimed) => {
                    troubles = 0;
                    self.buried(claimed.buried);
                    let took = claimed.jobs.len();
                    for job in claimed.jobs {
                        self.take_up(job, in_hand, give_back);
                    }
                    if 0 < free && took == free {
                        continue;
                    }
                    self.rest(claimed.next_in_ms)
                }
                Err(error) => {
                    troubles += 1;
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "cannot look for jobs");
                    trouble(troubles)
                }
            };
            tokio::select! {
                () = stop.requested() => {}
                Some(_done) = in_hand.join_next() => {}
                () = self.queue.wake().notified(), if in_hand.len() < self.concurrency => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn claim(&self, free: usize) -> Result<Claimed, super::StoreError> {
        match free {
            0 => Ok(Claimed::default()),
            // It is not cut off half way: what was claimed must not be forgotten.
            free => bounded(self.queue.store().claim(&self.kinds, free)).await,
        }
    }

    fn take_up(&self, job: Leased, in_hand: &mut JoinSet<()>, give_back: &watch::Sender<bool>) {
        let (kind, id) = (&job.job.kind, &job.job.id);
        let span = trace::job(self.queue.name(), kind, id, job.job.trace.as_deref());
        let one = settle::work_on(self.clone(), job, give_back.subscribe());
        in_hand.spawn(trace::within(span, one));
    }

    fn buried(&self, jobs: u64) {
        if 0 < jobs {
            tracing::error!(jobs, "jobs were given up: their workers died at each attempt");
        }
    }

    /// How long to rest when nothing is due now.
    fn rest(&self, next_in_ms: Option<i64>) -> Duration {
        let most = self.queue.store().rest();
        let next = next_in_ms
            .map_or(most, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
        jittered(next.clamp(REST_LEAST, most))
    }

    /// Listens for jobs that become due.
    async fn attend(&self) {
        let mut troubles = 0;
        loop {
            let wake = || self.queue.wake().notify_one();
            if let Err(error) = self.queue.store().attend(&self.kinds, &wake).await {
                troubles += 1;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot listen for jobs; they are looked for meanwhile");
            }
            tokio::time::sleep(trouble(troubles)).await;
        }
    }

    /// Samples the queue for the metrics.
    async fn sample(&self) {
        loop {
            match bounded(self.queue.store().counts()).await {
                Ok(counts) => self.families.sampled(self.queue.name(), counts),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "cannot count the jobs");
                }
            }
            tokio::time::sleep(jittered(SAMPLE_PAUSE)).await;
        }
    }
}

/// How long to wait after so many troubles in a row.
fn trouble(times: u32) -> Duration {
    let waits = Backoff::exponential(TROUBLE_FIRST, TROUBLE_MOST).jitter(Jitter::Equal);
    waits.delay(times.max(1), None, &mut fastrand::Rng::new())
}

/// Nine tenths of `span` to all of it, so that workers do not march in step.
fn jittered(span: Duration) -> Duration {
    span.mul_f64(0.9 + fastrand::f64() / 10.0)
}

#[cfg(test)]
#[path = "worker/worker_tests.rs"]
mod tests;
