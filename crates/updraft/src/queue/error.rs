//! Why a job was not enqueued, or a queue cannot be used.

use super::store::StoreError;
use crate::BoxError;

/// The queue cannot be used where its URL says.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Its store cannot be used.
    #[error("cannot use the queue")]
    Store(#[from] StoreError),
    /// Its database cannot be opened.
    #[error("cannot open the queue's database")]
    Open(#[source] BoxError),
    /// `same:` names a field that is no database.
    #[error(
        "the queue is to be in the database of the field `{field}`, and there is none: attach a Sql there, or name another"
    )]
    NoSuchDatabase {
        /// The field that was named.
        field: String,
    },
    /// The cargo feature of its kind is not compiled in.
    #[error("this build has no queues on {kind}: compile it with the cargo feature `{feature}`")]
    NotCompiled {
        /// The kind.
        kind: &'static str,
        /// The feature of the crate `updraft`.
        feature: &'static str,
    },
}

/// The job was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The payload has no JSON form.
    #[error("the payload of a `{kind}` job has no JSON form")]
    Payload {
        /// The kind of the job.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Too many jobs wait.
    #[error("the queue is full: {max_waiting} jobs wait")]
    Full {
        /// The bound, `max_waiting` of the queue's URL.
        max_waiting: u32,
    },
    /// There is no database whose transactions the queue could share.
    #[error(
        "a `{kind}` job cannot be enqueued in a transaction, because the service has no \
         database that the queue knows: attach one field of type Sql above it, or use `push`"
    )]
    NoTransactions {
        /// The kind of the job.
        kind: &'static str,
    },
    /// The store refused, or is away.
    #[error("cannot enqueue a `{kind}` job")]
    Store {
        /// The kind of the job.
        kind: &'static str,
        /// What it said.
        source: StoreError,
    },
}

impl EnqueueError {
    /// Whether it is worth trying again later: the queue is full, or its store is away.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Store { source: StoreError::Away(_), .. })
    }
}
