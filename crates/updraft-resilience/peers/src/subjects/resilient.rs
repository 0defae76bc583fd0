//! resilient: its policies called by themselves, and in the pipeline that its documentation
//! recommends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use resilient::circuit_breaker::CircuitBreakerMode;
use resilient::pipeline::Pipeline;
use resilient::policy::Policy;
use resilient::timeout::TimeoutError;
use resilient::{BreakerPolicy, Bulkhead, RetryPolicy};

use crate::traps::{Broken, Call, Guard, Operation, Setup, Subject, Trip};

pub struct Policies;
pub struct InPipeline;

struct Alone<P>(P);
struct Piped(Arc<Pipeline>);

fn breaker(setup: &Setup) -> Option<BreakerPolicy> {
    let policy = BreakerPolicy::default()
        .with_open_timeout(setup.open_for)
        .with_half_open_max_calls(setup.half_open as usize)
        .with_success_threshold(setup.half_open as usize);
    match setup.trip {
        Trip::Consecutive(failures) => Some(policy.with_failure_threshold(failures as usize)),
        Trip::Time(window, least) => {
            let policy = policy.with_mode(CircuitBreakerMode::SlidingWindow);
            Some(policy.with_window_size(window).with_failure_threshold(least as usize))
        }
        Trip::Calls(_) => None,
    }
}

impl Subject for Policies {
    fn name(&self) -> String {
        format!("{} `BreakerPolicy::run`", super::named("resilient"))
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        Some(Box::new(Alone(breaker(setup)?)))
    }

    fn bulkhead(&self, places: usize) -> Option<Box<dyn Guard>> {
        Some(Box::new(Alone(Bulkhead::new(places))))
    }

    fn attempts(&self, allowed: u32) -> Option<u32> {
        let policy = RetryPolicy::default()
            .with_max_retries(allowed as usize)
            .with_min_delay(Duration::from_millis(1))
            .with_max_delay(Duration::from_millis(1))
            .with_max_duration(Duration::from_secs(3600));
        let attempts = AtomicU32::new(0);
        let mut operation = || {
            attempts.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Err::<(), Broken>(Broken))
        };
        let result = super::paused_runtime().block_on(policy.call(&mut operation));
        assert!(result.is_err(), "a dead backend does not succeed");
        Some(attempts.load(Ordering::SeqCst))
    }
}

impl Subject for InPipeline {
    fn name(&self) -> String {
        format!("{} `Pipeline::run`", super::named("resilient"))
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let pipeline = Pipeline::new().with_circuit_breaker(breaker(setup)?);
        Some(Box::new(Piped(Arc::new(pipeline))))
    }

    fn bulkhead(&self, places: usize) -> Option<Box<dyn Guard>> {
        let pipeline = Pipeline::new().with_bulkhead(Bulkhead::new(places));
        Some(Box::new(Piped(Arc::new(pipeline))))
    }
}

impl Guard for Alone<BreakerPolicy> {
    fn call(&self, operation: Operation) -> Call {
        let policy = self.0.clone();
        Box::pin(async move { drop(policy.run(once::<Broken>(operation)).await) })
    }
}

impl Guard for Alone<Bulkhead> {
    fn call(&self, operation: Operation) -> Call {
        let policy = self.0.clone();
        Box::pin(async move { drop(policy.run(once::<Broken>(operation)).await) })
    }
}

/// Its operations are functions that may be called again; ours is there once.
fn once<E>(operation: Operation) -> impl FnMut() -> Boxed<E> + Send
where
    E: From<Broken> + Send + 'static,
{
    let mut operation = Some(operation);
    move || {
        let operation = operation.take();
        Box::pin(async move {
            match operation {
                Some(operation) => operation.await.map_err(E::from),
                None => Err(E::from(Broken)),
            }
        })
    }
}

type Boxed<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

/// Its pipeline wants an error that its timeouts turn into.
#[derive(Debug)]
struct Ended;

impl From<Broken> for Ended {
    fn from(_: Broken) -> Self {
        Self
    }
}

impl From<TimeoutError> for Ended {
    fn from(_: TimeoutError) -> Self {
        Self
    }
}

impl Guard for Piped {
    fn call(&self, operation: Operation) -> Call {
        let pipeline = Arc::clone(&self.0);
        Box::pin(async move { drop(pipeline.run(once::<Ended>(operation)).await) })
    }
}
