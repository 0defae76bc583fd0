//! The port of a queue: what every kind of queue can do. Each move of a job is atomic in
//! its store, so a worker or a scheduler may die between any two.

use std::fmt::Debug;
use std::pin::Pin;

use super::record::{
    Claimed, Fired, JobRecord, JobState, Leased, NewJob, Next, Pushed, QueueCounts, Retried,
};
use crate::BoxError;
use crate::attachment::Location;

/// The store of a queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away, or does not answer in time.
    #[error("the store of the queue is away")]
    Away(#[source] BoxError),
    /// It refused.
    #[error("the store of the queue refused")]
    Refused(#[source] BoxError),
    /// What it keeps is no job of ours.
    #[error("the store of the queue holds something that is no job")]
    Foreign(#[source] BoxError),
}

/// What a store answers.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Which jobs are listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    pub(crate) state: Option<JobState>,
    pub(crate) most: usize,
}

/// A time at which a schedule fires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireAt<'a> {
    pub(crate) schedule: &'a str,
    pub(crate) due_ms: i64,
}

/// One queue in one store.
pub(crate) trait Store: Send + Sync + Debug + 'static {
    /// Where it is, as people may see it.
    fn location(&self) -> Location;

    /// Whether it answers.
    fn check(&self) -> Answer<'_, ()>;

    /// Enqueues, in a transaction of the store's own.
    fn push<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed>;

    /// Enqueues what comes from an outbox, where the same job may come twice, also after it
    /// was done.
    fn relay<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        self.push(job)
    }

    /// Takes up to `most` due jobs of these kinds: the most urgent first, of these the one
    /// that is due longest.
    fn claim<'a>(&'a self, kinds: &'a [&'static str], most: usize) -> Answer<'a, Claimed>;

    /// Prolongs a lease; `false`: it is not ours any more.
    fn heartbeat<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool>;

    /// The job is done; `false`: the lease was not ours any more.
    fn complete<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool>;

    /// Gives the job back as if it had not been taken.
    fn hand_back<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool>;

    /// The attempt failed.
    fn fail<'a>(&'a self, job: &'a Leased, error: &'a str, next: Next) -> Answer<'a, bool>;

    /// When the schedule last fired, or was first seen: milliseconds since 1970.
    fn last_fire<'a>(&'a self, schedule: &'a str) -> Answer<'a, Option<i64>>;

    /// Notes that the schedule is there since this time, unless it has fired already.
    fn first_seen<'a>(&'a self, at: FireAt<'a>) -> Answer<'a, ()>;

    /// Fires, once for all who ask: the note and the job come into being together.
    fn fire<'a>(&'a self, at: FireAt<'a>, job: &'a NewJob) -> Answer<'a, Fired>;

    /// How many jobs are in which state.
    fn counts(&self) -> Answer<'_, QueueCounts>;

    /// Jobs, the oldest first.
    fn list(&self, filter: Filter) -> Answer<'_, Vec<JobRecord>>;

    /// One job.
    fn find<'a>(&'a self, id: &'a str) -> Answer<'a, Option<JobRecord>>;

    /// Takes a dead job up again.
    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a, Retried>;

    /// Removes a job that no worker holds; `false`: there is none.
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, bool>;

    /// Listens for jobs that become due, until dropped, and calls `wake` each time. A store
    /// that cannot tell stays silent.
    fn attend<'a>(
        &'a self,
        kinds: &'a [&'static str],
        wake: &'a (dyn Fn() + Send + Sync),
    ) -> Answer<'a, ()>;

    /// Learns now of the jobs that `attend` would tell of, where `claim` knows only those: for a
    /// test, which attends to nothing.
    #[cfg(feature = "testing")]
    fn survey<'a>(&'a self, _kinds: &'a [&'static str]) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// How long a worker may rest between two looks for jobs when `attend` is on and
    /// nothing happens.
    fn rest(&self) -> std::time::Duration;
}

/// How a queue behaves, whatever it is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The queue's name.
    pub(crate) name: String,
    /// How often a job is tried, unless its kind says otherwise.
    pub(crate) max_attempts: u32,
    /// Enqueueing is refused while so many jobs wait.
    pub(crate) max_waiting: u32,
    /// How long a worker holds a job without a heartbeat.
    pub(crate) lease: std::time::Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            name: "jobs".to_owned(),
            max_attempts: 5,
            max_waiting: 100_000,
            lease: std::time::Duration::from_secs(10),
        }
    }
}
