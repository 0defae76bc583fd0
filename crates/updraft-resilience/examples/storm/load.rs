//! The clients: the same calls, once through a whole policy and once with retries only.
//!
//! Calls come at a fixed rate whether or not earlier ones have ended, as users do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval};

use crate::server::Target;
use updraft_resilience::backoff::Backoff;
use updraft_resilience::breaker::{BreakerConfig, HalfOpen, OpenFor, State, Trip, Window};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::{Event, Policy, PolicyBuilder, PolicySnapshot};
use updraft_resilience::retry::{BudgetConfig, RetryConfig};
use updraft_resilience::{Error, Invalid, Rejection};

/// Calls that each client makes in a second.
pub(crate) const PER_SECOND: f64 = 150.0;
const PAUSE: Duration = Duration::from_millis(20);
const CALLS: usize = 3;

/// What all retries together may use.
pub(crate) const BUDGET: BudgetConfig = BudgetConfig { share: 0.1, per_second: 1.0, burst: 20 };

/// Calls by their end, and what they cost.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) calls: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) late: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
}

impl Tally {
    /// The latencies of the answers since this was asked last.
    pub(crate) fn take_latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, outcome: &Result<(), Error<std::io::Error>>, took: Duration) {
        let counter = match outcome {
            Ok(()) => {
                self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
                &self.answered
            }
            Err(Error::Inner(_)) => &self.failed,
            Err(Error::Rejected(Rejection::Open { .. })) => &self.open,
            Err(Error::Rejected(Rejection::Deadline(_))) => &self.late,
            Err(Error::Rejected(_)) => &self.full,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who calls a server.
pub(crate) struct Client {
    policy: Policy,
    target: Target,
    pub(crate) tally: Arc<Tally>,
    turns: Arc<Turns>,
    load: Option<JoinHandle<()>>,
}

/// How often the circuit has changed.
#[derive(Default)]
struct Turns {
    opened: AtomicU64,
    closed: AtomicU64,
}

/// What both clients have.
fn retries(name: &str, budget: Option<BudgetConfig>) -> PolicyBuilder {
    Policy::named(name)
        .deadline(Duration::from_millis(1500))
        .attempt_timeout(Duration::from_millis(300))
        .retry(RetryConfig {
            attempts: 4,
            backoff: Backoff::exponential(Duration::from_millis(20), Duration::from_millis(200)),
            budget,
            ..RetryConfig::default()
        })
}

impl Client {
    /// Four attempts, and nothing that holds them back.
    pub(crate) fn plain(target: Target) -> Result<Self, Invalid> {
        Self::new(retries("retries only", None), target)
    }

    /// The same with a budget, a breaker and a bulkhead.
    pub(crate) fn guarded(target: Target) -> Result<Self, Invalid> {
        let half_fail = Trip::failure_rate(0.5).over(Window::Time(Duration::from_secs(1)));
        let breaker = BreakerConfig::any_of([half_fail])
            .open_for(OpenFor {
                first: Duration::from_millis(300),
                factor: 2.0,
                max: Duration::from_millis(1200),
            })
            .half_open(HalfOpen::permits(3).max_wait(Duration::from_secs(1)));
        let bulkhead = BulkheadConfig {
            max: 12,
            queue: 24,
            max_wait: Duration::from_millis(150),
            ..BulkheadConfig::default()
        };
        Self::new(retries("guarded", Some(BUDGET)).breaker(breaker).bulkhead(bulkhead), target)
    }

    fn new(policy: PolicyBuilder, target: Target) -> Result<Self, Invalid> {
        let turns = Arc::new(Turns::default());
        let seen = Arc::clone(&turns);
        let policy = policy.on_event(move |_policy, event| {
            if let Event::Breaker(change) = event {
                match change.to {
                    State::Open => drop(seen.opened.fetch_add(1, Ordering::Relaxed)),
                    State::Closed => drop(seen.closed.fetch_add(1, Ordering::Relaxed)),
                    State::HalfOpen => {}
                }
            }
        });
        Ok(Self { policy: policy.build()?, target, tally: Arc::default(), turns, load: None })
    }

    /// Begins to call, until it is dropped.
    pub(crate) fn send_load(&mut self) {
        let (policy, target) = (self.policy.clone(), self.target.clone());
        let tally = Arc::clone(&self.tally);
        self.load = Some(tokio::spawn(async move {
            let mut calls = JoinSet::new();
            let mut pace = interval(PAUSE);
            loop {
                pace.tick().await;
                for _ in 0..CALLS {
                    calls.spawn(call(policy.clone(), target.clone(), Arc::clone(&tally)));
                }
                while calls.try_join_next().is_some() {}
            }
        }));
    }

    pub(crate) fn snapshot(&self) -> PolicySnapshot {
        self.policy.handle().snapshot()
    }

    /// Retries that the budget has refused.
    pub(crate) fn not_granted(&self) -> u64 {
        self.policy.handle().retry_budget().map_or(0, |budget| budget.exhausted())
    }

    pub(crate) fn opened(&self) -> u64 {
        self.turns.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn closed(&self) -> u64 {
        self.turns.closed.load(Ordering::Relaxed)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(load) = &self.load {
            load.abort();
        }
    }
}

async fn call(policy: Policy, target: Target, tally: Arc<Tally>) {
    let began = Instant::now();
    tally.calls.fetch_add(1, Ordering::Relaxed);
    let outcome = policy
        .call(|_attempt| {
            tally.attempts.fetch_add(1, Ordering::Relaxed);
            target.ask()
        })
        .await;
    tally.count(&outcome, began.elapsed());
}
