//! One policy around another, for those who need another order.

use std::fmt;

use super::Policy;
use super::fallback::Fallback;
use super::operation::Attempt;
use crate::{Classify, Error};

/// An outer policy whose operation is a call through an inner one. Made by
/// [`Policy::around`].
///
/// A breaker around retries hears of a whole row of attempts as one outcome:
///
/// ```
/// use updraft_resilience::{Error, Verdict};
/// use updraft_resilience::breaker::BreakerConfig;
/// use updraft_resilience::policy::Policy;
/// use updraft_resilience::retry::RetryConfig;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let outer = Policy::named("orders breaker")
///     .breaker(BreakerConfig::default())
///     .classify(|outcome: Result<&u32, &Error<&'static str>>| match outcome {
///         Ok(_) => Verdict::Success,
///         Err(_) => Verdict::Fail,
///     })
///     .build()?;
/// let inner = Policy::named("orders retry").retry(RetryConfig::default()).build()?;
/// let both = outer.around(&inner);
/// let answer = both.call(async |attempt| {
///     if attempt.number() < 2 { Err("not yet") } else { Ok(42) }
/// });
/// assert_eq!(answer.await, Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Around<C, F, C2, F2> {
    outer: Policy<C, F>,
    inner: Policy<C2, F2>,
}

impl<C, F, C2, F2> Around<C, F, C2, F2> {
    pub(super) fn new(outer: Policy<C, F>, inner: Policy<C2, F2>) -> Self {
        Self { outer, inner }
    }

    /// Runs `operation` through both.
    ///
    /// # Errors
    ///
    /// As for [`Policy::call`]; a refusal of either is [`Error::Rejected`].
    pub async fn call<Op, Fut, T, E>(&self, operation: Op) -> Result<T, Error<E>>
    where
        Op: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, Error<E>>,
        F: Fallback<T, Error<E>>,
        C2: Classify<T, E>,
        F2: Fallback<T, E>,
    {
        self.outer.call(|_| self.inner.call(&operation)).await.map_err(flatten)
    }
}

fn flatten<E>(error: Error<Error<E>>) -> Error<E> {
    match error {
        Error::Rejected(rejection) => Error::Rejected(rejection),
        Error::Inner(error) => error,
    }
}

impl<C, F, C2, F2> fmt::Debug for Around<C, F, C2, F2> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Around({} around {})", self.outer.name(), self.inner.name())
    }
}
