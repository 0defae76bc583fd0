//! When a call has to be over: a moment that goes with the call, within the process from
//! caller to callee, and between processes as the time that is left.
//!
//! An operation under a deadline that calls others gives them no more time than it has
//! itself. [`with`] makes a deadline ambient for a future (and [`enter`] for blocking code),
//! [`current`] reads it, [`header`] carries it between processes.

mod ambient;
pub mod header;

use std::time::Duration;

use crate::Instant;

pub use ambient::{Entered, With, current, enter, with, without};

/// The moment at which a call has to be over. It belongs to the clock it was taken from: one
/// process should use one clock for its policies.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::deadline::Deadline;
///
/// let hand = ManualClock::new();
/// let whole = Deadline::after(hand.now(), Duration::from_secs(2));
/// let part = whole.tighten(Deadline::after(hand.now(), Duration::from_secs(5)));
/// hand.advance(Duration::from_millis(1500));
/// assert_eq!(part.remaining(hand.now()), Duration::from_millis(500));
/// assert!(!part.is_over(hand.now()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this moment.
    pub const fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// When `span` has passed from now. A span that no clock will see the end of stands for
    /// the end of time.
    #[must_use]
    pub fn after(now: Instant, span: Duration) -> Self {
        Self(now + span)
    }

    /// The moment.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The earlier of the two: a deadline is only ever made shorter.
    #[must_use]
    pub fn tighten(self, other: Self) -> Self {
        self.min(other)
    }

    /// The earlier of this one and the [`current`] one, if there is one.
    #[must_use]
    pub fn within_current(self) -> Self {
        current().map_or(self, |current| self.tighten(current))
    }

    /// How long until then; zero when it is over.
    pub const fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether no time is left.
    pub const fn is_over(self, now: Instant) -> bool {
        self.remaining(now).is_zero()
    }
}

#[cfg(test)]
#[path = "deadline/deadline_tests.rs"]
mod tests;
