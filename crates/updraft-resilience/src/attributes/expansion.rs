//! What expanded attributes call. It is there for them alone, and changes with them.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::policy::{self, Attempt, Inwards, Policy, PolicyConfig};
use crate::{Clock, Error, Rejection, RetryErrors};

/// A policy for the function itself.
///
/// # Panics
///
/// When the configuration makes no sense: attributes are checked when they are compiled.
#[must_use]
pub fn policy(name: &str, clock: Clock, config: PolicyConfig) -> Policy {
    let built = Policy::named(name).clock(clock).config(config).build();
    built.expect("an attribute is checked when it is compiled")
}

/// What [`outer_policy`] makes.
pub type OuterPolicy = Policy<Inwards<RetryErrors>>;

/// A policy around another one of the same function.
///
/// # Panics
///
/// As [`policy`].
#[must_use]
pub fn outer_policy(name: &str, clock: Clock, config: PolicyConfig) -> OuterPolicy {
    let built =
        Policy::named(name).clock(clock).config(config).classifier(Inwards(RetryErrors)).build();
    built.expect("an attribute is checked when it is compiled")
}

/// The error of two policies as that of one.
pub fn flatten<E>(error: Error<Error<E>>) -> Error<E> {
    policy::flatten(error)
}

/// An error with a place for refusals: everything that is `From<Rejection>`. It is here for
/// its message.
#[diagnostic::on_unimplemented(
    message = "a guarded function can be refused, and `{Self}` has no place for that",
    label = "is not `From<Rejection>`",
    note = "write `impl From<updraft_resilience::Rejection> for {Self}`"
)]
pub trait Refusable: From<Rejection> {}

impl<E: From<Rejection>> Refusable for E {}

/// The outcome of all policies as that of the function.
///
/// # Errors
///
/// The function's own error, or the refusal as one.
pub fn for_the_caller<T, E: Refusable>(outcome: Result<T, Error<E>>) -> Result<T, E> {
    outcome.map_err(Error::into_inner)
}

/// Nothing; but it tells the compiler what type an outcome has.
#[must_use]
pub const fn no_outcome<R>() -> Option<R> {
    None
}

/// An operation that can be started once. It owns what it needs, so nothing is cloned.
pub fn once<Fut, T, E>(attempt: Fut) -> impl FnMut(Attempt) -> Once<Fut>
where
    Fut: Future<Output = Result<T, E>>,
    E: Refusable,
{
    let mut attempt = Some(attempt);
    move |_| Once { attempt: attempt.take() }
}

pin_project! {
    /// The attempt of an operation that can be started once.
    #[derive(Debug)]
    #[must_use = "an attempt does nothing until it is awaited"]
    pub struct Once<Fut> {
        #[pin]
        attempt: Option<Fut>,
    }
}

impl<Fut, T, E> Future for Once<Fut>
where
    Fut: Future<Output = Result<T, E>>,
    E: Refusable,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().attempt.as_pin_mut() {
            Some(attempt) => attempt.poll(cx),
            None => Poll::Ready(Err(Rejection::Full.into())),
        }
    }
}

/// [`once`] for a function that blocks.
pub fn once_blocking<T, E>(
    attempt: impl FnOnce() -> Result<T, E>,
) -> impl FnMut(Attempt) -> Result<T, E>
where
    E: Refusable,
{
    let mut attempt = Some(attempt);
    move |_| match attempt.take() {
        Some(attempt) => attempt(),
        None => Err(Rejection::Full.into()),
    }
}
