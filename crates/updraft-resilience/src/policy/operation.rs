//! What a policy runs: something that can be started again for another attempt.

use std::time::Duration;

use crate::Instant;

/// One attempt of an operation, as its code sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub(crate) number: u32,
    pub(crate) is_hedge: bool,
    pub(crate) now: Instant,
    pub(crate) deadline: Option<Instant>,
}

impl Attempt {
    /// Which attempt of its row this is, from 1.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether it runs beside a slow one.
    pub const fn is_hedge(&self) -> bool {
        self.is_hedge
    }

    /// How long it may take: until its own timeout or the deadline of the whole call,
    /// whichever comes first. `None`: as long as it likes.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(self.now))
    }
}

/// Something that can be tried: closures `FnMut(Attempt) -> impl Future<Output = Result<T, E>>`
/// by way of [`Policy::call`](super::Policy::call), requests to a tower service by way of
/// its layer.
pub trait Operation {
    /// What it gives.
    type Value;
    /// How it fails.
    type Error;
    /// One attempt.
    type Future: Future<Output = Result<Self::Value, Self::Error>>;

    /// Starts an attempt.
    fn start(&mut self, attempt: Attempt) -> Self::Future;

    /// Whether it can be started again: not where what it needs is used up, such as a request
    /// that was not kept. Asked before each attempt but the first. `true` by default.
    fn can_repeat(&self) -> bool {
        true
    }
}

/// A closure as an [`Operation`].
#[derive(Clone, Copy, Debug)]
pub struct FromFn<F>(pub(super) F);

impl<F, Fut, T, E> Operation for FromFn<F>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Value = T;
    type Error = E;
    type Future = Fut;

    fn start(&mut self, attempt: Attempt) -> Fut {
        (self.0)(attempt)
    }
}
