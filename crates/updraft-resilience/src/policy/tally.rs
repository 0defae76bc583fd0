//! How often each thing has happened, for the snapshot and for metrics. Names follow the
//! conventions of OpenTelemetry: `resilience.*`, with the policy as an attribute.

use std::sync::atomic::{AtomicU64, Ordering};

use super::events::Event;
#[cfg(feature = "metrics")]
use crate::error::Rejection;

/// The names of the metrics, which `docs/reference/resilience-metrics.md` lists.
#[cfg(feature = "metrics")]
mod names {
    pub(super) const REJECTIONS: &str = "resilience.rejections";
    pub(super) const RETRIES: &str = "resilience.retries";
    pub(super) const GIVEN_UP: &str = "resilience.retries.given_up";
    pub(super) const TIMEOUTS: &str = "resilience.timeouts";
    pub(super) const HEDGES: &str = "resilience.hedges";
    pub(super) const HEDGES_WON: &str = "resilience.hedges.won";
    pub(super) const FALLBACKS: &str = "resilience.fallbacks";
    pub(super) const TRANSITIONS: &str = "resilience.breaker.transitions";
}

/// Counts since the policy was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counts {
    /// Calls refused by a policy.
    pub rejected: u64,
    /// Attempts after a failed one.
    pub retries: u64,
    /// Failures after which no attempt followed.
    pub given_up: u64,
    /// Attempts and calls that were cut off.
    pub timed_out: u64,
    /// Attempts beside a slow one.
    pub hedges: u64,
    /// Of these, those that came first.
    pub hedges_won: u64,
    /// Values that a fallback gave.
    pub fallbacks: u64,
    /// Changes of the breaker's state.
    pub transitions: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    rejected: AtomicU64,
    retries: AtomicU64,
    given_up: AtomicU64,
    timed_out: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    fallbacks: AtomicU64,
    transitions: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, policy: &str, event: &Event) {
        let counter = match event {
            Event::Rejected(_) => &self.rejected,
            Event::Retrying { .. } => &self.retries,
            Event::GivenUp(_) => &self.given_up,
            Event::TimedOut(_) => &self.timed_out,
            Event::Hedged => &self.hedges,
            Event::HedgeWon => &self.hedges_won,
            Event::FellBack => &self.fallbacks,
            Event::Breaker(_) => &self.transitions,
            Event::Reconfigured => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        measure(policy, event);
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            rejected: read(&self.rejected),
            retries: read(&self.retries),
            given_up: read(&self.given_up),
            timed_out: read(&self.timed_out),
            hedges: read(&self.hedges),
            hedges_won: read(&self.hedges_won),
            fallbacks: read(&self.fallbacks),
            transitions: read(&self.transitions),
        }
    }
}

#[cfg(not(feature = "metrics"))]
fn measure(_policy: &str, _event: &Event) {}

#[cfg(feature = "metrics")]
fn measure(policy: &str, event: &Event) {
    use metrics::counter;
    let policy = policy.to_owned();
    match event {
        Event::Rejected(rejection) => {
            counter!(names::REJECTIONS, "policy" => policy, "reason" => reason(*rejection))
                .increment(1);
        }
        Event::Retrying { .. } => counter!(names::RETRIES, "policy" => policy).increment(1),
        Event::GivenUp(_) => counter!(names::GIVEN_UP, "policy" => policy).increment(1),
        Event::TimedOut(_) => counter!(names::TIMEOUTS, "policy" => policy).increment(1),
        Event::Hedged => counter!(names::HEDGES, "policy" => policy).increment(1),
        Event::HedgeWon => counter!(names::HEDGES_WON, "policy" => policy).increment(1),
        Event::FellBack => counter!(names::FALLBACKS, "policy" => policy).increment(1),
        Event::Breaker(change) => {
            let to = change.to.name();
            counter!(names::TRANSITIONS, "policy" => policy, "state" => to).increment(1);
        }
        Event::Reconfigured => {}
    }
}

/// The reason as a value of an attribute: few and fixed, so that series stay bounded.
#[cfg(feature = "metrics")]
const fn reason(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Open { .. } => "open",
        Rejection::Full => "full",
        Rejection::RateLimited { .. } => "rate_limited",
        Rejection::Throttled => "throttled",
        Rejection::Shed => "shed",
        Rejection::Injected => "injected",
        Rejection::Deadline(_) => "deadline",
    }
}
