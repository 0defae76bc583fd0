//! tower-resilience: breaker, bulkhead and retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_resilience::bulkhead::BulkheadLayer;
use tower_resilience::circuitbreaker::{CircuitBreakerLayer, SlidingWindowType};
use tower_resilience::retry::RetryLayer;

use crate::traps::{Broken, Call, Guard, Operation, Setup, Subject, Trip};

pub struct TowerResilience;

struct Through(BoxCloneService<Operation, (), ()>);

impl Through {
    fn boxed<S>(service: S) -> Box<dyn Guard>
    where
        S: Service<Operation, Response = ()> + Clone + Send + 'static,
        S::Error: Send + 'static,
        S::Future: Send + 'static,
    {
        Box::new(Self(BoxCloneService::new(service.map_err(drop))))
    }
}

impl Subject for TowerResilience {
    fn name(&self) -> String {
        super::named("tower-resilience")
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let builder = CircuitBreakerLayer::builder()
            .wait_duration_in_open(setup.open_for)
            .permitted_calls_in_half_open(setup.half_open as usize);
        let builder = match setup.trip {
            Trip::Consecutive(failures) => builder.consecutive_failures(failures as usize),
            Trip::Calls(window) => {
                builder.failure_rate_threshold(0.5).sliding_window_size(window as usize)
            }
            Trip::Time(window, least) => builder
                .failure_rate_threshold(0.5)
                .sliding_window_type(SlidingWindowType::TimeBased)
                .sliding_window_duration(window)
                .minimum_number_of_calls(least as usize),
        };
        let layer = builder.build().expect("a valid configuration");
        Some(Through::boxed(layer.layer(service_fn(|operation: Operation| operation))))
    }

    fn bulkhead(&self, places: usize) -> Option<Box<dyn Guard>> {
        let layer = BulkheadLayer::builder().max_concurrent_calls(places).reject_when_full();
        let layer = layer.build().expect("a valid configuration");
        Some(Through::boxed(layer.layer(service_fn(|operation: Operation| operation))))
    }

    fn attempts(&self, allowed: u32) -> Option<u32> {
        let layer = RetryLayer::<(), (), Broken>::builder()
            .max_attempts(allowed as usize)
            .fixed_backoff(Duration::from_millis(1))
            .build();
        let attempts = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&attempts);
        let service = layer.layer(service_fn(move |(): ()| {
            seen.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Err::<(), Broken>(Broken))
        }));
        let result = super::paused_runtime().block_on(service.oneshot(()));
        assert!(result.is_err(), "a dead backend does not succeed");
        Some(attempts.load(Ordering::SeqCst))
    }
}

impl Guard for Through {
    fn call(&self, operation: Operation) -> Call {
        let service = self.0.clone();
        Box::pin(async move { service.oneshot(operation).await.unwrap_or(()) })
    }
}
