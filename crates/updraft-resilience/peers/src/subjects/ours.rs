//! updraft-resilience: each part in a policy of its own, on a clock that is turned by hand.

use std::cell::Cell;
use std::time::Duration;

use updraft_resilience::backoff::Backoff;
use updraft_resilience::breaker::{BreakerConfig, HalfOpen, OpenFor, Trip as Opens, Window};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::hedge::{Hedge, HedgeConfig};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Clock, ManualClock, Policy};

use crate::traps::{Broken, Call, Guard, HedgeDelay, Operation, Setup, Subject, Trip};

pub struct Ours;

struct Guarded {
    hand: ManualClock,
    policy: Policy,
}

struct Delay {
    hand: ManualClock,
    hedge: Hedge,
}

const VALID: &str = "a valid configuration";

impl Subject for Ours {
    fn name(&self) -> String {
        super::named("updraft-resilience")
    }

    fn remark(&self) -> &'static str {
        "its clock is turned by hand, so its times in T2 are without a read of the clock"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let rate = Opens::failure_rate(0.5);
        let opens = match setup.trip {
            Trip::Consecutive(failures) => Opens::consecutive(failures),
            Trip::Calls(calls) => rate.over(Window::Count(calls)).min_calls(calls),
            Trip::Time(window, least) => rate.over(Window::Time(window)).min_calls(least),
        };
        let breaker = BreakerConfig::any_of([opens])
            .open_for(OpenFor::fixed(setup.open_for))
            .half_open(HalfOpen::permits(setup.half_open));
        let hand = ManualClock::new();
        let policy = Policy::named("traps").clock(hand.clock()).breaker(breaker);
        Some(Box::new(Guarded { policy: policy.build().expect(VALID), hand }))
    }

    fn bulkhead(&self, places: usize) -> Option<Box<dyn Guard>> {
        let max = u32::try_from(places).ok()?;
        let bulkhead = BulkheadConfig { max, ..BulkheadConfig::default() };
        let hand = ManualClock::new();
        let policy = Policy::named("traps").clock(hand.clock()).bulkhead(bulkhead);
        Some(Box::new(Guarded { policy: policy.build().expect(VALID), hand }))
    }

    fn hedge(&self) -> Option<Box<dyn HedgeDelay>> {
        let hedge = Hedge::new(HedgeConfig::default()).expect(VALID);
        Some(Box::new(Delay { hand: ManualClock::new(), hedge }))
    }

    fn attempts(&self, allowed: u32) -> Option<u32> {
        let backoff = Backoff::constant(Duration::from_millis(1));
        let retry = RetryConfig { attempts: allowed, backoff, ..RetryConfig::default() };
        let attempts = Cell::new(0);
        let result = super::paused_runtime().block_on(async {
            let policy = Policy::named("traps").clock(Clock::tokio()).retry(retry);
            let policy = policy.build().expect(VALID);
            let operation = |_| {
                attempts.set(attempts.get() + 1);
                std::future::ready(Err::<(), Broken>(Broken))
            };
            policy.call(operation).await
        });
        assert!(result.is_err(), "a dead backend does not succeed");
        Some(attempts.get())
    }
}

impl Guard for Guarded {
    fn call(&self, operation: Operation) -> Call {
        let policy = self.policy.clone();
        let mut operation = Some(operation);
        let call = async move {
            let once = move |_| {
                let operation = operation.take();
                async move {
                    match operation {
                        Some(operation) => operation.await,
                        None => Err(Broken),
                    }
                }
            };
            drop(policy.call(once).await);
        };
        Box::pin(call)
    }

    fn wait(&self, span: Duration) {
        self.hand.advance(span);
    }
}

impl HedgeDelay for Delay {
    fn observe(&mut self, latencies: &[Duration]) {
        for latency in latencies {
            self.hedge.observe(*latency, self.hand.now());
        }
    }

    fn wait(&mut self, span: Duration) {
        self.hand.advance(span);
    }

    fn delay(&mut self) -> Option<Duration> {
        // The last computed delay may be 10 ms old.
        self.hand.advance(Duration::from_millis(10));
        self.hedge.delay(self.hand.now())
    }
}
