//! What a breaker knows at one moment, for logs, metrics and people.

use std::sync::atomic::Ordering;

use super::word::Control;
use super::{Breaker, HalfOpen, Mode, State};
use crate::Instant;

/// What a breaker knows at one moment. The numbers are read one after the other while calls
/// go on, so that they may differ by a few calls.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BreakerSnapshot {
    /// Who decides.
    pub mode: Mode,
    /// The state, as [`Breaker::state`] tells it.
    pub state: State,
    /// When the open time is over; none unless the circuit is open, or forced open.
    pub open_until: Option<Instant>,
    /// How many times the circuit has opened since it was last closed.
    pub openings: u32,
    /// The number of the present period; it changes with each change of state or mode.
    pub generation: u64,
    /// The rates, in the order of the trips that are rates. They stand still while the
    /// circuit is not closed, and tell why it opened until their window has passed.
    pub readings: Vec<Reading>,
    /// Failures since the last success.
    pub consecutive_failures: u64,
    /// The probes, while the circuit is half-open.
    pub probes: Option<Probes>,
    /// Results that came too late to count: of calls that another period had admitted.
    pub lost: u64,
    /// Calls that were refused, or would have been if the breaker did not only observe.
    pub rejected: u64,
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Reading {
    /// The calls in the window.
    pub calls: u64,
    /// Those that failed, or were slow.
    pub hits: u64,
    /// Their share, 0 to 1; 0 when there are no calls.
    pub rate: f64,
}

/// What a half-open circuit has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Probes {
    /// Probes that are running; 0 during a ramp, which does not follow them.
    pub running: u64,
    /// The stage of a ramp, from 0.
    pub stage: Option<u64>,
    /// Probes that succeeded, in this stage.
    pub successes: u64,
    /// Probes that failed, in this stage.
    pub failures: u64,
    /// Probes that were abandoned.
    pub abandoned: u64,
}

impl Breaker {
    /// What it knows at this moment.
    pub fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        // Held so that the state does not change between the numbers.
        let openings = self.turn();
        let word = self.word();
        let open = word.state() == State::Open && word.control() != Control::Held;
        let ramp = matches!(self.config().half_open, HalfOpen::Ramp { .. });
        let probes = (word.state() == State::HalfOpen).then(|| Probes {
            running: if ramp { 0 } else { word.places() },
            stage: ramp.then(|| word.places()),
            successes: word.successes(),
            failures: word.failures(),
            abandoned: word.abandoned(),
        });
        let readings = self.meters.iter().map(|meter| {
            let sums = meter.sums(now);
            Reading { calls: sums.calls, hits: sums.hits, rate: sums.rate() }
        });
        BreakerSnapshot {
            mode: self.mode(),
            state: self.state(now),
            open_until: open.then(|| self.open_until()),
            openings: *openings,
            generation: word.generation(),
            readings: readings.collect(),
            consecutive_failures: self.streak.0.failures(),
            probes,
            lost: self.tolls.0.lost.load(Ordering::Relaxed),
            rejected: self.tolls.0.rejected.load(Ordering::Relaxed),
        }
    }
}
