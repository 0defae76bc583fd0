//! The algorithms: from a limit and what a window has seen to the next limit.

use super::config::{AdaptiveConfig, Aimd, Algorithm, Gradient2, Vegas};
use super::window::Summary;
use crate::clock::nanos;

/// What is known about the target; changed once a window.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) limit: f64,
    /// The latency without load, or over a long time, in nanoseconds.
    pub(super) baseline: Option<f64>,
    /// The latency of the last window, in nanoseconds.
    pub(super) latency: Option<f64>,
    /// What there was before, while the limit is lowered to measure the baseline.
    pub(super) probing: Option<Before>,
    windows_to_probe: u32,
    /// Windows in the long average, as far as that matters.
    averaged: u32,
    random: fastrand::Rng,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    limit: f64,
    latency: Option<f64>,
}

/// The limit in a window of overload, as TCP, Vegas too, takes a loss.
const OVERLOADED: f64 = 0.9;

/// The limit while the baseline is measured: that of BBR version 2
/// (draft-cardwell-iccrg-bbr-congestion-control, section 4.3.4).
const PROBING: f64 = 0.5;

/// Half the limit with at most this share of the latency does as much work: it is enough, and
/// there is still a queue. Only a limit that was far too high shows that.
const AS_MUCH_WORK: f64 = 0.6;

/// The first windows may be those of an overloaded target: their baseline is soon checked.
const FIRST_PROBE: u32 = 10;

/// Windows of which the long average is a plain one, before it moves exponentially.
const WARM_UP: u32 = 10;

impl Estimate {
    pub(super) fn new(initial: u32, mut random: fastrand::Rng) -> Self {
        Self {
            limit: f64::from(initial),
            baseline: None,
            latency: None,
            probing: None,
            windows_to_probe: jittered(FIRST_PROBE, &mut random),
            averaged: 0,
            random,
        }
    }

    /// Takes a window into account. Whether calls that began before have nothing more to say,
    /// because the limit has fallen since.
    pub(super) fn learn(&mut self, config: &AdaptiveConfig, window: &Summary) -> bool {
        if window.latency.is_some() {
            self.latency = window.latency;
        }
        let before = self.limit;
        let probed = match &config.algorithm {
            Algorithm::Aimd(aimd) => {
                self.limit = aimd_limit(aimd, before, window);
                false
            }
            Algorithm::Vegas(vegas) => {
                let probed = self.probe(vegas.probe_every, window);
                if !probed {
                    self.limit = self.vegas_limit(vegas, window);
                }
                probed
            }
            Algorithm::Gradient2(gradient) => {
                let probed = self.probe(gradient.probe_every, window);
                if !probed {
                    self.limit = self.gradient_limit(gradient, window);
                }
                probed
            }
        };
        if !probed {
            // A limit that is far above what is in use would be worth nothing when it is used.
            let headroom = f64::from(window.in_flight) * 2.0;
            self.limit = self.limit.min(before.max(headroom));
        }
        self.limit = self.limit.clamp(f64::from(config.min), f64::from(config.max));
        probed || whole(self.limit) < whole(before)
    }

    /// Begins or ends a measurement of the baseline, when it is time; whether it did.
    fn probe(&mut self, every: u32, window: &Summary) -> bool {
        if let Some(before) = self.probing.take() {
            self.end_probe(before, window);
            return true;
        }
        self.windows_to_probe = self.windows_to_probe.saturating_sub(1);
        if self.windows_to_probe > 0 {
            return false;
        }
        self.windows_to_probe = jittered(every, &mut self.random);
        if !self.is_in_use(window) {
            // Without load this window shows it already.
            self.baseline = window.latency.or(self.baseline);
            return false;
        }
        self.probing = Some(Before { limit: self.limit, latency: window.latency });
        self.limit *= PROBING;
        true
    }

    fn end_probe(&mut self, before: Before, window: &Summary) {
        let Some(latency) = window.latency else {
            self.limit = before.limit;
            return;
        };
        self.baseline = Some(latency);
        let queued = before.latency.is_some_and(|former| latency < former * AS_MUCH_WORK);
        if queued {
            // The lower limit stays, and is halved again after a window of its own.
            self.windows_to_probe = 1;
        } else {
            self.limit = before.limit;
        }
    }

    fn is_in_use(&self, window: &Summary) -> bool {
        f64::from(window.in_flight) * 2.0 >= self.limit
    }

    fn vegas_limit(&mut self, vegas: &Vegas, window: &Summary) -> f64 {
        let limit = self.limit;
        if window.is_overload(vegas.tolerated) {
            return limit * OVERLOADED;
        }
        let Some(latency) = window.latency else { return limit };
        let baseline = self.baseline.map_or(latency, |baseline| baseline.min(latency));
        self.baseline = Some(baseline);
        if !self.is_in_use(window) {
            return limit;
        }
        let excess = latency - baseline - nanos(vegas.noise) as f64;
        let queue = if excess > 0.0 { limit * excess / latency } else { 0.0 };
        let unit = limit.log10().max(1.0);
        if queue <= unit {
            limit + vegas.beta * unit
        } else if queue < vegas.alpha * unit {
            limit + unit
        } else if queue > vegas.beta * unit {
            // Far too long a queue, with a latency more than doubled, must go faster.
            let step = if queue > limit / 2.0 { limit * (1.0 - OVERLOADED) } else { unit };
            limit - step.max(unit)
        } else {
            limit
        }
    }

    fn gradient_limit(&mut self, gradient: &Gradient2, window: &Summary) -> f64 {
        let limit = self.limit;
        if window.is_overload(gradient.tolerated) {
            return limit * OVERLOADED;
        }
        let Some(latency) = window.latency else { return limit };
        let long = self.long_average(gradient.long_window, latency);
        if !self.is_in_use(window) {
            return limit;
        }
        let expected = gradient.tolerance * long + nanos(gradient.noise) as f64;
        // Not more than by half, so that an outlier does no great harm.
        let slope = if latency > expected { (expected / latency).max(0.5) } else { 1.0 };
        let aim = limit * slope + f64::from(gradient.queue);
        limit * (1.0 - gradient.smoothing) + aim * gradient.smoothing
    }

    fn long_average(&mut self, windows: u32, latency: f64) -> f64 {
        self.averaged = (self.averaged + 1).min(WARM_UP + 1);
        let long = self.baseline.unwrap_or(latency);
        let weight = if self.averaged > WARM_UP {
            2.0 / (f64::from(windows) + 1.0)
        } else {
            1.0 / f64::from(self.averaged)
        };
        let mut next = long + (latency - long) * weight;
        // After a long time of load it is far too high: it comes down faster than it would.
        if next > latency * 2.0 {
            next *= OVERLOADED;
        }
        self.baseline = Some(next);
        next
    }
}

fn aimd_limit(aimd: &Aimd, limit: f64, window: &Summary) -> f64 {
    let slow = window.latency.is_some_and(|latency| latency > nanos(aimd.slow) as f64);
    if slow || window.is_overload(aimd.tolerated) {
        limit * aimd.decrease
    } else if f64::from(window.in_flight) * 2.0 >= limit {
        limit + f64::from(aimd.increase)
    } else {
        limit
    }
}

/// From half of it to all of it, so that many clients of a target do not measure together.
fn jittered(windows: u32, random: &mut fastrand::Rng) -> u32 {
    random.u32(windows / 2..=windows).max(1)
}

/// The limit as a number of calls.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "limits lie between two numbers of 32 bits; the fraction is meant to go"
)]
pub(super) fn whole(limit: f64) -> u32 {
    limit as u32
}
