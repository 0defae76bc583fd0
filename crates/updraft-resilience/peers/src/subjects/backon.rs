//! backon: retry.

use std::cell::Cell;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use crate::traps::{Broken, Subject};

pub struct Backon;

impl Subject for Backon {
    fn name(&self) -> String {
        super::named("backon")
    }

    fn attempts(&self, allowed: u32) -> Option<u32> {
        let waits = ConstantBuilder::default()
            .with_delay(Duration::from_millis(1))
            .with_max_times(allowed as usize - 1);
        let attempts = Cell::new(0);
        let operation = async || {
            attempts.set(attempts.get() + 1);
            Err::<(), Broken>(Broken)
        };
        let result = super::paused_runtime().block_on(async { operation.retry(waits).await });
        assert!(result.is_err(), "a dead backend does not succeed");
        Some(attempts.get())
    }
}
