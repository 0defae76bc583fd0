//! The gates before an attempt, and what must be given back after it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::core::Core;
use super::events::Event;
use super::stack::Stack;
use crate::adaptive::Sample;
use crate::breaker::{Breaker, Permit};
use crate::bulkhead::{Bulkhead, Place, Ticket};
use crate::{Instant, Priority, Rejection, Verdict};

/// What an attempt holds while it runs. Given back by a [`Held`].
#[derive(Debug, Default, PartialEq)]
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

impl Admission {
    /// Asks the gates in their order: rate limit, throttle, breaker, bulkhead. It is written
    /// where it stays, and is empty before, and after a refusal.
    ///
    /// Gives what waits, when the attempt has to wait for a place.
    #[inline(always)]
    pub(crate) fn ask(
        &mut self,
        core: &Core,
        stack: &Stack,
        priority: Priority,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Option<Box<Queued>>, Rejection> {
        if stack.counts_attempts {
            count(core, stack, now)?;
        }
        let permit = permit(core, stack, now)?;
        if let Some(bulkhead) = &stack.bulkhead {
            self.place = bulkhead.take_free();
            if self.place.is_none() {
                return queue(bulkhead, stack, permit, priority, deadline, now).map(Some);
            }
        }
        self.permit = permit;
        self.sample = stack.adaptive.as_ref().map(|adaptive| adaptive.on_start(now));
        Ok(None)
    }
}

/// Asks what counts attempts.
#[inline(never)]
fn count(core: &Core, stack: &Stack, now: Instant) -> Result<(), Rejection> {
    if let Some(limiter) = &stack.rate_limit {
        limiter.try_acquire(now)?;
    }
    if let Some(throttle) = &stack.throttle
        && !throttle.admit(now, &mut core.random())
    {
        return Err(Rejection::Throttled);
    }
    Ok(())
}

/// Joins the queue of a bulkhead that is full; where there is none, that is a refusal.
#[cold]
fn queue(
    bulkhead: &Bulkhead,
    stack: &Stack,
    permit: Option<Permit>,
    priority: Priority,
    deadline: Option<Instant>,
    now: Instant,
) -> Result<Box<Queued>, Rejection> {
    match bulkhead.enqueue(priority, now, deadline) {
        Ok(ticket) => Ok(Box::new(Queued { permit, ticket, has_waited: false })),
        Err(full) => {
            return_unused(stack, permit, now);
            Err(full.into())
        }
    }
}

/// Asks the breaker.
#[inline(always)]
fn permit(core: &Core, stack: &Stack, now: Instant) -> Result<Option<Permit>, Rejection> {
    let Some(breaker) = &stack.breaker else { return Ok(None) };
    match breaker.admit_closed(now) {
        Some(permit) => Ok(Some(permit)),
        None => permit_of_probe(core, breaker, now).map(Some),
    }
}

#[cold]
fn permit_of_probe(core: &Core, breaker: &Breaker, now: Instant) -> Result<Permit, Rejection> {
    let admission = breaker.admit(now);
    if let Some(transition) = admission.transition {
        core.tell(&Event::Breaker(transition));
    }
    Ok(admission.answer?)
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
}

/// An admission on its way back: [settled](Self::settle) where there is an outcome, and
/// otherwise abandoned when it is dropped, also by a panic.
///
/// It stays in its place: to move what has just been written stalls the processor.
#[must_use]
pub(crate) struct Held<'a> {
    core: &'a Core,
    stack: &'a Stack,
    admission: &'a mut Admission,
}

impl<'a> Held<'a> {
    #[inline(always)]
    pub(crate) fn new(core: &'a Core, stack: &'a Stack, admission: &'a mut Admission) -> Self {
        Self { core, stack, admission }
    }

    /// The attempt has an outcome.
    #[inline(always)]
    pub(crate) fn settle(self, verdict: Verdict, now: Instant) {
        let (core, stack) = (self.core, self.stack);
        // The breaker hears of it before the next in the queue gets the place.
        let mut transition = None;
        if let (Some(breaker), Some(permit)) = (&stack.breaker, &self.admission.permit) {
            let permit = *permit;
            self.admission.permit = None;
            transition = breaker.record(permit, verdict, now);
        }
        if let Some(throttle) = &stack.throttle
            && verdict != Verdict::Ignore
        {
            throttle.record(!verdict.is_failure(), now);
        }
        if let (Some(adaptive), Some(sample)) = (&stack.adaptive, self.admission.sample.take()) {
            let limit = adaptive.on_end(sample, verdict, now);
            // A call that began under another configuration has no say any more.
            let is_current =
                core.stack().adaptive.as_ref().is_some_and(|it| Arc::ptr_eq(it, adaptive));
            if let (Some(bulkhead), true) = (&stack.bulkhead, is_current) {
                bulkhead.set_max(limit);
            }
        }
        if let (Some(bulkhead), Some(place)) = (&stack.bulkhead, self.admission.place.take()) {
            bulkhead.release(place);
        }
        if let Some(transition) = transition {
            core.tell(&Event::Breaker(transition));
        }
    }
}

impl Drop for Held<'_> {
    /// The attempt was cut off by its caller, so nobody knows how it would have ended.
    #[inline(always)]
    fn drop(&mut self) {
        if *self.admission != Admission::default() {
            self.abandon();
        }
    }
}

impl Held<'_> {
    #[cold]
    fn abandon(&mut self) {
        let Admission { permit, place, sample } = std::mem::take(self.admission);
        let (core, stack) = (self.core, self.stack);
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
