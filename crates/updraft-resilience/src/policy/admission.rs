//! The gates before an attempt, and what must be given back after it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::core::Core;
use super::events::Event;
use super::stack::Stack;
use crate::adaptive::Sample;
use crate::breaker::Permit;
use crate::bulkhead::{Place, Ticket};
use crate::{Instant, Priority, Rejection, Verdict};

/// What an attempt holds while it runs. Given back by a [`Held`].
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Admission {
    permit: Option<Permit>,
    place: Option<Place>,
    sample: Option<Sample>,
}

/// An attempt that waits for a place.
#[derive(Debug)]
#[must_use]
pub(crate) struct Queued {
    permit: Option<Permit>,
    ticket: Ticket,
    has_waited: bool,
}

/// Whether an attempt may run.
pub(crate) enum Gate {
    Open(Admission),
    Queue(Queued),
}

impl Gate {
    /// Asks the gates in their order: rate limit, throttle, breaker, bulkhead.
    pub(crate) fn pass(
        core: &Core,
        stack: &Stack,
        priority: Priority,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Self, Rejection> {
        if let Some(limiter) = &stack.rate_limit {
            limiter.try_acquire(now)?;
        }
        if let Some(throttle) = &stack.throttle
            && !throttle.admit(now, &mut core.random())
        {
            return Err(Rejection::Throttled);
        }
        let permit = permit(core, stack, now)?;
        let Some(bulkhead) = &stack.bulkhead else {
            return Ok(Self::Open(Admission::new(permit, None, stack, now)));
        };
        let gate = if stack.waits_for_places() {
            bulkhead
                .enqueue(priority, now, deadline)
                .map(|ticket| Self::Queue(Queued { permit, ticket, has_waited: false }))
        } else {
            bulkhead
                .try_acquire()
                .map(|place| Self::Open(Admission::new(permit, Some(place), stack, now)))
        };
        gate.map_err(|full| {
            return_unused(stack, permit, now);
            full.into()
        })
    }
}

/// Asks the breaker.
fn permit(core: &Core, stack: &Stack, now: Instant) -> Result<Option<Permit>, Rejection> {
    let Some(breaker) = &stack.breaker else { return Ok(None) };
    let admission = breaker.admit(now);
    if let Some(transition) = admission.transition {
        core.tell(&Event::Breaker(transition));
    }
    Ok(Some(admission.answer?))
}

/// A place that cannot be had is not the target's fault: the breaker never hears of it.
fn return_unused(stack: &Stack, permit: Option<Permit>, now: Instant) {
    if let (Some(breaker), Some(permit)) = (&stack.breaker, permit) {
        // What is ignored changes no state, so there is nothing to tell.
        let _ = breaker.record(permit, Verdict::Ignore, now);
    }
}

impl Queued {
    /// When the wait is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.ticket.deadline()
    }

    /// The place, when it is this one's turn. After a refusal it is still to be
    /// [cancelled](Self::cancel).
    pub(crate) fn poll(
        &mut self,
        core: &Core,
        stack: &Stack,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<Admission, Rejection>> {
        let Some(bulkhead) = &stack.bulkhead else { return Poll::Ready(Err(Rejection::Full)) };
        match bulkhead.poll_ticket(&mut self.ticket, waker) {
            Poll::Pending if now < self.deadline() => {
                self.has_waited = true;
                Poll::Pending
            }
            Poll::Pending | Poll::Ready(Err(_)) => Poll::Ready(Err(Rejection::Full)),
            Poll::Ready(Ok(place)) if self.has_waited => {
                let permit = self.permit.take();
                Poll::Ready(Admission::after_wait(core, stack, permit, place, now))
            }
            Poll::Ready(Ok(place)) => {
                Poll::Ready(Ok(Admission::new(self.permit.take(), Some(place), stack, now)))
            }
        }
    }

    /// The place, when it is this one's turn: for a thread, which waits here.
    pub(crate) fn block(self, core: &Core, stack: &Stack) -> Result<Admission, Rejection> {
        let Self { permit, ticket, .. } = self;
        let Some(bulkhead) = &stack.bulkhead else { return Err(Rejection::Full) };
        let waited = bulkhead.wait_blocking(ticket, &core.clock);
        let now = core.clock.now();
        match waited {
            Ok(place) => Admission::after_wait(core, stack, permit, place, now),
            Err(full) => {
                return_unused(stack, permit, now);
                Err(full.into())
            }
        }
    }

    /// Leaves the queue; a place that was just granted is passed on.
    pub(crate) fn cancel(self, stack: &Stack, now: Instant) {
        if let Some(bulkhead) = &stack.bulkhead {
            bulkhead.cancel(self.ticket);
        }
        return_unused(stack, self.permit, now);
    }
}

impl Admission {
    fn new(permit: Option<Permit>, place: Option<Place>, stack: &Stack, now: Instant) -> Self {
        let sample = stack.adaptive.as_ref().map(|adaptive| adaptive.on_start(now));
        Self { permit, place, sample }
    }

    /// Asks the breaker once more: it may have opened during the wait, and the wait is not to
    /// be counted as the target's slowness.
    fn after_wait(
        core: &Core,
        stack: &Stack,
        early: Option<Permit>,
        place: Place,
        now: Instant,
    ) -> Result<Self, Rejection> {
        return_unused(stack, early, now);
        match permit(core, stack, now) {
            Ok(permit) => Ok(Self::new(permit, Some(place), stack, now)),
            Err(rejection) => {
                if let Some(bulkhead) = &stack.bulkhead {
                    bulkhead.release(place);
                }
                Err(rejection)
            }
        }
    }

    /// Leaves nothing behind.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

/// An admission on its way back: [settled](Self::settle) where there is an outcome, and
/// otherwise abandoned when it is dropped, also by a panic.
#[must_use]
pub(crate) struct Held<'a> {
    core: &'a Core,
    stack: &'a Stack,
    admission: Admission,
}

impl<'a> Held<'a> {
    pub(crate) fn new(core: &'a Core, stack: &'a Stack, admission: Admission) -> Self {
        Self { core, stack, admission }
    }

    /// The attempt has an outcome.
    pub(crate) fn settle(mut self, verdict: Verdict, now: Instant) {
        let Admission { permit, place, sample } = self.admission.take();
        let Self { core, stack, .. } = self;
        // The breaker hears of it before the next in the queue gets the place.
        let transition = match (&stack.breaker, permit) {
            (Some(breaker), Some(permit)) => breaker.record(permit, verdict, now),
            _ => None,
        };
        if let Some(throttle) = &stack.throttle
            && verdict != Verdict::Ignore
        {
            throttle.record(!verdict.is_failure(), now);
        }
        if let (Some(adaptive), Some(sample)) = (&stack.adaptive, sample) {
            let limit = adaptive.on_end(sample, verdict, now);
            // A call that began under another configuration has no say any more.
            let is_current =
                core.stack().adaptive.as_ref().is_some_and(|it| Arc::ptr_eq(it, adaptive));
            if let (Some(bulkhead), true) = (&stack.bulkhead, is_current) {
                bulkhead.set_max(limit);
            }
        }
        if let (Some(bulkhead), Some(place)) = (&stack.bulkhead, place) {
            bulkhead.release(place);
        }
        if let Some(transition) = transition {
            core.tell(&Event::Breaker(transition));
        }
    }
}

impl Drop for Held<'_> {
    /// The attempt was cut off by its caller, so nobody knows how it would have ended.
    fn drop(&mut self) {
        let Admission { permit, place, sample } = self.admission.take();
        let Self { core, stack, .. } = self;
        let transition = match (&stack.breaker, permit) {
            (Some(breaker), Some(permit)) => breaker.abandon(permit, core.clock.now()),
            _ => None,
        };
        if let (Some(adaptive), Some(sample)) = (&stack.adaptive, sample) {
            adaptive.on_abandon(sample);
        }
        if let (Some(bulkhead), Some(place)) = (&stack.bulkhead, place) {
            bulkhead.release(place);
        }
        if let Some(transition) = transition {
            core.tell(&Event::Breaker(transition));
        }
    }
}
