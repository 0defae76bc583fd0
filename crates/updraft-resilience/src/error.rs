//! Why a call gave no value: a policy refused it, or the operation itself failed.

use std::fmt;
use std::time::Duration;

/// The error of a call through a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// A policy refused the call, or cut it off. The operation may not have run at all.
    Rejected(Rejection),
    /// The operation ran and failed.
    Inner(E),
}

/// How a policy refused a call. None of these ever counts against the target: they feed
/// neither breaker nor retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The circuit breaker is open.
    #[error("the circuit is open for another {retry_after:?}")]
    Open {
        /// When a call may be let through again.
        retry_after: Duration,
    },
    /// Every place is taken, and the queue is full or the longest wait is over.
    #[error("every place is taken")]
    Full,
    /// Too many calls in this time.
    #[error("too many calls; one is allowed again in {retry_after:?}")]
    RateLimited {
        /// When a call would be allowed.
        retry_after: Duration,
    },
    /// The target has refused so many calls that this one was not sent.
    #[error("not sent, because the target refuses most calls")]
    Throttled,
    /// There is too much work, and this call has too low a priority.
    #[error("shed, because more important work fills the capacity")]
    Shed,
    /// A fault on purpose: the policy's chaos is on.
    #[error("refused on purpose: fault injection is on")]
    Injected,
    /// The time is over.
    #[error("the {0} is over")]
    Deadline(Scope),
}

/// Which time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The time of one attempt.
    Attempt,
    /// The time of the whole call, with its waits and retries.
    Total,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempt => "time of the attempt",
            Self::Total => "time of the call",
        })
    }
}

impl Rejection {
    /// When it is worth while to come back, where that is known.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Open { retry_after } | Self::RateLimited { retry_after } => Some(retry_after),
            Self::Full | Self::Throttled | Self::Shed | Self::Injected | Self::Deadline(_) => None,
        }
    }
}

impl<E> Error<E> {
    /// The operation's own error, or the refusal as one: for functions whose error type has
    /// a place for refusals.
    pub fn into_inner(self) -> E
    where
        E: From<Rejection>,
    {
        match self {
            Self::Rejected(rejection) => rejection.into(),
            Self::Inner(error) => error,
        }
    }

    /// The refusal, if it was one.
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Rejected(rejection) => Some(*rejection),
            Self::Inner(_) => None,
        }
    }
}

impl<E> From<Rejection> for Error<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("the call was refused"),
            Self::Inner(_) => f.write_str("the call failed"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(error) => Some(error),
        }
    }
}
