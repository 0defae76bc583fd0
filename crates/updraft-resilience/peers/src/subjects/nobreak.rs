//! nobreak: consecutive failures only.

use std::sync::Arc;

use crate::traps::{Call, Guard, Operation, Setup, Subject, Trip};

pub struct Nobreak;

struct Breaker(Arc<nobreak::CircuitBreaker>);

impl Subject for Nobreak {
    fn name(&self) -> String {
        super::named("nobreak")
    }

    fn remark(&self) -> &'static str {
        "half open it has no limit that could be set"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let Trip::Consecutive(failures) = setup.trip else { return None };
        let breaker = nobreak::builder()
            .with_failure_threshold(failures as usize)
            .with_success_threshold(setup.half_open as usize)
            .with_open_duration(setup.open_for)
            .build();
        Some(Box::new(Breaker(Arc::new(breaker))))
    }
}

impl Guard for Breaker {
    fn call(&self, operation: Operation) -> Call {
        let breaker = Arc::clone(&self.0);
        Box::pin(async move { drop(breaker.call_async(|| operation).await) })
    }
}
