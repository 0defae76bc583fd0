//! The configuration of a breaker as data: what opens it, for how long, and what closes it.

use std::time::Duration;

use super::{HalfOpen, Trip};
use crate::Invalid;
use crate::invalid::Findings;

/// How a circuit breaker behaves. Default: opens when half of at least 20 calls in 10 s
/// fail, for 5 s at first and up to 60 s, then lets one probe decide.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::breaker::{Abandoned, BreakerConfig, HalfOpen, OpenFor, Trip};
///
/// let config = BreakerConfig::any_of([Trip::failure_rate(0.3), Trip::consecutive(8)])
///     .open_for(OpenFor::fixed(Duration::from_secs(30)))
///     .half_open(HalfOpen::permits(3))
///     .abandoned(Abandoned::Neutral);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct BreakerConfig {
    /// What opens the circuit: any one of these, at least one. Each rate has its own window.
    pub trips: Vec<Trip>,
    /// How long it stays open.
    pub open_for: OpenFor,
    /// What goes through then.
    pub half_open: HalfOpen,
    /// What a call means that the caller gave up.
    pub abandoned: Abandoned,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::any_of([Trip::failure_rate(0.5)])
    }
}

impl BreakerConfig {
    /// Whether it minds how long a call took.
    pub(crate) fn measures(&self) -> bool {
        self.trips.iter().any(|trip| matches!(trip, Trip::SlowRate { .. }))
    }

    /// Opens for any one of these reasons; otherwise as by default.
    #[must_use]
    pub fn any_of(trips: impl Into<Vec<Trip>>) -> Self {
        Self {
            trips: trips.into(),
            open_for: OpenFor::default(),
            half_open: HalfOpen::default(),
            abandoned: Abandoned::default(),
        }
    }

    /// How long the circuit stays open.
    #[must_use]
    pub const fn open_for(mut self, open_for: OpenFor) -> Self {
        self.open_for = open_for;
        self
    }

    /// What goes through when the open time is over.
    #[must_use]
    pub fn half_open(mut self, half_open: HalfOpen) -> Self {
        self.half_open = half_open;
        self
    }

    /// What a call means that the caller gave up.
    #[must_use]
    pub const fn abandoned(mut self, abandoned: Abandoned) -> Self {
        self.abandoned = abandoned;
        self
    }

    /// Looks for values that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(!self.trips.is_empty(), "trips", "at least one");
        for (index, trip) in self.trips.iter().enumerate() {
            findings.part(&format!("trips[{index}]"), trip.validate());
        }
        findings.part("open_for", self.open_for.validate());
        findings.part("half_open", self.half_open.validate());
        findings.into_result()
    }
}

/// How long a circuit stays open: longer each time it opens again without having been closed
/// in between. Default: 5 s, doubled each time, at most 60 s: a short trouble costs seconds,
/// and a long one is probed once a minute.
///
/// When the call that opens the circuit was
/// [throttled with a hint](crate::Verdict::Throttled), the circuit stays open at least as long
/// as the hint says, within `max`.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::breaker::OpenFor;
///
/// let open_for = OpenFor { factor: 3.0, ..OpenFor::default() };
/// assert_eq!(open_for.after(2), Duration::from_secs(45));
/// assert_eq!(open_for.after(3), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct OpenFor {
    /// The first time, at least 1 ms. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub first: Duration,
    /// What it is multiplied by each time, at least 1. Default 2; 1 keeps it as it is.
    pub factor: f64,
    /// The longest time, at least `first`. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max: Duration,
}

impl Default for OpenFor {
    fn default() -> Self {
        Self { first: Duration::from_secs(5), factor: 2.0, max: Duration::from_secs(60) }
    }
}

impl OpenFor {
    /// The same time each time.
    #[must_use]
    pub const fn fixed(span: Duration) -> Self {
        Self { first: span, factor: 1.0, max: span }
    }

    /// How long it stays open when it has opened `openings` times before, since it was closed.
    #[must_use]
    pub fn after(&self, openings: u32) -> Duration {
        let seconds = self.first.as_secs_f64() * self.factor.powf(f64::from(openings));
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }

    /// Looks for values that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.first >= Duration::from_millis(1), "first", "at least 1 ms");
        let sound = self.factor.is_finite() && self.factor >= 1.0;
        findings.require(sound, "factor", "a number of at least 1");
        findings.require(self.max >= self.first, "max", "at least `first`");
        findings.into_result()
    }
}

/// What a call means that was given up before it had a result: the caller lost interest, or
/// its own time was over. The three ways and the default are those of Microsoft's `seatbelt`.
///
/// ```
/// use updraft_resilience::breaker::Abandoned;
///
/// assert_eq!(Abandoned::default(), Abandoned::FailureIfAll);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Abandoned {
    /// Nothing.
    Neutral,
    /// A failure; also a slow call, when it was given up that late.
    Failure,
    /// A failure only when there was nothing else: who hangs must not look healthy because
    /// each caller gives up in time. In detail, the circuit opens
    ///
    /// * for a failure rate over time: when the window holds no result, and at least
    ///   `min_calls` abandoned calls;
    /// * for a failure rate over calls: when as many calls in a row were abandoned as the
    ///   window holds, or `min_calls` when there was no result yet;
    /// * for consecutive failures: when so many calls in a row were abandoned;
    /// * while half-open with permits: when as many probes were abandoned as must succeed (at
    ///   least 3, at most 63) and none had a result. A ramp leaves them uncounted.
    ///
    /// Rates of slow calls leave abandoned calls uncounted.
    #[default]
    FailureIfAll,
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
