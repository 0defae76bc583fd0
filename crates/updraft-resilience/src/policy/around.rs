//! One policy around another, for those who need another order.

use std::fmt;
use std::sync::Arc;

use super::Policy;
use super::fallback::{Fallback, Recovery};
use super::operation::Attempt;
use crate::{Classify, Error, Rejection, Verdict};

/// An outer policy whose operation is a call through an inner one. Made by
/// [`Policy::around`].
///
/// A breaker around retries hears of a whole row of attempts as one outcome:
///
/// ```
/// use updraft_resilience::breaker::BreakerConfig;
/// use updraft_resilience::policy::Policy;
/// use updraft_resilience::retry::RetryConfig;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let outer = Policy::named("orders breaker").breaker(BreakerConfig::default()).build()?;
/// let inner = Policy::named("orders retry").retry(RetryConfig::default()).build()?;
/// let both = outer.around(&inner);
/// let answer = both.call(async |attempt| {
///     if attempt.number() < 2 { Err("not yet") } else { Ok(42) }
/// });
/// assert_eq!(answer.await, Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To the outer policy, what the inner one refused says nothing about the target: it feeds
/// neither breaker nor retry. What the inner one cut off as too late is a failure.
pub struct Around<C, F, C2, F2> {
    outer: Policy<Inwards<C>, Inwards<F>>,
    inner: Policy<C2, F2>,
}

impl<C: Clone, F: Clone, C2, F2> Around<C, F, C2, F2> {
    pub(super) fn new(outer: &Policy<C, F>, inner: &Policy<C2, F2>) -> Self {
        let core = Arc::clone(&outer.inner.core);
        let (classify, fallback) = (outer.inner.classify.clone(), outer.inner.fallback.clone());
        let outer = Policy::from_parts(core, Inwards(classify), Inwards(fallback));
        Self { outer, inner: inner.clone() }
    }
}

impl<C, F, C2, F2> Around<C, F, C2, F2> {
    /// Runs `operation` through both.
    ///
    /// # Errors
    ///
    /// As for [`Policy::call`]; a refusal of either is [`Error::Rejected`].
    pub async fn call<Op, Fut, T, E>(&self, operation: Op) -> Result<T, Error<E>>
    where
        Op: Fn(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        F: Fallback<T, E>,
        C2: Classify<T, E>,
        F2: Fallback<T, E>,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.outer.call(|_| self.inner.call(&operation)).await.map_err(flatten)
    }
}

/// A classifier, or a fallback, of an operation's own errors, for a policy around another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inwards<I>(pub(crate) I);

impl<T, E, C: Classify<T, E>> Classify<T, Error<E>> for Inwards<C> {
    fn classify(&self, outcome: Result<&T, &Error<E>>) -> Verdict {
        match outcome {
            Ok(value) => self.0.classify(Ok(value)),
            Err(Error::Inner(error)) => self.0.classify(Err(error)),
            Err(Error::Rejected(Rejection::Injected | Rejection::Deadline(_))) => {
                self.0.timed_out()
            }
            Err(Error::Rejected(_)) => Verdict::Ignore,
        }
    }

    fn timed_out(&self) -> Verdict {
        self.0.timed_out()
    }
}

impl<T, E, F> Fallback<T, Error<E>> for Inwards<F>
where
    F: Fallback<T, E>,
    T: Send + 'static,
    E: Send + 'static,
{
    fn recover(&self, error: Error<Error<E>>) -> Recovery<T, Error<E>> {
        match self.0.recover(flatten(error)) {
            Recovery::Ready(outcome) => Recovery::Ready(outcome.map_err(Error::Inner)),
            Recovery::Later(later) => {
                Recovery::Later(Box::pin(async { later.await.map_err(Error::Inner) }))
            }
        }
    }
}

/// The error of two policies as that of one.
pub(crate) fn flatten<E>(error: Error<Error<E>>) -> Error<E> {
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
