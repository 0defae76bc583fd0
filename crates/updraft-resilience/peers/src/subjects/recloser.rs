//! recloser: a rate over the last calls; half open it evaluates `half_open_len` results.

use crate::traps::{Call, Guard, Operation, Setup, Subject, Trip};
use recloser::AsyncRecloser;

pub struct Recloser;

struct Breaker(AsyncRecloser);

impl Subject for Recloser {
    fn name(&self) -> String {
        super::named("recloser")
    }

    fn remark(&self) -> &'static str {
        "it evaluates a window when one more result than its length has come"
    }

    fn breaker(&self, setup: &Setup) -> Option<Box<dyn Guard>> {
        let Trip::Calls(window) = setup.trip else { return None };
        let breaker = recloser::Recloser::custom()
            .error_rate(0.5)
            .closed_len(window as usize)
            .half_open_len(setup.half_open as usize)
            .open_wait(setup.open_for)
            .build();
        Some(Box::new(Breaker(AsyncRecloser::from(breaker))))
    }
}

impl Guard for Breaker {
    fn call(&self, operation: Operation) -> Call {
        let call = self.0.call(operation);
        Box::pin(async move { drop(call.await) })
    }
}
