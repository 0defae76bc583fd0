//! hedged: its default delay. It has no notion of time that passes.

use std::time::Duration;

use crate::traps::{HedgeDelay, Subject};

pub struct Hedged;

struct Delay(hedged::Hedge);

impl Subject for Hedged {
    fn name(&self) -> String {
        super::named("hedged")
    }

    fn remark(&self) -> &'static str {
        "its histogram has no notion of time: latencies are never forgotten"
    }

    fn hedge(&self) -> Option<Box<dyn HedgeDelay>> {
        Some(Box::new(Delay(hedged::Hedge::default())))
    }
}

impl HedgeDelay for Delay {
    fn observe(&mut self, latencies: &[Duration]) {
        for latency in latencies {
            self.0.observe(*latency).expect("a latency in range");
        }
    }

    fn wait(&mut self, _: Duration) {}

    fn delay(&mut self) -> Option<Duration> {
        Some(self.0.value())
    }
}
