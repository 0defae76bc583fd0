//! Why an attempt failed, and what should become of the job.

use std::time::Duration;

use crate::BoxError;

/// An attempt failed. Any error becomes one by `?`, and means that the job is tried again
/// after its back-off, until its attempts are used up.
///
/// It is no [`std::error::Error`] itself, because then no error could become one by `?`.
#[derive(Debug)]
pub struct JobError {
    cause: BoxError,
    then: Then,
}

/// What should become of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another attempt after the back-off of its kind.
    BackOff,
    /// Another attempt after this time.
    After(Duration),
    /// No other attempt.
    GiveUp,
}

impl JobError {
    /// Try again after this time, not after the back-off: what a `Retry-After` says. It is an
    /// attempt like any other: the last one is not followed by another.
    pub fn retry_after(wait: Duration, cause: impl Into<BoxError>) -> Self {
        Self { cause: cause.into(), then: Then::After(wait) }
    }

    /// No attempt will do better: the job is given up at once, and is a dead letter.
    pub fn give_up(cause: impl Into<BoxError>) -> Self {
        Self { cause: cause.into(), then: Then::GiveUp }
    }

    pub(crate) fn into_parts(self) -> (BoxError, Then) {
        (self.cause, self.then)
    }
}

impl<E: Into<BoxError>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self { cause: error.into(), then: Then::BackOff }
    }
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)
    }
}
