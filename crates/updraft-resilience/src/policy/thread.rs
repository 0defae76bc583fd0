//! Calls of blocking code: the same parts in the same order, and waits that hold the thread.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::admission::{Admission, Held};
use super::core::Core;
use super::events::Event;
use super::fallback::{Fallback, Recovery};
use super::operation::Attempt;
use super::options::CallOptions;
use super::stack::Stack;
use super::{Policy, call};
use crate::chaos::Fault;
use crate::deadline::{self, Deadline};
use crate::retry::{Next, Retry};
use crate::{Classify, Error, Instant, Rejection, Scope, Verdict};

/// Runs a blocking operation through a policy.
pub(super) fn call<C, F, Op, T, E>(
    policy: &Policy<C, F>,
    options: CallOptions,
    mut operation: Op,
) -> Result<T, Error<E>>
where
    Op: FnMut(Attempt) -> Result<T, E>,
    C: Classify<T, E>,
    F: Fallback<T, E>,
{
    let core = &*policy.inner.core;
    let error = match attempts(policy, options, &mut operation) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Error::Rejected(rejection) = &error {
        core.tell(&Event::Rejected(*rejection));
    }
    call::told(
        core,
        match policy.inner.fallback.recover(error) {
            Recovery::Ready(outcome) => outcome,
            Recovery::Later(future) => wait_for(future),
        },
    )
}

/// Waits on this thread for what a fallback has to offer.
fn wait_for<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let waker = Waker::from(Arc::new(Parked(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[inline]
fn attempts<C, F, Op, T, E>(
    policy: &Policy<C, F>,
    options: CallOptions,
    operation: &mut Op,
) -> Result<T, Error<E>>
where
    Op: FnMut(Attempt) -> Result<T, E>,
    C: Classify<T, E>,
{
    let core = &*policy.inner.core;
    let stack = core.stack();
    let mut now = core.clock.now();
    let deadline = call::total_deadline(&stack, now);
    call::begin(&stack, options, now)?;
    let mut retry = Retry::begin(now);
    let mut number = 0;
    loop {
        if deadline <= now {
            core.tell(&Event::TimedOut(Scope::Total));
            return Err(Rejection::Deadline(Scope::Total).into());
        }
        let mut admission = Admission::default();
        match pass(core, &stack, options, deadline, &mut now, &mut admission) {
            Ok(()) => {}
            // The wait for a place has taken the rest of the time.
            Err(Rejection::Full) if deadline <= now => continue,
            Err(rejection) => return Err(rejection.into()),
        }
        let held = Held::new(core, &stack, &mut admission);
        number += 1;
        let until = stack.config.attempt_timeout.map_or(deadline, |span| deadline.min(now + span));
        let (outcome, verdict) = match fault(core, &stack, until) {
            // That was the time of the whole call, which is no failure of the target.
            Some(Rejection::Deadline(_)) if deadline <= core.clock.now() => {
                now = deadline;
                continue;
            }
            Some(rejection) => {
                if let Rejection::Deadline(scope) = rejection {
                    core.tell(&Event::TimedOut(scope));
                }
                (Err(rejection.into()), policy.inner.classify.timed_out())
            }
            None => {
                if stack.chaos.is_some() {
                    now = core.clock.now();
                }
                let outcome = {
                    let bound = (until != Instant::NEVER).then_some(until);
                    let _ambient = bound.map(|until| deadline::enter(Deadline::at(until)));
                    operation(Attempt { number, is_hedge: false, now, deadline: bound })
                };
                let verdict = policy.inner.classify.classify(outcome.as_ref());
                match outcome {
                    // Apart, so that the value is not copied about with the rest.
                    Ok(value) if verdict == Verdict::Success => {
                        held.settle(verdict, ended(core, &stack, now));
                        return Ok(value);
                    }
                    outcome => (outcome.map_err(Error::Inner), verdict),
                }
            }
        };
        now = core.clock.now();
        held.settle(verdict, now);
        if !verdict.is_retryable() {
            return outcome;
        }
        let Some(wait_until) = again(core, &stack, options, &mut retry, verdict, deadline) else {
            return outcome;
        };
        core.clock.block_until(wait_until);
        now = core.clock.now();
    }
}

/// When an attempt that began at `begin` has succeeded, as far as somebody minds.
#[inline]
fn ended(core: &Core, stack: &Stack, begin: Instant) -> Instant {
    if stack.looks_at_the_end { core.clock.now() } else { begin }
}

/// When another attempt is to start, if one is.
fn again(
    core: &Core,
    stack: &Stack,
    options: CallOptions,
    retry: &mut Retry,
    verdict: Verdict,
    deadline: Instant,
) -> Option<Instant> {
    let config = stack.config.retry.as_ref().filter(|_| options.may_repeat)?;
    let now = core.clock.now();
    let deadline = (deadline != Instant::NEVER).then_some(deadline);
    let next = retry.after(config, verdict, now, deadline, &mut core.random());
    match next.paid_from(stack.budget.as_deref(), now) {
        Next::Retry { wait, attempt } => {
            core.tell(&Event::Retrying { attempt, wait });
            Some(now + wait)
        }
        Next::Stop(reason) => {
            core.tell(&Event::GivenUp(reason));
            None
        }
    }
}

/// A fault on purpose. A delay is waited for here, up to the end of the attempt's time; one
/// without end ends at once where nothing else would end it.
#[inline]
fn fault(core: &Core, stack: &Stack, until: Instant) -> Option<Rejection> {
    let delayed = match stack.chaos.as_ref().map_or(Fault::None, |chaos| chaos.draw()) {
        Fault::None => return None,
        Fault::Latency(span) => core.clock.now() + span,
        Fault::Cancel if until != Instant::NEVER => Instant::NEVER,
        Fault::Error | Fault::Cancel => return Some(Rejection::Injected),
    };
    core.clock.block_until(delayed.min(until));
    (until <= delayed).then_some(Rejection::Deadline(Scope::Attempt))
}

/// Asks the gates, and waits in their queue; then it is later.
#[inline]
fn pass(
    core: &Core,
    stack: &Stack,
    options: CallOptions,
    deadline: Instant,
    now: &mut Instant,
    admission: &mut Admission,
) -> Result<(), Rejection> {
    let bound = (deadline != Instant::NEVER).then_some(deadline);
    if let Some(queued) = admission.ask(core, stack, options.priority, bound, *now)? {
        let waited = queued.block(core, stack);
        *now = core.clock.now();
        *admission = waited?;
    }
    Ok(())
}
