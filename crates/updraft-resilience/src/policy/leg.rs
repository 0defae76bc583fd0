//! One row of attempts: gates, the attempt, the wait, and again. A call has one, and one
//! more for each hedge.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::admission::{Admission, Held, Queued};
use super::core::Core;
use super::events::Event;
use super::operation::{Attempt, Operation};
use super::options::CallOptions;
use super::stack::Stack;
use crate::chaos::Fault;
use crate::deadline::{self, Deadline, Entered};
use crate::retry::{Next, Retry};
use crate::{Classify, Clock, Error, Instant, Rejection, Scope, Verdict};

/// What a row of attempts needs to know of the call it belongs to.
pub(crate) struct Env<'a, C> {
    pub(crate) core: &'a Core,
    pub(crate) stack: &'a Stack,
    pub(crate) classify: &'a C,
    pub(crate) options: CallOptions,
    pub(crate) deadline: Instant,
}

impl<C> Env<'_, C> {
    fn deadline(&self) -> Option<Instant> {
        (self.deadline != Instant::NEVER).then_some(self.deadline)
    }
}

/// The time of one poll: read once, and again only where it may have passed.
pub(crate) struct Time<'a> {
    clock: &'a Clock,
    now: Instant,
}

impl<'a> Time<'a> {
    pub(crate) fn read(clock: &'a Clock) -> Self {
        Self { clock, now: clock.now() }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A timer that was set for `moment` has gone off, so it is not earlier than that,
    /// whatever a coarse clock says.
    pub(crate) fn at_least(&mut self, moment: Instant) {
        self.now = self.now.max(moment);
    }

    fn refresh(&mut self) {
        self.at_least(self.clock.now());
    }
}

/// What came of a row of attempts.
pub(crate) type Outcome<Op> = Result<<Op as Operation>::Value, Error<<Op as Operation>::Error>>;

/// What has come of the straight way.
pub(crate) enum Straight<T> {
    Value(T),
    /// The attempt runs, and has just been polled.
    Pending,
    GoesOn,
}

pin_project! {
    pub(crate) struct Leg<Fut> {
        #[pin]
        step: Step<Fut>,
        // Beside the step, because what moves from step to step is written and read each time.
        // Nothing while no attempt is admitted.
        admission: Admission,
        // Of the present attempt: when it began, and when it has to be over.
        started: Instant,
        deadline: Instant,
        begun: Instant,
        // There is none until an attempt has failed, which spares most calls its space.
        retry: Option<Box<Retry>>,
        number: u32,
        is_hedge: bool,
        has_failed: bool,
    }
}

pin_project! {
    #[project = StepView]
    #[project_replace = StepOwned]
    enum Step<Fut> {
        Waiting { until: Instant },
        Queued { queued: Box<Queued> },
        // Admitted, and not yet started; with a fault on purpose it stays so for a while.
        Admitted { until: Instant },
        Running { #[pin] future: Fut },
        Done,
    }
}

impl<Fut> Leg<Fut> {
    pub(crate) fn new(now: Instant, is_hedge: bool) -> Self {
        Self {
            step: Step::Waiting { until: Instant::ZERO },
            admission: Admission::default(),
            started: Instant::ZERO,
            deadline: Instant::NEVER,
            begun: now,
            retry: None,
            number: 0,
            is_hedge,
            has_failed: true,
        }
    }

    /// It begins now, and not when it was made.
    pub(crate) fn begin(self: Pin<&mut Self>, now: Instant) {
        *self.project().begun = now;
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    /// Whether its last attempt brought no value that may stand, or there was none.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Since when its present attempt runs.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        match self.step {
            Step::Running { .. } | Step::Admitted { .. } => Some(self.started),
            Step::Waiting { .. } | Step::Queued { .. } | Step::Done => None,
        }
    }

    /// When it wants to be looked at again although nobody has woken it.
    pub(crate) fn wake(&self) -> Instant {
        match &self.step {
            Step::Waiting { until } => *until,
            Step::Queued { queued } => queued.deadline(),
            Step::Admitted { until } => self.deadline.min(*until),
            Step::Running { .. } => self.deadline,
            Step::Done => Instant::NEVER,
        }
    }

    /// Ends it wherever it is; what it holds is given back.
    #[inline]
    pub(crate) fn abandon(self: Pin<&mut Self>, core: &Core, stack: &Stack) {
        if !self.is_done() {
            self.abandon_running(core, stack);
        }
    }

    #[inline(never)]
    fn abandon_running(self: Pin<&mut Self>, core: &Core, stack: &Stack) {
        let this = self.project();
        // What the attempt holds is given back even if dropping the attempt panics.
        let held = Held::new(core, stack, this.admission);
        // Before the place is given back: the next one must not run beside this one.
        let step = this.step.project_replace(Step::Done);
        if let StepOwned::Queued { queued } = step {
            queued.cancel(stack, core.clock.now());
        }
        drop(held);
    }

    /// The way of nearly every call, without a loop: through open gates to an attempt that is
    /// over at once.
    ///
    /// An outcome that is not simply a value is left in `outcome`: handed over together they
    /// would be copied byte by byte, which takes longer than all the rest.
    #[inline(always)]
    pub(crate) fn poll_straight<Op, C>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        operation: &mut Op,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
        outcome: &mut Option<Outcome<Op>>,
    ) -> Straight<Op::Value>
    where
        Fut: Future<Output = Result<Op::Value, Op::Error>>,
        Op: Operation<Future = Fut>,
        C: Classify<Op::Value, Op::Error>,
    {
        let now = time.now();
        if env.stack.chaos.is_some() || now >= env.deadline {
            return Straight::GoesOn;
        }
        match self.as_mut().enter(env, now) {
            Ok(true) => {}
            Ok(false) => return Straight::GoesOn,
            Err(rejection) => {
                *outcome = Some(Err(rejection.into()));
                return Straight::GoesOn;
            }
        }
        self.as_mut().start(operation, now);
        let this = self.as_mut().project();
        let deadline = *this.deadline;
        let StepView::Running { future } = this.step.project() else { return Straight::GoesOn };
        let polled = {
            let _ambient = ambient(deadline);
            future.poll(cx)
        };
        let Poll::Ready(ended) = polled else { return Straight::Pending };
        let verdict = env.classify.classify(ended.as_ref());
        match ended {
            Ok(value) if verdict == Verdict::Success => {
                self.conclude(verdict, env, time);
                Straight::Value(value)
            }
            ended => {
                let ended = (ended.map_err(Error::Inner), verdict);
                *outcome = self.ended(ended, operation, env, time);
                Straight::GoesOn
            }
        }
    }

    /// Goes on as far as it can.
    pub(crate) fn poll<Op, C>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        operation: &mut Op,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
    ) -> Poll<Outcome<Op>>
    where
        Fut: Future<Output = Result<Op::Value, Op::Error>>,
        Op: Operation<Future = Fut>,
        C: Classify<Op::Value, Op::Error>,
    {
        loop {
            let now = time.now();
            let over = now >= env.deadline;
            let this = self.as_mut().project();
            let deadline = *this.deadline;
            let ended = match this.step.project() {
                StepView::Done => return Poll::Pending,
                StepView::Running { future } => {
                    let polled = {
                        let _ambient = ambient(deadline);
                        future.poll(cx)
                    };
                    match polled {
                        Poll::Ready(outcome) => Some(judged(outcome, env)),
                        Poll::Pending if now >= deadline => Some(late(env)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                // Nothing begins when the time of the call is over.
                _ if over => return Poll::Pending,
                StepView::Waiting { until } if now < *until => return Poll::Pending,
                StepView::Waiting { .. } => match self.as_mut().enter(env, now) {
                    Ok(true) => self.as_mut().fault(env, now),
                    Ok(false) => None,
                    Err(rejection) => return Poll::Ready(Err(rejection.into())),
                },
                StepView::Queued { queued } => {
                    match queued.poll(env.core, env.stack, cx.waker(), now) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(admission)) => {
                            *this.admission = admission;
                            self.as_mut().admit(env, now);
                            self.as_mut().fault(env, now)
                        }
                        Poll::Ready(Err(rejection)) => {
                            self.abandon(env.core, env.stack);
                            return Poll::Ready(Err(rejection.into()));
                        }
                    }
                }
                StepView::Admitted { .. } if now >= deadline => Some(late(env)),
                StepView::Admitted { until } if now < *until => return Poll::Pending,
                StepView::Admitted { .. } => {
                    self.as_mut().start(operation, now);
                    None
                }
            };
            let Some(ended) = ended else { continue };
            // In the last moment a success still counts, as it does for a timer of tokio.
            // Anything else may itself come from the end of the time, of which the target
            // and the breaker know nothing.
            if over && ended.1 != Verdict::Success {
                self.abandon(env.core, env.stack);
                return Poll::Pending;
            }
            if let Some(outcome) = self.as_mut().ended(ended, operation, env, time) {
                return Poll::Ready(outcome);
            }
        }
    }

    /// An attempt has an outcome, which is that of the call unless there is another attempt.
    fn ended<Op, C>(
        mut self: Pin<&mut Self>,
        (outcome, verdict): Ended<Op::Value, Op::Error>,
        operation: &Op,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
    ) -> Option<Outcome<Op>>
    where
        Op: Operation<Future = Fut>,
    {
        if matches!(outcome, Err(Error::Rejected(Rejection::Deadline(Scope::Attempt)))) {
            env.core.tell(&Event::TimedOut(Scope::Attempt));
        }
        self.as_mut().conclude(verdict, env, time);
        let may_repeat = env.options.may_repeat && operation.can_repeat();
        if verdict.is_retryable() && may_repeat && self.as_mut().again(verdict, env, time) {
            return None;
        }
        Some(outcome)
    }

    /// Asks the gates. Whether it is admitted; otherwise it waits for a place.
    #[inline(always)]
    fn enter<C>(
        mut self: Pin<&mut Self>,
        env: &Env<'_, C>,
        now: Instant,
    ) -> Result<bool, Rejection> {
        let mut this = self.as_mut().project();
        let (priority, deadline) = (env.options.priority, env.deadline());
        match this.admission.ask(env.core, env.stack, priority, deadline, now) {
            Ok(None) => {
                self.admit(env, now);
                Ok(true)
            }
            Ok(Some(queued)) => {
                this.step.set(Step::Queued { queued });
                Ok(false)
            }
            Err(rejection) => {
                this.step.set(Step::Done);
                Err(rejection)
            }
        }
    }

    /// The gates are passed.
    #[inline(always)]
    fn admit<C>(self: Pin<&mut Self>, env: &Env<'_, C>, now: Instant) {
        let own = env.stack.config.attempt_timeout.map_or(Instant::NEVER, |span| now + span);
        let mut this = self.project();
        *this.started = now;
        *this.deadline = own.min(env.deadline);
        this.step.set(Step::Admitted { until: now });
    }

    /// There may be a fault in store, which may be the end already.
    fn fault<T, E, C>(self: Pin<&mut Self>, env: &Env<'_, C>, now: Instant) -> Option<Ended<T, E>>
    where
        C: Classify<T, E>,
    {
        let mut this = self.project();
        let until = match env.stack.chaos.as_ref()?.draw() {
            Fault::None => return None,
            Fault::Error => {
                *this.number += 1;
                return Some((Err(Rejection::Injected.into()), env.classify.timed_out()));
            }
            Fault::Latency(span) => now + span,
            Fault::Cancel => Instant::NEVER,
        };
        this.step.set(Step::Admitted { until });
        None
    }

    /// The admission stays where it is given back from until the operation has started
    /// without a panic.
    #[inline(always)]
    fn start<Op>(self: Pin<&mut Self>, operation: &mut Op, now: Instant)
    where
        Op: Operation<Future = Fut>,
    {
        let mut this = self.project();
        let deadline = *this.deadline;
        *this.number += 1;
        let attempt = Attempt {
            number: *this.number,
            is_hedge: *this.is_hedge,
            now,
            deadline: (deadline != Instant::NEVER).then_some(deadline),
        };
        let future = {
            let _ambient = ambient(deadline);
            operation.start(attempt)
        };
        this.step.set(Step::Running { future });
    }

    /// An attempt has ended, by itself or by its timeout.
    #[inline(always)]
    fn conclude<C>(self: Pin<&mut Self>, verdict: Verdict, env: &Env<'_, C>, time: &mut Time<'_>) {
        // Nobody else minds that this moment is that of the poll in which it has ended.
        if env.stack.measures || verdict != Verdict::Success {
            time.refresh();
        }
        let mut this = self.project();
        let held = Held::new(env.core, env.stack, this.admission);
        this.step.set(Step::Done);
        *this.has_failed = verdict != Verdict::Success;
        held.settle(verdict, time.now());
        if let (Some(hedge), false) = (&env.stack.hedge, *this.is_hedge) {
            hedge.observe(time.now().saturating_duration_since(*this.started), time.now());
        }
    }

    /// Whether there is another attempt, which then comes after a wait.
    #[cold]
    fn again<C>(
        self: Pin<&mut Self>,
        verdict: Verdict,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
    ) -> bool {
        let Some(config) = &env.stack.config.retry else { return false };
        let now = time.now();
        let mut this = self.project();
        let begun = *this.begun;
        let retry = this.retry.get_or_insert_with(|| Box::new(Retry::begin(begun)));
        let next = retry.after(config, verdict, now, env.deadline(), &mut env.core.random());
        match next.paid_from(env.stack.budget.as_deref(), now) {
            Next::Retry { wait, attempt } => {
                env.core.tell(&Event::Retrying { attempt, wait });
                this.step.set(Step::Waiting { until: now + wait });
                true
            }
            Next::Stop(reason) => {
                env.core.tell(&Event::GivenUp(reason));
                false
            }
        }
    }
}

/// How an attempt ended, and what that means.
type Ended<T, E> = (Result<T, Error<E>>, Verdict);

#[inline(always)]
fn judged<T, E, C: Classify<T, E>>(outcome: Result<T, E>, env: &Env<'_, C>) -> Ended<T, E> {
    let verdict = env.classify.classify(outcome.as_ref());
    (outcome.map_err(Error::Inner), verdict)
}

/// The time of an attempt is over.
fn late<T, E, C: Classify<T, E>>(env: &Env<'_, C>) -> Ended<T, E> {
    (Err(Rejection::Deadline(Scope::Attempt).into()), env.classify.timed_out())
}

/// What an attempt calls sees the deadline of the attempt.
#[inline(always)]
fn ambient(deadline: Instant) -> Option<Entered> {
    (deadline != Instant::NEVER).then(|| deadline::enter(Deadline::at(deadline)))
}
