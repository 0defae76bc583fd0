//! A call through a policy: a future without a box of its own. Timers, hedges and fallbacks
//! are made when they are needed, which for most calls is never.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::core::Core;
use super::events::Event;
use super::fallback::{Fallback, Recovery};
use super::leg::{Env, Leg, Outcome, Straight, Time};
use super::operation::Operation;
use super::options::CallOptions;
use super::stack::Stack;
use super::version::Version;
use super::{AsPolicy, Policy};
use crate::clock::Sleep;
use crate::{Classify, Error, Instant, Rejection, Scope, deadline};

type Recovering<Op> = Pin<Box<dyn Future<Output = Outcome<Op>> + Send>>;

pin_project! {
    /// The future of a call through a policy.
    ///
    /// When it is dropped the operation is cancelled, and whatever it held is given back.
    #[must_use = "a call does nothing until it is awaited"]
    pub struct Call<P, Op>
    where
        P: AsPolicy,
        Op: Operation,
    {
        policy: P,
        operation: Op,
        options: CallOptions,
        has_begun: bool,
        // Of the moment when it began.
        version: Version,
        deadline: Instant,
        hedge_at: Instant,
        #[pin]
        leg: Leg<Op::Future>,
        rare: Option<Box<Rare<Op>>>,
    }

    impl<P, Op> PinnedDrop for Call<P, Op>
    where
        P: AsPolicy,
        Op: Operation,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let core = &*this.policy.as_policy().inner.core;
            release(core, core.versions.of(this.version), this.leg, this.rare);
        }
    }
}

/// What a call that succeeds at once has no use for.
struct Rare<Op: Operation> {
    timer: Option<Timer>,
    /// The rows beside the first one.
    hedges: Vec<Pin<Box<Leg<Op::Future>>>>,
    hedges_started: u32,
    /// What came of the rows that have failed: the last one counts.
    failed: Option<Outcome<Op>>,
    recovering: Option<Recovering<Op>>,
}

impl<Op: Operation> Rare<Op> {
    fn of(place: &mut Option<Box<Self>>) -> &mut Self {
        place.get_or_insert_with(|| {
            Box::new(Self {
                timer: None,
                hedges: Vec::new(),
                hedges_started: 0,
                failed: None,
                recovering: None,
            })
        })
    }
}

struct Timer {
    at: Instant,
    sleep: Sleep,
}

/// Cancels what still runs.
#[inline(always)]
fn release<Op: Operation>(
    core: &Core,
    stack: &Stack,
    leg: Pin<&mut Leg<Op::Future>>,
    rare: &mut Option<Box<Rare<Op>>>,
) {
    leg.abandon(core, stack);
    if let Some(rare) = rare {
        rare.timer = None;
        for mut hedge in rare.hedges.drain(..) {
            hedge.as_mut().abandon(core, stack);
        }
    }
}

impl<P: AsPolicy, Op: Operation> Call<P, Op> {
    pub(super) fn new(policy: P, operation: Op, options: CallOptions) -> Self {
        Self {
            policy,
            operation,
            options,
            has_begun: false,
            version: None,
            deadline: Instant::NEVER,
            hedge_at: Instant::NEVER,
            leg: Leg::new(Instant::ZERO, false),
            rare: None,
        }
    }
}

impl<P, Op> Future for Call<P, Op>
where
    P: AsPolicy,
    Op: Operation,
    P::Classify: Classify<Op::Value, Op::Error>,
    P::Fallback: Fallback<Op::Value, Op::Error>,
{
    type Output = Outcome<Op>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut outcome, mut is_polled) = (None, false);
        if !self.has_begun {
            match self.as_mut().begin(cx, &mut outcome) {
                Straight::Value(value) => return Poll::Ready(Ok(value)),
                Straight::Pending => is_polled = true,
                Straight::GoesOn => {}
            }
        }
        self.go_on(cx, outcome, is_polled)
    }
}

/// An attempt that is still running when another one has come first tells by that how slow
/// the target is; left out, the delay before a hedge would shrink from window to window.
fn observe_the_slow<Fut>(core: &Core, stack: &Stack, leg: &Leg<Fut>) {
    if let (Some(hedge), Some(since)) = (&stack.hedge, leg.running_since()) {
        let now = core.clock.now();
        hedge.observe(now.saturating_duration_since(since), now);
    }
}

pub(super) fn told<T, E>(core: &Core, outcome: Result<T, Error<E>>) -> Result<T, Error<E>> {
    if outcome.is_ok() {
        core.tell(&Event::FellBack);
    }
    outcome
}

impl<P, Op> Call<P, Op>
where
    P: AsPolicy,
    Op: Operation,
    P::Classify: Classify<Op::Value, Op::Error>,
    P::Fallback: Fallback<Op::Value, Op::Error>,
{
    #[inline(always)]
    fn begin(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        outcome: &mut Option<Outcome<Op>>,
    ) -> Straight<Op::Value> {
        let mut this = self.project();
        let policy: &Policy<P::Classify, P::Fallback> = this.policy.as_policy();
        let core = &*policy.inner.core;
        let mut time = Time::read(&core.clock);
        let now = time.now();
        *this.has_begun = true;
        *this.version = core.versions.version();
        let stack = core.versions.of(this.version);
        this.leg.as_mut().begin(now);
        *this.deadline = total_deadline(stack, now);
        if let Err(rejection) = begin(stack, *this.options, now) {
            *outcome = Some(Err(rejection.into()));
            return Straight::GoesOn;
        }
        *this.hedge_at = hedge_at(stack, *this.options, now);
        let env = Env {
            core,
            stack,
            classify: &policy.inner.classify,
            options: *this.options,
            deadline: *this.deadline,
        };
        this.leg.poll_straight(cx, this.operation, &env, &mut time, outcome)
    }

    /// What a call that succeeds at once never comes to.
    #[inline(never)]
    fn go_on(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        outcome: Option<Outcome<Op>>,
        is_polled: bool,
    ) -> Poll<Outcome<Op>> {
        if let Some(rare) = self.as_mut().project().rare
            && let Some(recovering) = &mut rare.recovering
        {
            let outcome = ready!(recovering.as_mut().poll(cx));
            return Poll::Ready(told(&self.policy.as_policy().inner.core, outcome));
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => ready!(self.as_mut().poll_legs(cx, is_polled)),
        };
        let mut this = self.project();
        let policy = this.policy.as_policy();
        let core = &*policy.inner.core;
        let stack = core.versions.of(this.version);
        observe_the_slow(core, stack, &this.leg);
        release(core, stack, this.leg.as_mut(), this.rare);
        let error = match outcome {
            Ok(value) => return Poll::Ready(Ok(value)),
            Err(error) => error,
        };
        if let Error::Rejected(rejection) = &error {
            core.tell(&Event::Rejected(*rejection));
        }
        let mut future = match policy.inner.fallback.recover(error) {
            Recovery::Ready(outcome) => return Poll::Ready(told(core, outcome)),
            Recovery::Later(future) => future,
        };
        match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(told(core, outcome)),
            Poll::Pending => {
                Rare::of(this.rare).recovering = Some(future);
                Poll::Pending
            }
        }
    }

    /// Timers, hedges, further attempts. When the first row has just been polled, it is not
    /// polled again at first.
    fn poll_legs(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut is_polled: bool,
    ) -> Poll<Outcome<Op>> {
        let mut this = self.as_mut().project();
        let policy: &Policy<P::Classify, P::Fallback> = this.policy.as_policy();
        let core = &*policy.inner.core;
        let stack = core.versions.of(this.version);
        let mut time = Time::read(&core.clock);
        let env = Env {
            core,
            stack,
            classify: &policy.inner.classify,
            options: *this.options,
            deadline: *this.deadline,
        };
        loop {
            if let Some(rare) = this.rare
                && let Some(timer) = &mut rare.timer
                && Pin::new(&mut timer.sleep).poll(cx).is_ready()
            {
                time.at_least(timer.at);
                rare.timer = None;
            }
            let mut legs = Legs {
                operation: this.operation,
                leg: this.leg.as_mut(),
                rare: this.rare,
                hedge_at: this.hedge_at,
            };
            let polled = std::mem::take(&mut is_polled);
            if let Poll::Ready(outcome) = legs.poll(cx, &env, &mut time, polled) {
                return Poll::Ready(outcome);
            }
            if *this.deadline <= time.now() {
                core.tell(&Event::TimedOut(Scope::Total));
                return Poll::Ready(Err(Rejection::Deadline(Scope::Total).into()));
            }
            let wake = legs.wake().min(*this.deadline);
            if wake == Instant::NEVER {
                if let Some(rare) = this.rare {
                    rare.timer = None;
                }
                return Poll::Pending;
            }
            let rare = Rare::of(this.rare);
            if rare.timer.as_ref().is_some_and(|timer| timer.at == wake) {
                return Poll::Pending;
            }
            let timer = rare.timer.insert(Timer { at: wake, sleep: core.clock.sleep_until(wake) });
            // So that it wakes this task.
            if Pin::new(&mut timer.sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            time.at_least(wake);
            rare.timer = None;
        }
    }
}

/// The total deadline of a call that starts now: its own or the ambient one.
#[inline(always)]
pub(super) fn total_deadline(stack: &Stack, now: Instant) -> Instant {
    let own = stack.config.deadline.map_or(Instant::NEVER, |span| now + span);
    deadline::current().map_or(own, |ambient| own.min(ambient.instant()))
}

/// What happens once per call, before its first attempt.
#[inline(always)]
pub(super) fn begin(stack: &Stack, options: CallOptions, now: Instant) -> Result<(), Rejection> {
    if let Some(shedder) = &stack.shed
        && !shedder.admit(options.priority, stack.load(), now)
    {
        return Err(Rejection::Shed);
    }
    if let Some(budget) = &stack.budget {
        budget.deposit(now);
    }
    if let Some(hedge) = &stack.hedge {
        hedge.on_call();
    }
    Ok(())
}

#[inline(always)]
fn hedge_at(stack: &Stack, options: CallOptions, now: Instant) -> Instant {
    let hedge = stack.hedge.as_ref().filter(|_| options.may_repeat);
    hedge.and_then(|hedge| hedge.delay(now)).map_or(Instant::NEVER, |delay| now + delay)
}

/// All rows of attempts of one call.
struct Legs<'a, Op: Operation> {
    operation: &'a mut Op,
    leg: Pin<&'a mut Leg<Op::Future>>,
    rare: &'a mut Option<Box<Rare<Op>>>,
    hedge_at: &'a mut Instant,
}

impl<Op: Operation> Legs<'_, Op> {
    fn poll<C>(
        &mut self,
        cx: &mut Context<'_>,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
        is_polled: bool,
    ) -> Poll<Outcome<Op>>
    where
        C: Classify<Op::Value, Op::Error>,
    {
        if !is_polled
            && !self.leg.is_done()
            && let Poll::Ready(outcome) = self.leg.as_mut().poll(cx, self.operation, env, time)
        {
            match self.rare {
                Some(rare) if self.leg.has_failed() => rare.failed = Some(outcome),
                _ => return Poll::Ready(outcome),
            }
        }
        while *self.hedge_at <= time.now() {
            *self.hedge_at = self.hedge(env, time.now()).unwrap_or(Instant::NEVER);
        }
        let Some(rare) = self.rare else { return Poll::Pending };
        let mut index = 0;
        while let Some(leg) = rare.hedges.get_mut(index) {
            match leg.as_mut().poll(cx, self.operation, env, time) {
                Poll::Pending => index += 1,
                Poll::Ready(outcome) if leg.has_failed() => {
                    rare.failed = Some(outcome);
                    drop(rare.hedges.remove(index));
                }
                Poll::Ready(outcome) => {
                    env.core.tell(&Event::HedgeWon);
                    return Poll::Ready(outcome);
                }
            }
        }
        // While one of them runs there is hope.
        match rare.failed.take_if(|_| self.leg.is_done() && rare.hedges.is_empty()) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }

    /// Starts one more row of attempts where the attempt before is slow and the budget has
    /// room; gives the moment at which to look again.
    fn hedge<C>(&mut self, env: &Env<'_, C>, now: Instant) -> Option<Instant> {
        let hedge = env.stack.hedge.as_ref()?;
        let delay = hedge.delay(now)?;
        if self.leg.is_done() || env.deadline <= now || !self.operation.can_repeat() {
            return None;
        }
        let started = self.rare.as_ref().map_or(0, |rare| rare.hedges_started);
        if started == 0 {
            // The wait for a place or for a retry does not make the target slow, and a hedge
            // would only jump the queue.
            match self.leg.running_since() {
                Some(since) if since + delay <= now => {}
                Some(since) => return Some(since + delay),
                None => return Some(now + delay.max(Duration::from_millis(1))),
            }
        }
        if !hedge.try_hedge() {
            return None;
        }
        env.core.tell(&Event::Hedged);
        let rare = Rare::of(self.rare);
        rare.hedges.push(Box::pin(Leg::new(now, true)));
        rare.hedges_started += 1;
        (rare.hedges_started < hedge.config().max).then(|| now + delay)
    }

    fn wake(&self) -> Instant {
        let hedges = self.rare.iter().flat_map(|rare| rare.hedges.iter());
        let wakes = hedges.map(|leg| leg.wake()).chain([self.leg.wake(), *self.hedge_at]);
        wakes.min().unwrap_or(Instant::NEVER)
    }
}

impl<P: AsPolicy, Op: Operation> fmt::Debug for Call<P, Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("policy", &self.policy.as_policy().name())
            .finish_non_exhaustive()
    }
}
