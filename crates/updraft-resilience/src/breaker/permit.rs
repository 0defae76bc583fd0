//! What a breaker hands out and tells: permits, refusals, states and their changes.

use std::fmt;
use std::time::Duration;

use super::word::Word;
use crate::{Instant, Rejection};

/// The leave to make one call. Hand it back with [`record`](super::Breaker::record) or
/// [`abandon`](super::Breaker::abandon), once.
///
/// It is a tag of 16 bytes, so that it fits into any future; whoever holds it sees to it that
/// it comes back also when the call is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a permit that never comes back may keep a half-open circuit waiting"]
pub struct Permit {
    /// The generation, state and mode that admitted the call; `None` is no generation: the
    /// call is let through without being counted.
    pub(super) head: Word,
    pub(super) started: Instant,
}

impl Permit {
    /// When the call began.
    pub const fn started(self) -> Instant {
        self.started
    }
}

/// The refusal of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// When it is worth while to come back. While the circuit is half-open and takes no more
    /// probes nobody knows; then it is the first open time, at most 1 s. While the circuit is
    /// [forced open](super::Breaker::force_open) it is [`Duration::MAX`].
    pub retry_after: Duration,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Rejection::from(*self).fmt(f)
    }
}

impl std::error::Error for Open {}

impl From<Open> for Rejection {
    fn from(open: Open) -> Self {
        Self::Open { retry_after: open.retry_after }
    }
}

/// The state of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum State {
    /// Every call goes through.
    Closed,
    /// No call goes through.
    Open,
    /// Probes go through, or would: the open time is over.
    HalfOpen,
}

impl State {
    /// Its name in metrics: lower case, words joined by `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The moment it happened.
    pub at: Instant,
}

/// The answer to a call that asks to go through, and the change of state that asking brought
/// about: an open circuit turns half-open with the first call after its time, and a half-open
/// one whose probes hang opens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it holds a permit"]
pub struct Admission {
    /// The permit or the refusal.
    pub answer: Result<Permit, Open>,
    /// The change of state, if there was one.
    pub transition: Option<Transition>,
}
