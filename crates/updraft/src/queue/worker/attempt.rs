//! What a job is told about the attempt that runs.

use std::sync::Arc;

use jiff::Timestamp;

use crate::queue::record::{Leased, NewJob};

/// Which try of which job this is.
#[derive(Clone, Debug)]
pub struct Attempt {
    job: Arc<NewJob>,
    number: u32,
}

impl Attempt {
    pub(crate) fn of(job: &Leased) -> Self {
        Self { job: Arc::new(job.job.clone()), number: job.attempts }
    }

    /// The job's id, a UUID: the same for all its attempts.
    pub fn job_id(&self) -> &str {
        &self.job.id
    }

    /// A key for what must happen once, whatever the number of attempts: what is sent as
    /// `Idempotency-Key`. It is the job's id.
    pub fn key(&self) -> &str {
        &self.job.id
    }

    /// 1 for the first attempt.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the job is given up when this attempt fails.
    pub fn is_last(&self) -> bool {
        self.job.max_attempts <= self.number
    }

    /// When the job was enqueued.
    pub fn enqueued_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.job.enqueued_ms).unwrap_or_default()
    }

    /// When the job was first due.
    pub fn due_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.job.due_ms).unwrap_or_default()
    }

    /// After this time it is of no use to begin the job.
    pub fn deadline(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.job.deadline_ms?).ok()
    }

    /// The W3C `traceparent` of who enqueued the job.
    pub fn traceparent(&self) -> Option<&str> {
        self.job.trace.as_deref()
    }

    pub(crate) fn payload(&self) -> &str {
        &self.job.payload
    }
}
