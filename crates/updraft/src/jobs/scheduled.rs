//! A job with when and how it is to be done.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Job;
use crate::queue::{EnqueueError, MOST_URGENT, NewJob, Unique, millis, now_ms};
use crate::trace::current_traceparent;

/// A job with when and how it is to be done, where that differs from what its kind says.
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use updraft::{Job, Scheduled};
///
/// #[derive(Job, Serialize, Deserialize)]
/// struct Remind {
///     invoice: u64,
/// }
///
/// let reminder = Remind { invoice: 7 }.after(Duration::from_secs(3600)).priority(9);
/// # let _: Scheduled<Remind> = reminder;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a job is done when it was enqueued"]
pub struct Scheduled<J> {
    job: J,
    id: Option<Uuid>,
    due: Due,
    priority: Option<u8>,
    deadline: Option<Timestamp>,
    unique: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    Now,
    At(Timestamp),
    After(Duration),
}

impl<J: Job> From<J> for Scheduled<J> {
    fn from(job: J) -> Self {
        Self { job, id: None, due: Due::Now, priority: None, deadline: None, unique: None }
    }
}

impl<J: Job> Scheduled<J> {
    /// Not before this time.
    pub fn at(self, time: Timestamp) -> Self {
        Self { due: Due::At(time), ..self }
    }

    /// Not before this span is over.
    pub fn after(self, span: Duration) -> Self {
        Self { due: Due::After(span), ..self }
    }

    /// Its urgency, from 0 to 9; what is more is 9.
    pub fn priority(self, priority: u8) -> Self {
        Self { priority: Some(priority.min(MOST_URGENT)), ..self }
    }

    /// An attempt that would begin after this time is not begun: the job is given up then.
    pub fn deadline(self, time: Timestamp) -> Self {
        Self { deadline: Some(time), ..self }
    }

    /// The job's id. Enqueueing it twice gives one job: an idempotency key of the caller.
    pub fn id(self, id: Uuid) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The key by which it is unique among the jobs of its kind, in place of
    /// [`Job::unique`].
    pub fn unique(self, key: impl Into<String>) -> Self {
        Self { unique: Some(key.into()), ..self }
    }

    /// What is put in the queue.
    pub(crate) fn into_new(self, max_attempts: u32) -> Result<NewJob, EnqueueError> {
        let kind = J::KIND;
        let payload = serde_json::to_string(&self.job)
            .map_err(|source| EnqueueError::Payload { kind, source })?;
        let now = now_ms();
        let until_ms = J::POLICY.unique_for.map(|span| now.saturating_add(millis(span)));
        let key = self.unique.or_else(|| self.job.unique());
        Ok(NewJob {
            id: self.id.unwrap_or_else(Uuid::now_v7).to_string(),
            kind: kind.to_owned(),
            payload,
            priority: self.priority.unwrap_or(J::POLICY.priority),
            max_attempts: J::POLICY.attempts.unwrap_or(max_attempts),
            due_ms: match self.due {
                Due::Now => now,
                Due::At(time) => time.as_millisecond(),
                Due::After(span) => now.saturating_add(millis(span)),
            },
            enqueued_ms: now,
            unique: key.map(|key| Unique { key, until_ms }),
            trace: current_traceparent(),
            deadline_ms: self.deadline.map(Timestamp::as_millisecond),
        })
    }
}
