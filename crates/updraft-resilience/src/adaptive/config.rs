//! Which algorithm finds the limit, and between which bounds.

use std::time::Duration;

use crate::invalid::{Findings, Invalid};

/// How the limit of calls at the same time is found. The default is [`Vegas`], from 20,
/// between 4 and 200.
///
/// ```
/// use updraft_resilience::adaptive::{AdaptiveConfig, Aimd, Algorithm};
///
/// let config = AdaptiveConfig {
///     algorithm: Algorithm::Aimd(Aimd { decrease: 0.8, ..Aimd::default() }),
///     max: 1000,
///     ..AdaptiveConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// assert!(AdaptiveConfig { min: 0, ..config }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct AdaptiveConfig {
    /// How the limit is found.
    pub algorithm: Algorithm,
    /// The limit to begin with; a little below what the target is known to bear.
    pub initial: u32,
    /// The limit never falls below, at least 1. A few calls more than one keep a single slow
    /// call from stopping all others.
    pub min: u32,
    /// The limit never rises above.
    pub max: u32,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), initial: 20, min: 4, max: 200 }
    }
}

/// How a limit is found. What they have in common: they judge windows of calls, not single
/// ones; they never grow a limit of which less than half is in use; and after they have
/// lowered it, they do not listen to calls that began before.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Algorithm {
    /// Listens to failures: for targets that refuse what they cannot do.
    Aimd(Aimd),
    /// Listens to latency, compared with that of an unloaded target.
    Vegas(Vegas),
    /// Listens to latency, compared with its own long average: for latencies that vary much.
    Gradient2(Gradient2),
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::vegas()
    }
}

impl Algorithm {
    /// [`Aimd`] with its defaults.
    #[must_use]
    pub fn aimd() -> Self {
        Self::Aimd(Aimd::default())
    }

    /// [`Vegas`] with its defaults.
    #[must_use]
    pub fn vegas() -> Self {
        Self::Vegas(Vegas::default())
    }

    /// [`Gradient2`] with its defaults.
    #[must_use]
    pub fn gradient2() -> Self {
        Self::Gradient2(Gradient2::default())
    }
}

/// Additive increase, multiplicative decrease: Chiu and Jain, "Analysis of the Increase and
/// Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989; `AIMDLimit` of
/// Netflix concurrency-limits.
///
/// ```
/// use updraft_resilience::adaptive::{Aimd, Algorithm};
///
/// let quick = Algorithm::Aimd(Aimd { increase: 5, ..Aimd::default() });
/// # drop(quick);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct Aimd {
    /// Added in a window without overload. Default 1.
    pub increase: u32,
    /// Multiplied in a window with overload, above 0 and below 1. Default 0.9.
    pub decrease: f64,
    /// The share of failed calls in a window above which it is one of overload, from 0 to
    /// below 1; somewhat more where the calls are few. Default 0.05: a target that always
    /// fails a little is not overloaded. With 0 every failure is overload.
    pub tolerated: f64,
    /// A window whose calls took longer than this on average is one of overload as well.
    /// Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub slow: Duration,
}

impl Default for Aimd {
    fn default() -> Self {
        Self { increase: 1, decrease: 0.9, tolerated: 0.05, slow: Duration::from_secs(5) }
    }
}

/// From the latency, and from what it is without load, Vegas reckons how many calls wait in
/// the target's queue, `limit * (1 - unloaded / latency)`, and keeps them between `alpha`
/// and `beta`: Brakmo and Peterson, "TCP Vegas", SIGCOMM 1994; `VegasLimit` of Netflix
/// concurrency-limits, from which the numbers are, in units of the limit's decimal logarithm.
///
/// The unloaded latency is measured anew from time to time, at moments that are spread at
/// random: for one window the limit is halved (as BBR version 2 does; never to 1), which
/// empties the queue. An idle target is measured without that.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::adaptive::{Algorithm, Vegas};
///
/// // A clock that is exact lets it see small differences.
/// let sharp = Algorithm::Vegas(Vegas { noise: Duration::ZERO, ..Vegas::default() });
/// # drop(sharp);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct Vegas {
    /// With fewer calls in the queue the limit grows. Default 3.
    pub alpha: f64,
    /// With more calls in the queue the limit shrinks. Default 6.
    pub beta: f64,
    /// The share of failed calls in a window above which the limit falls by a tenth. Default
    /// 0.05.
    pub tolerated: f64,
    /// After how many windows, at most, the unloaded latency is measured anew. Default 100.
    pub probe_every: u32,
    /// How much of a difference in latency is none. Default 2 ms, because the system's
    /// coarse clock is exact to some milliseconds only.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub noise: Duration,
}

impl Default for Vegas {
    fn default() -> Self {
        Self {
            alpha: 3.0,
            beta: 6.0,
            tolerated: 0.05,
            probe_every: 100,
            noise: Duration::from_millis(2),
        }
    }
}

/// The limit follows `limit * gradient + queue`, with the gradient
/// `tolerance * long average / latency` between a half and one: `Gradient2Limit` of Netflix
/// concurrency-limits.
///
/// There the long average drifts towards the latency of a target under steady overload, and
/// the limit with it. So here it is measured anew from time to time, as with [`Vegas`].
///
/// ```
/// use updraft_resilience::adaptive::{Algorithm, Gradient2};
///
/// let strict = Algorithm::Gradient2(Gradient2 { tolerance: 1.1, ..Gradient2::default() });
/// # drop(strict);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct Gradient2 {
    /// How many times the long average a latency may be, from 1 to below 2. Default 1.5.
    pub tolerance: f64,
    /// The calls that may wait in the target's queue; also how fast the limit grows. Default
    /// 4.
    pub queue: u32,
    /// How much of the new limit is taken over in a window, above 0 and up to 1. Default 0.2.
    pub smoothing: f64,
    /// The windows of the long average. Default 600.
    pub long_window: u32,
    /// The share of failed calls in a window above which the limit falls by a tenth. Default
    /// 0.05.
    pub tolerated: f64,
    /// After how many windows, at most, the long average is measured anew. Default 100.
    pub probe_every: u32,
    /// How much of a difference in latency is none. Default 2 ms, because the system's
    /// coarse clock is exact to some milliseconds only.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub noise: Duration,
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self {
            tolerance: 1.5,
            queue: 4,
            smoothing: 0.2,
            long_window: 600,
            tolerated: 0.05,
            probe_every: 100,
            noise: Duration::from_millis(2),
        }
    }
}

/// Fewer windows would spend a good part of the time on measuring.
const LEAST_PROBE: u32 = 10;

impl AdaptiveConfig {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.min > 0, "min", "at least 1");
        findings.require(self.max >= self.min, "max", "at least `min`");
        let initial = self.initial >= self.min && self.initial <= self.max;
        findings.require(initial, "initial", "from `min` to `max`");
        match &self.algorithm {
            Algorithm::Aimd(aimd) => findings.part("aimd", aimd.validate()),
            Algorithm::Vegas(vegas) => findings.part("vegas", vegas.validate()),
            Algorithm::Gradient2(gradient) => findings.part("gradient2", gradient.validate()),
        }
        findings.into_result()
    }
}

fn require_tolerated(findings: &mut Findings, tolerated: f64) {
    findings.require((0.0..1.0).contains(&tolerated), "tolerated", "from 0 to below 1");
}

impl Aimd {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.increase > 0, "increase", "at least 1");
        let decrease = self.decrease > 0.0 && self.decrease < 1.0;
        findings.require(decrease, "decrease", "above 0 and below 1");
        require_tolerated(&mut findings, self.tolerated);
        findings.require(!self.slow.is_zero(), "slow", "longer than nothing");
        findings.into_result()
    }
}

impl Vegas {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        let alpha = self.alpha.is_finite() && self.alpha > 0.0;
        findings.require(alpha, "alpha", "a number above 0");
        let beta = self.beta.is_finite() && self.beta >= self.alpha;
        findings.require(beta, "beta", "a number of at least `alpha`");
        require_tolerated(&mut findings, self.tolerated);
        findings.require(self.probe_every >= LEAST_PROBE, "probe_every", "at least 10");
        findings.into_result()
    }
}

impl Gradient2 {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        let tolerance = (1.0..2.0).contains(&self.tolerance);
        findings.require(tolerance, "tolerance", "from 1 to below 2");
        findings.require(self.queue > 0, "queue", "at least 1");
        let smoothing = self.smoothing > 0.0 && self.smoothing <= 1.0;
        findings.require(smoothing, "smoothing", "above 0 and up to 1");
        findings.require(self.long_window >= LEAST_PROBE, "long_window", "at least 10");
        require_tolerated(&mut findings, self.tolerated);
        findings.require(self.probe_every >= LEAST_PROBE, "probe_every", "at least 10");
        findings.into_result()
    }
}
