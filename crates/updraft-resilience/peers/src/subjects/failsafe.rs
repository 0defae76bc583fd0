//! failsafe: consecutive failures, or a moving average over time. Half open it has no limit.

use crate::traps::{Call, Guard, Operation, Setup, Subject, Trip};
use failsafe::futures::CircuitBreaker;
use failsafe::{Config, backoff, failure_policy};

pub struct Failsafe;

struct Breaker<B>(B);

impl Subject for Failsafe {
    fn name(&self) -> String {
        super::named("failsafe")
    }

    fn remark(&self) -> &'static str {
        "half open it has no limit that could be set"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let open_for = backoff::constant(setup.open_for);
        match setup.trip {
            Trip::Consecutive(failures) => {
                let policy = failure_policy::consecutive_failures(failures, open_for);
                Some(Box::new(Breaker(Config::new().failure_policy(policy).build())))
            }
            Trip::Time(window, least) => {
                let policy =
                    failure_policy::success_rate_over_time_window(0.5, least, window, open_for);
                Some(Box::new(Breaker(Config::new().failure_policy(policy).build())))
            }
            Trip::Calls(_) => None,
        }
    }
}

impl<B> Guard for Breaker<B>
where
    B: CircuitBreaker + Clone + 'static,
{
    fn call(&self, operation: Operation) -> Call {
        let breaker = self.0.clone();
        Box::pin(async move { drop(breaker.call(operation).await) })
    }
}
