//! The choice of an endpoint for one attempt, from the choice until the attempt is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use updraft_resilience::breaker::{Permit, Transition};
use updraft_resilience::{Instant, Verdict};

use super::Endpoint;

/// An attempt that is given up sooner says nothing about its endpoint: otherwise whoever sends a
/// few requests and hangs up could open the breakers of everybody else. One that is given up
/// later counts as a failure if there are only such (`Abandoned::FailureIfAll` of the breaker):
/// an endpoint that hangs must not look healthy because its callers are less patient than the
/// gateway.
const GIVEN_UP_LATE: Duration = Duration::from_secs(1);

/// What came of an attempt, as far as the endpoint is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered as it should.
    Success,
    /// It did not answer, too late, or that it is broken.
    Failure,
    /// It asked for less load: it gets a tenth of its share for a while.
    Overloaded {
        /// For how long, as `Retry-After` has it (RFC 9110, section 10.2.3). 1 s; at most 60 s.
        retry_after: Option<Duration>,
        /// Whether this is a failure as well: a 503 is, a 429 is not (RFC 6585, section 4). It
        /// counts for the rate of the breaker, not for failures in a row.
        failed: bool,
    },
    /// What happened says nothing about the endpoint, such as a fault on purpose.
    Ignored,
}

/// An endpoint, chosen for one attempt. It counts as in flight until this is gone; dropped
/// without [`finish`](Self::finish), the attempt was given up.
#[derive(Debug)]
#[must_use = "the attempt is over when this is dropped"]
pub(crate) struct Pick {
    endpoint: Arc<Endpoint>,
    /// `None`: it goes there although the breaker refused, and does not count for it.
    permit: Option<Permit>,
    started: Instant,
    finished: bool,
}

impl Pick {
    /// Asks the breaker. `Err` when it refuses, with the time until it may not.
    pub(super) fn admitted(endpoint: &Arc<Endpoint>, now: Instant) -> Result<Self, Duration> {
        let admission = endpoint.breaker.admit(now);
        endpoint.note(admission.transition);
        match admission.answer {
            Ok(permit) => Ok(Self::new(endpoint, Some(permit), now)),
            Err(open) => Err(open.retry_after),
        }
    }

    /// Takes the endpoint even if its breaker refuses.
    pub(super) fn forced(endpoint: &Arc<Endpoint>, now: Instant) -> Self {
        match Self::admitted(endpoint, now) {
            Ok(pick) => pick,
            Err(_) => Self::new(endpoint, None, now),
        }
    }

    fn new(endpoint: &Arc<Endpoint>, permit: Option<Permit>, now: Instant) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        endpoint.tally.requests.fetch_add(1, Ordering::Relaxed);
        let endpoint = Arc::clone(endpoint);
        Self { endpoint, permit, started: now, finished: false }
    }

    /// Where the attempt goes.
    pub(crate) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The attempt is over. Gives the change of the endpoint's breaker that this brought
    /// about.
    pub(crate) fn finish(mut self, outcome: Outcome, now: Instant) -> Option<Transition> {
        self.finished = true;
        let endpoint = &*self.endpoint;
        let took = now.saturating_duration_since(self.started);
        match outcome {
            Outcome::Success => endpoint.latency.observe(took, now),
            Outcome::Failure => endpoint.latency.observe_at_least(took, now),
            Outcome::Overloaded { retry_after, .. } => {
                endpoint.latency.observe_at_least(took, now);
                endpoint.shed(retry_after, now);
            }
            Outcome::Ignored => {}
        }
        let verdict = match outcome {
            Outcome::Success => Verdict::Success,
            Outcome::Failure => Verdict::Fail,
            Outcome::Overloaded { failed: true, retry_after } => Verdict::Throttled(retry_after),
            Outcome::Overloaded { failed: false, .. } | Outcome::Ignored => Verdict::Ignore,
        };
        if verdict.is_failure() {
            endpoint.tally.failures.fetch_add(1, Ordering::Relaxed);
        }
        let permit = self.permit.take();
        let change = permit.and_then(|permit| endpoint.breaker.record(permit, verdict, now));
        endpoint.note(change);
        change
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let endpoint = &*self.endpoint;
        endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.finished {
            return;
        }
        let now = endpoint.clock.now();
        let took = now.saturating_duration_since(self.started);
        endpoint.latency.observe_at_least(took, now);
        if let Some(permit) = self.permit.take() {
            endpoint.note(if took < GIVEN_UP_LATE {
                endpoint.breaker.record(permit, Verdict::Ignore, now)
            } else {
                endpoint.breaker.abandon(permit, now)
            });
        }
    }
}
