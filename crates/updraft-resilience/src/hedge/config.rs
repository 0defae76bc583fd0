//! When to send the same call once more, and how often at most.

use std::time::Duration;

use crate::invalid::{Findings, Invalid};

/// When a call is sent once more while its first attempt still runs, and how often.
///
/// The default: once, after the 95th percentile of the last 30 s, for at most 5 % of all calls
/// and ten at once. Hedge only what is safe to do twice.
///
/// From Jeffrey Dean and Luiz André Barroso, "The Tail at Scale", Communications of the ACM,
/// 2013, which hedges after the 95th percentile so that the load grows by about 5 %.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::hedge::{HedgeAfter, HedgeConfig, Percentile};
///
/// let late = Percentile { quantile: 0.99, max: Duration::from_secs(1), ..Percentile::default() };
/// let config = HedgeConfig { after: HedgeAfter::Percentile(late), ..HedgeConfig::default() };
/// assert!(config.validate().is_ok());
///
/// let slip = Percentile { quantile: 95.0, ..Percentile::default() };
/// let config = HedgeConfig { after: HedgeAfter::Percentile(slip), ..HedgeConfig::default() };
/// assert!(config.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct HedgeConfig {
    /// How long the attempt before may take.
    pub after: HedgeAfter,
    /// Extra attempts of one call, at most. Default 1; 0 hedges nothing.
    pub max: u32,
    /// Extra attempts per call over all calls, from 0 to `max`. Default 0.05: one in twenty.
    pub budget_share: f64,
    /// Extra attempts that may be made at once after quiet times, and at the start. Default 10.
    pub budget_burst: u32,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self { after: HedgeAfter::default(), max: 1, budget_share: 0.05, budget_burst: 10 }
    }
}

impl HedgeConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// Every field that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        if let HedgeAfter::Percentile(percentile) = &self.after {
            findings.part("after", percentile.validate());
        }
        let most = f64::from(self.max.max(1));
        findings.require(
            (0.0..=most).contains(&self.budget_share),
            "budget_share",
            "a number of extra attempts per call, from 0 to max",
        );
        findings.into_result()
    }
}

/// How long an attempt may take before the next one is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum HedgeAfter {
    /// Always this long. Zero sends all attempts together, as far as the budget goes.
    Fixed(#[cfg_attr(feature = "serde", serde(with = "humantime_serde"))] Duration),
    /// As long as most calls took lately. The default.
    Percentile(Percentile),
}

impl Default for HedgeAfter {
    fn default() -> Self {
        Self::Percentile(Percentile::default())
    }
}

/// A quantile of the latencies of the last while.
///
/// ```
/// use updraft_resilience::hedge::Percentile;
///
/// let percentile = Percentile { quantile: 0.9, min_samples: 50, ..Percentile::default() };
/// assert!(percentile.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct Percentile {
    /// The share of calls that are faster: more than 0, less than 1. Default 0.95, which is
    /// the 95th percentile.
    pub quantile: f64,
    /// How long a latency is remembered: between three quarters of this and all of it. At
    /// least 100 ms. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// With fewer latencies in the window than this, `fallback` holds. At least 1. Default 100.
    pub min_samples: u32,
    /// No shorter wait than this, whatever the latencies. Default 1 ms.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub min: Duration,
    /// No longer wait than this, whatever the latencies. Default 10 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max: Duration,
    /// The wait while there are too few latencies, neither cut nor stretched. Default none:
    /// nothing is hedged then.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub fallback: Option<Duration>,
}

impl Default for Percentile {
    fn default() -> Self {
        Self {
            quantile: 0.95,
            window: Duration::from_secs(30),
            min_samples: 100,
            min: Duration::from_millis(1),
            max: Duration::from_secs(10),
            fallback: None,
        }
    }
}

impl Percentile {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// Every field that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(
            0.0 < self.quantile && self.quantile < 1.0,
            "quantile",
            "more than 0 and less than 1 (the 95th percentile is 0.95)",
        );
        findings.require(self.window >= Duration::from_millis(100), "window", "at least 100 ms");
        findings.require(self.min_samples > 0, "min_samples", "at least 1");
        findings.require(self.min <= self.max, "min", "no longer than max");
        findings.into_result()
    }
}
