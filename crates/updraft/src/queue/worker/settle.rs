//! One attempt, from its lease to what became of the job.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;
use updraft_resilience::Clock;
use updraft_resilience::deadline::{self, Deadline};

use super::{Attempt, Handler, Worker};
use crate::BoxError;
use crate::jobs::{JobError, Then};
use crate::queue::record::{Leased, Next, millis, now_ms, words_of};
use crate::queue::{StoreError, bounded};

/// How an attempt ended.
enum Ended {
    Done,
    Failed(JobError),
    /// It took too long.
    Cut(Duration),
    /// Another worker has the job.
    Lost,
    /// The process ends.
    HandedBack,
}

/// Works on one job.
pub(super) async fn work_on(worker: Worker, job: Leased, give_back: watch::Receiver<bool>) {
    worked_on(worker, job, give_back).await;
}

/// Works on one job; gives the word for what became of it.
pub(super) async fn worked_on(
    worker: Worker,
    job: Leased,
    give_back: watch::Receiver<bool>,
) -> &'static str {
    let Some((kind, handler)) = worker.handlers.get_key_value(job.job.kind.as_str()) else {
        // Only known kinds are claimed.
        told(bounded(worker.queue.store().hand_back(&job)).await.map(drop), "hand back");
        return "handed_back";
    };
    let began = Instant::now();
    let ended = attempt(&worker, handler, &job, give_back).await;
    let (outcome, settled) = settle(&worker, handler, &job, ended).await;
    worker.families.ended(kind, outcome, began.elapsed());
    told(settled, "say what became of the job");
    outcome
}

async fn attempt(
    worker: &Worker,
    handler: &Handler,
    job: &Leased,
    mut give_back: watch::Receiver<bool>,
) -> Ended {
    if job.job.deadline_ms.is_some_and(|deadline| deadline < now_ms()) {
        return Ended::Failed(JobError::give_up("its deadline was over before it began"));
    }
    let work = match (handler.begin)(&Attempt::of(job)) {
        Ok(work) => work,
        // It will not become readable by trying again.
        Err(error) => return Ended::Failed(JobError::give_up(error)),
    };
    let timeout = handler.policy.timeout;
    // What the job calls is told how much time there is, by the clock that deadlines are of.
    let work = deadline::with(Deadline::after(Clock::system().now(), timeout), work);
    // A task of its own: a panic fails the job, not the worker.
    let mut running = JoinSet::new();
    running.spawn(work.in_current_span());
    let ended = tokio::select! {
        Some(done) = running.join_next() => match done {
            Ok(Ok(())) => Ended::Done,
            Ok(Err(error)) => Ended::Failed(error),
            Err(panic) => Ended::Failed(JobError::from(panic)),
        },
        () = tokio::time::sleep(timeout) => Ended::Cut(timeout),
        () = lease_lost(worker, job) => Ended::Lost,
        () = asked(&mut give_back) => Ended::HandedBack,
    };
    // Nothing of it runs on while another worker may have the job.
    running.shutdown().await;
    ended
}

/// Says in the store what became of the job; gives the word for it.
async fn settle(
    worker: &Worker,
    handler: &Handler,
    job: &Leased,
    ended: Ended,
) -> (&'static str, Result<(), StoreError>) {
    let store = worker.queue.store();
    match ended {
        Ended::Done => {
            let completed = bounded(store.complete(job)).await;
            if let Ok(false) = completed {
                tracing::warn!("the job is done, but its lease was lost: it may be done again");
            }
            ("done", completed.map(drop))
        }
        Ended::Failed(error) => {
            let (cause, then) = error.into_parts();
            failed(worker, handler, job, &cause, then).await
        }
        Ended::Cut(timeout) => {
            let cause: BoxError = format!("it took longer than {timeout:?}").into();
            let (_, settled) = failed(worker, handler, job, &cause, Then::BackOff).await;
            ("timeout", settled)
        }
        Ended::Lost => {
            tracing::warn!("the lease was lost; another worker has the job");
            ("lost", Ok(()))
        }
        Ended::HandedBack => ("handed_back", bounded(store.hand_back(job)).await.map(drop)),
    }
}

async fn failed(
    worker: &Worker,
    handler: &Handler,
    job: &Leased,
    cause: &BoxError,
    then: Then,
) -> (&'static str, Result<(), StoreError>) {
    let wait = match then {
        Then::GiveUp => None,
        _ if job.job.max_attempts <= job.attempts => None,
        Then::After(wait) => Some(wait),
        Then::BackOff => Some(handler.policy.backoff.after(job.attempts)),
    };
    let next = wait.map_or(Next::Dead, |wait| Next::Again { after_ms: millis(wait) });
    let settled = bounded(worker.queue.store().fail(job, &words_of(cause), next)).await;
    let error = &**cause as &dyn std::error::Error;
    match wait {
        Some(_) => {
            tracing::warn!(error, "the job failed and will be tried again");
            ("failed", settled.map(drop))
        }
        None => {
            tracing::error!(error, "the job failed and is given up");
            ("dead", settled.map(drop))
        }
    }
}

/// Keeps the lease alive; ends when it is lost.
async fn lease_lost(worker: &Worker, job: &Leased) {
    loop {
        tokio::time::sleep(worker.queue.lease() / 3).await;
        match bounded(worker.queue.store().heartbeat(job)).await {
            Ok(true) => {}
            Ok(false) => return,
            // The next beat may come through; until the lease is over the job is ours.
            Err(error) => told(Err(error), "prolong the lease"),
        }
    }
}

/// Waits until jobs must be handed back.
async fn asked(give_back: &mut watch::Receiver<bool>) {
    // With the sender gone the worker is gone, which is reason enough too.
    drop(give_back.wait_for(|now| *now).await);
}

/// The lease ends by itself, so a store that refuses delays the job, no more.
fn told(result: Result<(), StoreError>, what: &'static str) {
    if let Err(error) = result {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot {what}");
    }
}
