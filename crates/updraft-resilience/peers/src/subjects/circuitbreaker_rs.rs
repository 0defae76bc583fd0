//! circuitbreaker-rs: consecutive failures, or a rate. Its rate has no window: it is that of
//! all calls since the start. It is put to the test as a rate over calls, since it is offered
//! as one; its `TimeBasedPolicy` is left out, because nothing feeds the window inside.

use circuitbreaker_rs::{CircuitBreaker, DefaultPolicy};

use crate::traps::{Broken, Call, Guard, Operation, Setup, Subject, Trip};

pub struct CircuitbreakerRs;

struct Breaker(CircuitBreaker<DefaultPolicy, Broken>);

impl Subject for CircuitbreakerRs {
    fn name(&self) -> String {
        super::named("circuitbreaker-rs")
    }

    fn remark(&self) -> &'static str {
        "its rate has no window, it is that of all calls since the start, or since it last closed"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let builder = CircuitBreaker::<DefaultPolicy, Broken>::builder()
            .cooldown(setup.open_for)
            .probe_interval(setup.half_open)
            .consecutive_successes(u64::from(setup.half_open));
        let builder = match setup.trip {
            Trip::Consecutive(failures) => {
                builder.consecutive_failures(u64::from(failures)).min_throughput(u64::MAX)
            }
            Trip::Calls(window) => builder
                .failure_threshold(0.5)
                .min_throughput(u64::from(window))
                .consecutive_failures(u64::MAX),
            Trip::Time(..) => return None,
        };
        Some(Box::new(Breaker(builder.build())))
    }
}

impl Guard for Breaker {
    fn call(&self, operation: Operation) -> Call {
        let breaker = self.0.clone();
        Box::pin(async move { drop(breaker.call_async(|| operation).await) })
    }
}
