//! Why a call brought no answer that can be used.

use std::time::Duration;

use http::StatusCode;
use updraft_resilience::{Error, Rejection};

use super::attempt::Failure;
use crate::BoxError;
use crate::problem::ProblemDetails;

/// The call brought no answer that can be used. Its text names no address and repeats nothing
/// of what was sent or received, but for the kind of a problem.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The call could not be put into words; a fault of the caller.
    #[error("the call cannot be made")]
    Invalid(#[source] BoxError),
    /// Nobody listens there, or its name is not known.
    #[error("cannot connect")]
    Connect(#[source] BoxError),
    /// The connection broke.
    #[error("the connection broke before the answer was complete")]
    Broken(#[source] BoxError),
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Every address of the service has failed too often, and is left alone for a while.
    #[error("the service has failed too often, and is asked again in {retry_after:?}")]
    Unavailable {
        /// When the first of them is asked again.
        retry_after: Duration,
    },
    /// The policy of the client refused the call before it was sent, such as for want of a
    /// place.
    #[error("the call was not sent")]
    Refused(#[source] Rejection),
    /// The answer is longer than what is read (`<NAME>_ANSWER_MOST`).
    #[error("the answer is longer than what is read of it")]
    TooLong,
    /// The answer is a problem that tells about itself (RFC 9457).
    #[error("the answer is {}{}", .0.status(), kind(.0))]
    Problem(Box<ProblemDetails>),
    /// The answer is an error.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The answer is not what was expected.
    #[error("the answer is not the expected JSON")]
    Json(#[source] serde_json::Error),
}

/// The longest `type` of a problem that is repeated.
const KIND_MOST: usize = 128;

/// The kind of a problem, where it is one that a log can take.
fn kind(problem: &ProblemDetails) -> String {
    let sound = |uri: &&str| uri.len() <= KIND_MOST && uri.bytes().all(|it| it.is_ascii_graphic());
    problem.uri().filter(sound).map(|uri| format!(" ({uri})")).unwrap_or_default()
}

impl CallError {
    /// What it is called in metrics and traces (`error.type`).
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_call",
            Self::Connect(_) => "connect",
            Self::Broken(_) => "broken",
            Self::Timeout(_) => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused(_) => "refused",
            Self::TooLong => "answer_too_long",
            Self::Problem(_) | Self::Status(_) => "status",
            Self::Json(_) => "answer_not_json",
        }
    }

    /// The status of the answer, where the answer is an error.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem(problem) => Some(problem.status()),
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// The problem that the service told of.
    pub fn problem(&self) -> Option<&ProblemDetails> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// What a call through the policy came to.
    pub(super) fn of(error: Error<Failure>, timeout: Duration) -> Self {
        match error {
            Error::Inner(failure) => failure.error,
            Error::Rejected(Rejection::Deadline(_)) => Self::Timeout(timeout),
            Error::Rejected(Rejection::Open { retry_after }) => Self::Unavailable { retry_after },
            Error::Rejected(rejection) => Self::Refused(rejection),
        }
    }
}
