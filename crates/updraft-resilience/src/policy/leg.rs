//! One row of attempts: gates, the attempt, the wait, and again. A call has one, and one
//! more for each hedge.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::admission::{Admission, Gate, Held, Queued};
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

pin_project! {
    pub(crate) struct Leg<Fut> {
        #[pin]
        step: Step<Fut>,
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
        Queued { queued: Queued },
        // Admitted, and not yet started; with a fault on purpose it stays so for a while.
        Admitted { until: Instant, admission: Admission, started: Instant, deadline: Instant },
        Running { #[pin] future: Fut, admission: Admission, started: Instant, deadline: Instant },
        Done,
    }
}

impl<Fut> Leg<Fut> {
    pub(crate) fn new(now: Instant, is_hedge: bool) -> Self {
        Self {
            step: Step::Waiting { until: Instant::ZERO },
            begun: now,
            retry: None,
            number: 0,
            is_hedge,
            has_failed: true,
        }
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
            Step::Running { started, .. } | Step::Admitted { started, .. } => Some(started),
            Step::Waiting { .. } | Step::Queued { .. } | Step::Done => None,
        }
    }

    /// When it wants to be looked at again although nobody has woken it.
    pub(crate) fn wake(&self) -> Instant {
        match &self.step {
            Step::Waiting { until } => *until,
            Step::Queued { queued } => queued.deadline(),
            Step::Admitted { until, deadline, .. } => *until.min(deadline),
            Step::Running { deadline, .. } => *deadline,
            Step::Done => Instant::NEVER,
        }
    }

    /// Ends it wherever it is; what it holds is given back.
    pub(crate) fn abandon(mut self: Pin<&mut Self>, core: &Core, stack: &Stack) {
        let held = self.as_mut().held(core, stack);
        // Before the place is given back: the next one must not run beside this one.
        let step = self.project().step.project_replace(Step::Done);
        if let StepOwned::Queued { queued } = step {
            queued.cancel(stack, core.clock.now());
        }
        drop(held);
    }

    /// What the present attempt holds; it is given back even if dropping the attempt panics.
    fn held<'a>(self: Pin<&mut Self>, core: &'a Core, stack: &'a Stack) -> Held<'a> {
        let admission = match self.project().step.project() {
            StepView::Admitted { admission, .. } | StepView::Running { admission, .. } => {
                admission.take()
            }
            _ => Admission::default(),
        };
        Held::new(core, stack, admission)
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
            let ended = match self.as_mut().project().step.project() {
                StepView::Done => return Poll::Pending,
                StepView::Running { future, deadline, .. } => {
                    let polled = {
                        let _ambient = ambient(*deadline);
                        future.poll(cx)
                    };
                    match polled {
                        Poll::Ready(outcome) => Some(judged(outcome, env)),
                        Poll::Pending if now >= *deadline => Some(late(env)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                // Nothing begins when the time of the call is over.
                _ if over => return Poll::Pending,
                StepView::Waiting { until } if now < *until => return Poll::Pending,
                StepView::Waiting { .. } => self.as_mut().enter(env, now)?,
                StepView::Queued { queued } => {
                    match queued.poll(env.core, env.stack, cx.waker(), now) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(admission)) => self.as_mut().admit(admission, env, now),
                        Poll::Ready(Err(rejection)) => {
                            self.abandon(env.core, env.stack);
                            return Poll::Ready(Err(rejection.into()));
                        }
                    }
                }
                StepView::Admitted { deadline, .. } if now >= *deadline => Some(late(env)),
                StepView::Admitted { until, .. } if now < *until => return Poll::Pending,
                StepView::Admitted { .. } => {
                    self.as_mut().start(operation, now);
                    None
                }
            };
            let Some((outcome, verdict)) = ended else { continue };
            // In the last moment a success still counts, as it does for a timer of tokio.
            // Anything else may itself come from the end of the time, of which the target
            // and the breaker know nothing.
            if over && verdict != Verdict::Success {
                self.abandon(env.core, env.stack);
                return Poll::Pending;
            }
            if matches!(outcome, Err(Error::Rejected(Rejection::Deadline(Scope::Attempt)))) {
                env.core.tell(&Event::TimedOut(Scope::Attempt));
            }
            self.as_mut().conclude(verdict, env, time);
            let may_repeat = env.options.may_repeat && operation.can_repeat();
            if !(verdict.is_retryable() && may_repeat && self.as_mut().again(verdict, env, time)) {
                return Poll::Ready(outcome);
            }
        }
    }

    /// Asks the gates.
    fn enter<T, E, C>(
        mut self: Pin<&mut Self>,
        env: &Env<'_, C>,
        now: Instant,
    ) -> Result<Option<Ended<T, E>>, Error<E>>
    where
        C: Classify<T, E>,
    {
        match Gate::pass(env.core, env.stack, env.options.priority, env.deadline(), now) {
            Ok(Gate::Open(admission)) => Ok(self.admit(admission, env, now)),
            Ok(Gate::Queue(queued)) => {
                self.as_mut().project().step.set(Step::Queued { queued });
                Ok(None)
            }
            Err(rejection) => {
                self.project().step.set(Step::Done);
                Err(rejection.into())
            }
        }
    }

    /// The gates are passed; there may be a fault in store, which may be the end already.
    fn admit<T, E, C>(
        mut self: Pin<&mut Self>,
        admission: Admission,
        env: &Env<'_, C>,
        now: Instant,
    ) -> Option<Ended<T, E>>
    where
        C: Classify<T, E>,
    {
        let fault = env.stack.chaos.as_ref().map_or(Fault::None, |chaos| chaos.draw());
        let until = match fault {
            Fault::None | Fault::Error => now,
            Fault::Latency(span) => now + span,
            Fault::Cancel => Instant::NEVER,
        };
        let own = env.stack.config.attempt_timeout.map_or(Instant::NEVER, |span| now + span);
        let deadline = own.min(env.deadline);
        self.as_mut().project().step.set(Step::Admitted {
            until,
            admission,
            started: now,
            deadline,
        });
        if fault == Fault::Error {
            *self.project().number += 1;
            return Some((Err(Rejection::Injected.into()), env.classify.timed_out()));
        }
        None
    }

    /// The admission stays where it is given back from until the operation has started
    /// without a panic.
    fn start<Op>(mut self: Pin<&mut Self>, operation: &mut Op, now: Instant)
    where
        Op: Operation<Future = Fut>,
    {
        let mut this = self.as_mut().project();
        let StepView::Admitted { deadline, .. } = this.step.as_mut().project() else { return };
        let deadline = *deadline;
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
        let step = this.step.as_mut().project_replace(Step::Done);
        if let StepOwned::Admitted { admission, started, deadline, .. } = step {
            this.step.set(Step::Running { future, admission, started, deadline });
        }
    }

    /// An attempt has ended, by itself or by its timeout.
    fn conclude<C>(
        mut self: Pin<&mut Self>,
        verdict: Verdict,
        env: &Env<'_, C>,
        time: &mut Time<'_>,
    ) {
        if env.stack.looks_at_the_end || verdict != Verdict::Success {
            time.refresh();
        }
        let since = self.running_since();
        let held = self.as_mut().held(env.core, env.stack);
        self.as_mut().project().step.set(Step::Done);
        *self.as_mut().project().has_failed = verdict != Verdict::Success;
        held.settle(verdict, time.now());
        if !self.is_hedge
            && let (Some(hedge), Some(since)) = (&env.stack.hedge, since)
        {
            hedge.observe(time.now().saturating_duration_since(since), time.now());
        }
    }

    /// Whether there is another attempt, which then comes after a wait.
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

fn judged<T, E, C: Classify<T, E>>(outcome: Result<T, E>, env: &Env<'_, C>) -> Ended<T, E> {
    let verdict = env.classify.classify(outcome.as_ref());
    (outcome.map_err(Error::Inner), verdict)
}

/// The time of an attempt is over.
fn late<T, E, C: Classify<T, E>>(env: &Env<'_, C>) -> Ended<T, E> {
    (Err(Rejection::Deadline(Scope::Attempt).into()), env.classify.timed_out())
}

/// What an attempt calls sees the deadline of the attempt.
fn ambient(deadline: Instant) -> Option<Entered> {
    (deadline != Instant::NEVER).then(|| deadline::enter(Deadline::at(deadline)))
}
