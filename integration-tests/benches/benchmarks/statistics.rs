//! Medians with their spread: the machine is shared, so one number says little.

use std::time::Duration;

use anyhow::{Context, Result};

/// Several measurements of the same thing.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Takes `count` measurements.
    pub(crate) fn take(count: usize, mut one: impl FnMut() -> Result<f64>) -> Result<Self> {
        let mut values = (0..count).map(|_| one()).collect::<Result<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// The middle one.
    pub(crate) fn median(&self) -> Result<f64> {
        self.0.get(self.0.len() / 2).copied().context("nothing was measured")
    }

    /// The smallest and the largest.
    pub(crate) fn spread(&self) -> Result<(f64, f64)> {
        let pair = self.0.first().zip(self.0.last());
        pair.map(|(first, last)| (*first, *last)).context("nothing was measured")
    }
}

/// Milliseconds, with their fraction.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
