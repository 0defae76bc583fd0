//! What a queue keeps of a job, on every kind of queue: what it was enqueued as, where it
//! stands, and what a worker holds of it.

use serde::{Deserialize, Serialize};

use crate::BoxError;

/// The most urgent priority.
pub(crate) const MOST_URGENT: u8 = 9;

/// The priority of a job that says nothing.
pub(crate) const NORMAL: u8 = 5;

/// The longest error that is kept with a job, in bytes.
const ERROR_MOST: usize = 4096;

/// A job as it is enqueued. As JSON it is what travels through the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewJob {
    /// A UUID, the same for all attempts.
    pub(crate) id: String,
    pub(crate) kind: String,
    /// JSON, as text.
    pub(crate) payload: String,
    pub(crate) priority: u8,
    pub(crate) max_attempts: u32,
    /// Milliseconds since 1970 in UTC.
    pub(crate) due_ms: i64,
    pub(crate) enqueued_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unique: Option<Unique>,
    /// The `traceparent` of who enqueued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    /// It is of no use to begin it after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_ms: Option<i64>,
}

/// Of jobs of one kind with the same key, one waits or runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unique {
    pub(crate) key: String,
    /// The key is held until then, also when the job is done before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until_ms: Option<i64>,
}

impl NewJob {
    /// Until when its key is held after it is done; `None`: not at all.
    pub(crate) fn held_until(&self) -> Option<i64> {
        self.unique.as_ref()?.until_ms
    }

    pub(crate) fn unique_key(&self) -> Option<&str> {
        Some(self.unique.as_ref()?.key.as_str())
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for a worker, for its time, or for its next attempt.
    Waiting,
    /// A worker has it in hand, or had it and died: then until its lease is over.
    Leased,
    /// It was given up.
    Dead,
    /// It is done; only its key is still held.
    Done,
}

impl JobState {
    /// The word for it, which is what the stores keep.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Dead => "dead",
            Self::Done => "done",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Leased, Self::Dead, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A job with where it stands: what `jobs ls` and `jobs show` print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    #[serde(flatten)]
    pub(crate) job: NewJob,
    pub(crate) state: JobState,
    pub(crate) attempts: u32,
    /// `waiting`: not before then; `leased`: the lease is over then; `dead`: since then.
    pub(crate) at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    /// Proof of the lease. It is shown to nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease_token: Option<String>,
}

impl JobRecord {
    /// A job that was just enqueued.
    #[cfg(feature = "nats")]
    pub(crate) fn waiting(job: NewJob) -> Self {
        let at_ms = job.due_ms;
        Self {
            job,
            state: JobState::Waiting,
            attempts: 0,
            at_ms,
            last_error: None,
            lease_token: None,
        }
    }

    /// The job's id, a UUID.
    pub fn id(&self) -> &str {
        &self.job.id
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.job.kind
    }

    /// Its payload: JSON, as text.
    pub fn payload(&self) -> &str {
        &self.job.payload
    }

    /// Where it stands.
    pub fn state(&self) -> JobState {
        self.state
    }

    /// Attempts begun.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why the last attempt failed.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// A job in the hands of a worker. Its token proves that the lease is still the worker's.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) job: NewJob,
    /// Attempts begun, this one included.
    pub(crate) attempts: u32,
    pub(crate) token: String,
    /// Where the store keeps it, where that is not its id.
    pub(crate) place: String,
}

/// What becomes of a job after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits so long, in milliseconds.
    Again { after_ms: i64 },
    /// It is given up.
    Dead,
}

/// What came of an enqueueing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    New,
    /// A job with this id, or of this kind with this key, is there: its id.
    Duplicate(String),
    /// Too many jobs wait.
    Full,
}

/// What a look for due jobs gave.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) jobs: Vec<Leased>,
    /// Jobs that were given up in passing, because their workers died at each attempt.
    pub(crate) buried: u64,
    /// In how many milliseconds the next job is due, where the store knows.
    pub(crate) next_in_ms: Option<i64>,
}

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Jobs that wait for a worker, or for their next attempt.
    pub waiting: u64,
    /// Jobs that a worker holds.
    pub leased: u64,
    /// Jobs that were given up after their last attempt.
    pub dead: u64,
    /// For how long the job that is due longest has been due, in milliseconds; 0 when none
    /// is.
    pub oldest_ms: u64,
}

/// What came of taking a dead job up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It waits, with all its attempts before it.
    Waiting,
    /// There is no dead job of this id.
    NotDead,
    /// Another job with its unique key waits or runs.
    Occupied,
}

/// What was fired for which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fired {
    /// This scheduler fired it: the job is enqueued.
    Now,
    /// Somebody had fired it before.
    Before,
    /// The run before it still waits or runs, and the two may not overlap.
    Overlaps,
    /// The queue is full: to be tried again.
    Full,
}

/// An error in the words that are kept with the job: its whole chain, within a bound.
pub(crate) fn words_of(error: &BoxError) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words.push_str(": ");
        words.push_str(&error.to_string());
        source = error.source();
    }
    if ERROR_MOST < words.len() {
        let end = words.floor_char_boundary(ERROR_MOST);
        words.truncate(end);
    }
    // PostgreSQL keeps no zero bytes in a text.
    words.replace('\0', "\u{fffd}")
}

/// Milliseconds since 1970, in UTC.
pub(crate) fn now_ms() -> i64 {
    crate::clock::now().as_millisecond()
}

/// A span in milliseconds, at most what fits.
pub(crate) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_are_its_chain_within_a_bound() {
        let error: BoxError = std::io::Error::other("x\0".repeat(9000)).into();
        let words = words_of(&error);
        assert!(words.len() <= ERROR_MOST * 3 && !words.contains('\0'));
    }
}
