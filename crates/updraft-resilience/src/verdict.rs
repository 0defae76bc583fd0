//! What the outcome of an attempt means, said once for all policies.

use std::time::Duration;

/// What an outcome means to every policy.
///
/// | verdict | breaker | retry | adaptive limit, throttle |
/// |---|---|---|---|
/// | [`Success`](Self::Success) | success | no | success |
/// | [`Retry`](Self::Retry) | failure | yes | overload |
/// | [`Fail`](Self::Fail) | failure | no | overload |
/// | [`Throttled`](Self::Throttled) | failure of rates, not of consecutive counts | yes, after the hint | overload |
/// | [`Ignore`](Self::Ignore) | not counted | no | not counted |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target did what it was asked to.
    Success,
    /// It failed, and asking again is safe: it did nothing, or doing it twice does no harm.
    Retry,
    /// It failed, and asking again may do harm.
    Fail,
    /// It asks for less load, and may say when to come back, as `Retry-After` does.
    Throttled(Option<Duration>),
    /// It failed for a reason that says nothing about the target's health, such as a
    /// mistake of the caller.
    Ignore,
}

impl Verdict {
    /// Whether the target did not do what it was asked to.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Retry | Self::Fail | Self::Throttled(_))
    }

    /// Whether another attempt is safe.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Retry | Self::Throttled(_))
    }
}

/// Tells what outcomes mean: implemented for closures `Fn(Result<&T, &E>) -> Verdict`.
pub trait Classify<T, E> {
    /// The meaning of one outcome.
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict;

    /// The meaning of an attempt that took longer than its timeout. [`Verdict::Retry`] where
    /// it is not said otherwise; say [`Verdict::Fail`] where doing it twice may do harm.
    fn timed_out(&self) -> Verdict {
        Verdict::Retry
    }
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(Result<&T, &E>) -> Verdict,
{
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        self(outcome)
    }
}

/// The classifier that holds when none is given: each error is a failure that may be tried
/// again. Give one where an operation is not idempotent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryErrors;

impl<T, E> Classify<T, E> for RetryErrors {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_ok() { Verdict::Success } else { Verdict::Retry }
    }
}
