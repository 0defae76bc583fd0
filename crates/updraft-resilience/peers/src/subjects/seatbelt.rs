//! seatbelt: a rate over time. Half open it is set to its single probe, since its default
//! lets shares of the calls through over minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use layered::{Execute, Service, Stack};
use seatbelt::breaker::{Breaker, HalfOpenMode};
use seatbelt::retry::{Backoff, Retry};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;

use crate::traps::{Broken, Call, Guard, Operation, Setup, Subject, Trip};

pub struct Seatbelt;

struct Through<S>(Arc<S>);

impl Subject for Seatbelt {
    fn name(&self) -> String {
        super::named("seatbelt")
    }

    fn remark(&self) -> &'static str {
        "half open it is set to its single probe; by default it lets growing shares of the calls \
         through over minutes"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let Trip::Time(window, least) = setup.trip else { return None };
        let clock = Clock::new_tokio();
        let context = ResilienceContext::<Operation, Result<(), Broken>>::new(&clock);
        let stack = (
            Breaker::layer("breaker", &context)
                .recovery_with(|result: &Result<(), Broken>, _| recovery(result))
                .rejected_input_error(|_, _| Broken)
                .failure_threshold(0.5)
                .min_throughput(least)
                .sampling_duration(window)
                .break_duration(setup.open_for)
                .half_open_mode(HalfOpenMode::quick()),
            Execute::new(|operation: Operation| operation),
        );
        Some(Box::new(Through(Arc::new(stack.into_service()))))
    }

    fn attempts(&self, allowed: u32) -> Option<u32> {
        let attempts = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&attempts);
        super::paused_runtime().block_on(async move {
            let clock = Clock::new_tokio();
            let context = ResilienceContext::<(), Result<(), Broken>>::new(&clock);
            let stack = (
                Retry::layer("retry", &context)
                    .clone_input()
                    .recovery_with(|result: &Result<(), Broken>, _| recovery(result))
                    .max_retry_attempts(allowed - 1)
                    .backoff(Backoff::Constant)
                    .base_delay(Duration::from_millis(1)),
                Execute::new(move |(): ()| {
                    seen.fetch_add(1, Ordering::SeqCst);
                    std::future::ready(Err::<(), Broken>(Broken))
                }),
            );
            let result = stack.into_service().execute(()).await;
            assert!(result.is_err(), "a dead backend does not succeed");
        });
        Some(attempts.load(Ordering::SeqCst))
    }
}

fn recovery(result: &Result<(), Broken>) -> RecoveryInfo {
    if result.is_ok() { RecoveryInfo::never() } else { RecoveryInfo::retry() }
}

impl<S> Guard for Through<S>
where
    S: Service<Operation, Out = Result<(), Broken>> + 'static,
{
    fn call(&self, operation: Operation) -> Call {
        let service = Arc::clone(&self.0);
        Box::pin(async move { drop(service.execute(operation).await) })
    }
}
