//! What policies tell about themselves: events to listeners, to `tracing` and to metrics.
//! All of it is off the path of a call that succeeds at once, or costs a counter there.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::breaker::Transition;
use crate::error::{Rejection, Scope};
use crate::retry::StopReason;

/// Something that happened in a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call was refused.
    Rejected(Rejection),
    /// An attempt failed, and another one follows after a wait.
    Retrying {
        /// The number of the attempt that follows.
        attempt: u32,
        /// How long until then.
        wait: Duration,
    },
    /// An attempt failed, and none follows.
    GivenUp(StopReason),
    /// A time is over.
    TimedOut(Scope),
    /// The breaker changed its state.
    Breaker(Transition),
    /// Another attempt was started beside a slow one.
    Hedged,
    /// The attempt that was started later came first.
    HedgeWon,
    /// A fallback gave the value.
    FellBack,
    /// The configuration was changed.
    Reconfigured,
}

type Listener = Arc<dyn Fn(&str, &Event) + Send + Sync>;

/// Those who want to hear of events.
#[derive(Default)]
pub(crate) struct Listeners(RwLock<Vec<Listener>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells everybody, outside of every lock. A listener that panics harms nobody else.
    pub(crate) fn tell(&self, policy: &str, event: &Event) {
        trace(policy, event);
        let listeners = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            // Its own panic message has been printed; there is nobody else to tell.
            drop(catch_unwind(AssertUnwindSafe(|| listener(policy, event))));
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.read().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "Listeners({count})")
    }
}

#[cfg(not(feature = "tracing"))]
fn trace(_policy: &str, _event: &Event) {}

#[cfg(feature = "tracing")]
fn trace(policy: &str, event: &Event) {
    match event {
        Event::Breaker(change) => {
            tracing::warn!(target: "resilience", policy, from = ?change.from, to = ?change.to, "circuit breaker changed its state");
        }
        Event::Rejected(rejection) => {
            tracing::debug!(target: "resilience", policy, %rejection, "call rejected");
        }
        Event::Retrying { attempt, wait } => {
            tracing::debug!(target: "resilience", policy, attempt, ?wait, "retrying");
        }
        Event::GivenUp(reason) => {
            tracing::debug!(target: "resilience", policy, ?reason, "no further attempt");
        }
        Event::TimedOut(scope) => {
            tracing::debug!(target: "resilience", policy, ?scope, "timed out");
        }
        Event::Hedged | Event::HedgeWon | Event::FellBack => {
            tracing::debug!(target: "resilience", policy, ?event);
        }
        Event::Reconfigured => {
            tracing::info!(target: "resilience", policy, "policy reconfigured");
        }
    }
}
