//! A worker: it leases jobs, keeps the leases alive while it works, and hands back what it
//! cannot finish when the process ends.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;
use uuid::Uuid;

use super::{Leased, Queue};
use crate::{BoxError, Stop};

/// Jobs that one worker has in hand at once.
const JOBS_AT_ONCE: usize = 4;

/// From one look for due jobs to the next, when there were none.
const POLL: Duration = Duration::from_millis(200);

/// After the database refused: time for it to come back.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// In a drain: how long jobs in hand may take to finish before they are handed back; never
/// more than half of the drain's budget, so that there is time to hand them back.
const FINISH_TIME: Duration = Duration::from_secs(5);

/// From the first failure to the second attempt; each further wait is twice as long, …
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);

/// … but no longer than this.
const BACK_OFF_MOST: Duration = Duration::from_secs(300);

/// Which try of which job this is.
#[derive(Clone, Debug)]
pub struct Attempt {
    id: String,
    number: u32,
    max: u32,
}

impl Attempt {
    /// The job's id: the same for all its attempts, so a key for what must happen once.
    pub fn job_id(&self) -> &str {
        &self.id
    }

    /// 1 for the first attempt.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the job is given up when this attempt fails.
    pub fn is_last(&self) -> bool {
        self.max <= self.number
    }
}

type Work = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type Handler = Arc<dyn Fn(&str, Attempt) -> Result<Work, serde_json::Error> + Send + Sync>;

/// Works on the jobs of one queue.
///
/// A job may be tried more than once, also after it was done (a worker can die just before
/// it says so): what a handler does must be safe to do again.
#[derive(Clone)]
pub struct Worker {
    queue: Queue,
    handlers: BTreeMap<&'static str, Handler>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> = self.handlers.keys().collect();
        f.debug_struct("Worker").field("queue", &self.queue).field("kinds", &kinds).finish()
    }
}

impl Worker {
    /// A worker that knows no kind of job yet.
    pub fn new(queue: Queue) -> Self {
        Self { queue, handlers: BTreeMap::new() }
    }

    /// Handles jobs of this kind. Jobs of other kinds are left to other workers.
    #[must_use]
    pub fn on<P, F, R>(mut self, kind: &'static str, handler: F) -> Self
    where
        P: DeserializeOwned,
        F: Fn(P, Attempt) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |payload, attempt| {
            let payload = serde_json::from_str(payload)?;
            Ok(Box::pin(handler(payload, attempt)) as Work)
        });
        self.handlers.insert(kind, handler);
        self
    }

    /// Works until the process ends; give it to [`crate::Context::run`].
    ///
    /// # Errors
    ///
    /// None today: trouble with the database is logged and waited out.
    pub async fn run(self, stop: Stop) -> Result<(), BoxError> {
        let kinds = serde_json::to_string(&self.handlers.keys().collect::<Vec<_>>())?;
        let give_back = watch::Sender::new(false);
        let mut in_hand = JoinSet::new();
        while !stop.is_requested() {
            let mut pause = POLL;
            if in_hand.len() < JOBS_AT_ONCE {
                match self.queue.claim(&kinds).await {
                    Ok(Some(job)) => {
                        let span = tracing::info_span!("job", job_id = job.id, kind = job.kind);
                        let one = self.clone().work_on(job, give_back.subscribe());
                        in_hand.spawn(one.instrument(span));
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "cannot look for jobs");
                        pause = TROUBLE_PAUSE;
                    }
                }
            }
            tokio::select! {
                () = stop.requested() => {}
                Some(_done) = in_hand.join_next() => {}
                () = tokio::time::sleep(jittered(pause)) => {}
            }
        }
        let finishing = async { while in_hand.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIME.min(stop.grace() / 2), finishing).await.is_err() {
            tracing::info!(jobs = in_hand.len(), "handing back jobs");
            give_back.send_replace(true);
            while in_hand.join_next().await.is_some() {}
        }
        Ok(())
    }

    /// One job, from its lease to what became of it.
    async fn work_on(self, job: Leased, mut give_back: watch::Receiver<bool>) {
        let attempt = Attempt { id: job.id.clone(), number: job.attempts, max: job.max_attempts };
        let work = match self.handlers.get(job.kind.as_str()) {
            Some(handler) => handler(&job.payload, attempt),
            // Only known kinds are claimed.
            None => return self.told(self.queue.hand_back(&job).await, "hand back"),
        };
        let settled = match work {
            Ok(work) => {
                // A task of its own: a panic fails the job, not the worker.
                let mut running = JoinSet::new();
                running.spawn(work.in_current_span());
                tokio::select! {
                    Some(done) = running.join_next() => {
                        let result = done.unwrap_or_else(|panic| Err(panic.into()));
                        self.settle(&job, result, false).await
                    }
                    () = self.lease_lost(&job) => {
                        tracing::warn!("the lease was lost; another worker has the job");
                        Ok(())
                    }
                    () = asked(&mut give_back) => {
                        running.shutdown().await;
                        self.queue.hand_back(&job).await
                    }
                }
            }
            // It will not become readable by trying again.
            Err(error) => self.settle(&job, Err(error.into()), true).await,
        };
        self.told(settled, "say what became of the job");
    }

    async fn settle(
        &self,
        job: &Leased,
        result: Result<(), BoxError>,
        hopeless: bool,
    ) -> Result<(), sqlx::Error> {
        let Err(error) = result else {
            if !self.queue.complete(job).await? {
                tracing::warn!("the job is done, but its lease was lost: it may be done again");
            }
            return Ok(());
        };
        let last = hopeless || job.max_attempts <= job.attempts;
        self.queue.fail(job, &error, last).await?;
        let error = &*error as &dyn std::error::Error;
        let attempt = job.attempts;
        if last {
            tracing::error!(error, attempt, "the job failed and is given up");
        } else {
            tracing::warn!(error, attempt, "the job failed and will be tried again");
        }
        Ok(())
    }

    /// Keeps the lease alive; ends when it is lost.
    async fn lease_lost(&self, job: &Leased) {
        loop {
            tokio::time::sleep(self.queue.url.lease / 3).await;
            match self.queue.heartbeat(job).await {
                Ok(true) => {}
                Ok(false) => return,
                // The next beat may come through; until the lease is over the job is ours.
                Err(error) => self.told(Err(error), "prolong the lease"),
            }
        }
    }

    /// The lease ends by itself, so a database that refuses delays the job, no more.
    fn told(&self, result: Result<(), sqlx::Error>, what: &'static str) {
        if let Err(error) = result {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot {what}");
        }
    }
}

/// Waits until jobs must be handed back.
async fn asked(give_back: &mut watch::Receiver<bool>) {
    // With the sender gone the worker is gone, which is reason enough too.
    drop(give_back.wait_for(|now| *now).await);
}

/// How long a job waits after this many attempts have failed.
pub(super) fn back_off(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    jittered(BACK_OFF_FIRST.saturating_mul(1 << doublings).min(BACK_OFF_MOST))
}

/// Half of `most` to all of it, so that workers and jobs do not march in step.
fn jittered(most: Duration) -> Duration {
    // The low half of a version 7 UUID is random.
    let (_, random) = Uuid::now_v7().as_u64_pair();
    let share = f64::from(u16::try_from(random & 0xffff).unwrap_or_default()) / 65536.0;
    most.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_bound_and_is_never_nothing() {
        for attempts in 1..100 {
            let wait = back_off(attempts);
            let most =
                BACK_OFF_FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(BACK_OFF_MOST);
            assert!(most / 2 <= wait && wait <= most, "{attempts}: {wait:?}");
        }
    }
}
