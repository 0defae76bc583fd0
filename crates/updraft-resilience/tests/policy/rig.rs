//! Futures driven by hand on a clock turned by hand: each poll is counted, and time passes
//! only where nothing else can happen.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use updraft_resilience::backoff::Backoff;
use updraft_resilience::breaker::{BreakerConfig, Trip};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::{Attempt, Policy, PolicyBuilder};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Instant, ManualClock};

pub(crate) const fn ms(span: u64) -> Duration {
    Duration::from_millis(span)
}

/// A policy on that clock, whose chance repeats itself.
pub(crate) fn policy(hand: &ManualClock) -> PolicyBuilder {
    Policy::named("target").clock(hand.clock()).seed(7)
}

/// So many attempts, always that wait between them, and no budget.
pub(crate) fn tries(attempts: u32, wait: u64) -> RetryConfig {
    RetryConfig {
        attempts,
        backoff: Backoff::constant(ms(wait)),
        budget: None,
        ..RetryConfig::default()
    }
}

pub(crate) fn places(max: u32, queue: u32, wait: u64) -> BulkheadConfig {
    BulkheadConfig { max, queue, max_wait: ms(wait), ..BulkheadConfig::default() }
}

pub(crate) fn after_failures(failures: u32) -> BreakerConfig {
    BreakerConfig::any_of([Trip::consecutive(failures)])
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is polled only when it was woken, as a task is.
pub(crate) struct Driven<'a, T> {
    future: Option<Pin<Box<dyn Future<Output = T> + 'a>>>,
    wakes: Arc<Wakes>,
    seen: u32,
    polls: u32,
}

impl<'a, T> Driven<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        let wakes = Arc::new(Wakes(AtomicU32::new(1)));
        Self { future: Some(Box::pin(future)), wakes, seen: 0, polls: 0 }
    }

    /// Polls it once, woken or not.
    pub(crate) fn poll(&mut self) -> Poll<T> {
        let future = self.future.as_mut().expect("not polled after its end");
        self.polls += 1;
        let waker = Waker::from(Arc::clone(&self.wakes));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.seen != self.wakes.0.load(Ordering::SeqCst)
    }

    /// Polls it once, if it was woken since the last time.
    pub(crate) fn poll_if_woken(&mut self) -> Option<Poll<T>> {
        let wakes = self.wakes.0.load(Ordering::SeqCst);
        (self.seen != wakes).then(|| {
            self.seen = wakes;
            self.poll()
        })
    }

    /// Goes on until it is over or waits for something.
    pub(crate) fn run(&mut self) -> Poll<T> {
        while let Some(polled) = self.poll_if_woken() {
            if polled.is_ready() {
                return polled;
            }
            assert!(self.polls < 10_000, "it keeps itself busy");
        }
        Poll::Pending
    }

    /// Goes on to the end; lets time pass up to the next timer when nothing else is left.
    pub(crate) fn finish(&mut self, hand: &ManualClock) -> T {
        loop {
            if let Poll::Ready(value) = self.run() {
                return value;
            }
            to_next_timer(hand);
        }
    }

    pub(crate) const fn polls(&self) -> u32 {
        self.polls
    }

    pub(crate) fn wakes(&self) -> u32 {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

/// Lets time pass until the next moment that somebody waits for.
pub(crate) fn to_next_timer(hand: &ManualClock) {
    let next = hand.next_deadline().expect("it waits for a timer");
    let span = next.saturating_duration_since(hand.now());
    assert!(!span.is_zero(), "a timer for now should have gone off");
    hand.advance(span);
}

pub(crate) fn finish<T>(hand: &ManualClock, future: impl Future<Output = T>) -> T {
    Driven::new(future).finish(hand)
}

/// What an operation has seen: attempts, and when they started.
#[derive(Clone)]
pub(crate) struct Log {
    hand: ManualClock,
    origin: Instant,
    attempts: Rc<RefCell<Vec<(Duration, Attempt)>>>,
}

impl Log {
    pub(crate) fn new(hand: &ManualClock) -> Self {
        Self { hand: hand.clone(), origin: hand.now(), attempts: Rc::default() }
    }

    pub(crate) fn note(&self, attempt: Attempt) {
        self.attempts.borrow_mut().push((self.passed(), attempt));
    }

    /// The time since the log was begun.
    pub(crate) fn passed(&self) -> Duration {
        self.hand.now().saturating_duration_since(self.origin)
    }

    pub(crate) fn count(&self) -> usize {
        self.attempts.borrow().len()
    }

    /// When attempts started, in milliseconds since the beginning.
    pub(crate) fn starts(&self) -> Vec<u128> {
        self.attempts.borrow().iter().map(|(at, _)| at.as_millis()).collect()
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.borrow().iter().map(|(_, attempt)| *attempt).collect()
    }

    /// An operation that notes each attempt and takes `span` to end with what `outcome` says.
    pub(crate) fn taking<T: 'static, E: 'static>(
        &self,
        span: Duration,
        outcome: impl Fn(Attempt) -> Result<T, E> + Clone,
    ) -> impl FnMut(Attempt) -> Answer<T, E> {
        let log = self.clone();
        move |attempt| {
            log.note(attempt);
            let (clock, outcome) = (log.hand.clock(), outcome.clone());
            let end = log.hand.now() + span;
            let answer = outcome(attempt);
            Box::pin(async move {
                if !span.is_zero() {
                    clock.sleep_until(end).await;
                }
                answer
            })
        }
    }

    /// An operation that fails at once.
    pub(crate) fn failing(&self) -> impl FnMut(Attempt) -> Answer<u32, &'static str> {
        self.taking(Duration::ZERO, |_| Err("down"))
    }

    /// An operation that never ends.
    pub(crate) fn hanging(&self) -> impl FnMut(Attempt) -> Answer<u32, &'static str> {
        let log = self.clone();
        move |attempt| {
            log.note(attempt);
            Box::pin(std::future::pending())
        }
    }
}

pub(crate) type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;
