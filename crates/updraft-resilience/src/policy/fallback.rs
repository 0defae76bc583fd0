//! The value of last resort.

use std::fmt;
use std::pin::Pin;

use crate::Error;

/// What a fallback has to offer.
pub enum Recovery<T, E> {
    /// A value, or an error after all.
    Ready(Result<T, Error<E>>),
    /// The same, later.
    Later(Pin<Box<dyn Future<Output = Result<T, Error<E>>> + Send>>),
}

impl<T, E> fmt::Debug for Recovery<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Later(_) => "Later",
        })
    }
}

/// Turns the error of a call into something better, after everything else was tried.
pub trait Fallback<T, E> {
    /// What there is instead of a value.
    fn recover(&self, error: Error<E>) -> Recovery<T, E>;
}

/// There is none: the error is the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoFallback;

impl<T, E> Fallback<T, E> for NoFallback {
    fn recover(&self, error: Error<E>) -> Recovery<T, E> {
        Recovery::Ready(Err(error))
    }
}

/// A function that knows another value.
#[derive(Clone, Copy, Debug)]
pub struct FallbackFn<G>(pub(super) G);

impl<T, E, G> Fallback<T, E> for FallbackFn<G>
where
    G: Fn(Error<E>) -> Result<T, Error<E>>,
{
    fn recover(&self, error: Error<E>) -> Recovery<T, E> {
        Recovery::Ready((self.0)(error))
    }
}

/// A function that gets another value from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct FallbackAsync<G>(pub(super) G);

impl<T, E, G, Fut> Fallback<T, E> for FallbackAsync<G>
where
    G: Fn(Error<E>) -> Fut,
    Fut: Future<Output = Result<T, Error<E>>> + Send + 'static,
{
    fn recover(&self, error: Error<E>) -> Recovery<T, E> {
        Recovery::Later(Box::pin((self.0)(error)))
    }
}
