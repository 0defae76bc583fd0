//! What callers of a bulkhead hold: a place, or a number in the queue for one; and what they are
//! told when they get neither.

use super::line::Spot;
use crate::{Instant, Rejection};

/// Every place is taken, and the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every place is taken")]
pub struct Full;

impl From<Full> for Rejection {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

/// A place of a [`Bulkhead`](super::Bulkhead). Whoever holds it gives it back exactly once, by
/// [`release`](super::Bulkhead::release); until then it counts as in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the place stays taken until it is released"]
pub struct Place(pub(super) ());

/// A caller's number in the queue of a [`Bulkhead`](super::Bulkhead): to be polled until it is ready, or
/// cancelled. One that is dropped instead may take a place with it.
#[derive(Debug)]
#[must_use = "a ticket that is neither polled to its end nor cancelled may keep a place"]
pub struct Ticket {
    pub(super) state: State,
    pub(super) deadline: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Placed(Place),
    Waiting(Spot),
    Spent,
}

impl Ticket {
    /// When the wait is over: after [`max_wait`](super::BulkheadConfig::max_wait), or at the caller's
    /// own deadline if that is earlier. The caller then [cancels](super::Bulkhead::cancel).
    ///
    /// A ticket that had its place at once has the caller's deadline, or the end of time.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// What a [`Bulkhead`](super::Bulkhead) is doing and has done. Each number is right; together they are not of
/// exactly one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BulkheadSnapshot {
    /// The most calls at once.
    pub max: u32,
    /// Places that are taken; more than `max` for a while after `max` became smaller.
    pub in_use: u32,
    /// Callers that wait.
    pub queued: u32,
    /// Callers refused at once, since the start.
    pub rejected: u64,
    /// Waiting callers refused to make room for more important ones, since the start.
    pub evicted: u64,
    /// Waiting callers that gave up, because they had waited long enough or were dropped,
    /// since the start.
    pub abandoned: u64,
}
