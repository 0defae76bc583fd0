//! A policy as data: what a builder collects, a file holds and the environment changes.

use std::time::Duration;

use crate::adaptive::AdaptiveConfig;
use crate::breaker::BreakerConfig;
use crate::bulkhead::BulkheadConfig;
use crate::chaos::ChaosConfig;
use crate::hedge::HedgeConfig;
use crate::invalid::{Findings, Invalid};
use crate::rate_limit::RateLimitConfig;
use crate::retry::RetryConfig;
use crate::shed::ShedConfig;
use crate::throttle::ThrottleConfig;

/// Everything that a policy does; a part that is `None` is not there at all.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::policy::PolicyConfig;
/// use updraft_resilience::retry::RetryConfig;
///
/// let config = PolicyConfig {
///     deadline: Some(Duration::from_secs(2)),
///     retry: Some(RetryConfig::default()),
///     ..PolicyConfig::default()
/// };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct PolicyConfig {
    /// The operation may be run twice without harm. Hedging needs it. `false` by default.
    pub idempotent: bool,
    /// Server side: which calls are refused first when there is too much work.
    pub shed: Option<ShedConfig>,
    /// The longest that a call may take, with its waits and retries. An ambient deadline
    /// tightens it.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub deadline: Option<Duration>,
    /// Another attempt beside one that is slow.
    pub hedge: Option<HedgeConfig>,
    /// Another attempt after one that failed.
    pub retry: Option<RetryConfig>,
    /// How many attempts are started in a time.
    pub rate_limit: Option<RateLimitConfig>,
    /// Attempts are held back in the measure in which the target refuses them.
    pub throttle: Option<ThrottleConfig>,
    /// Attempts are refused for a while when too many have failed.
    pub breaker: Option<BreakerConfig>,
    /// How many attempts run at once.
    pub bulkhead: Option<BulkheadConfig>,
    /// Finds out how many attempts should run at once, and sets the bulkhead.
    pub adaptive: Option<AdaptiveConfig>,
    /// The longest that one attempt may take.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub attempt_timeout: Option<Duration>,
    /// Faults on purpose.
    pub chaos: Option<ChaosConfig>,
}

impl PolicyConfig {
    /// Looks for values that cannot be.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field of every part.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        for (name, span) in [("deadline", self.deadline), ("attempt_timeout", self.attempt_timeout)]
        {
            findings.require(span != Some(Duration::ZERO), name, "longer than nothing");
        }
        let safe = self.hedge.is_none() || self.idempotent;
        findings.require(safe, "idempotent", "true when there is a hedge: attempts run twice");
        let limited = self.adaptive.is_none() || self.bulkhead.is_some();
        findings.require(limited, "bulkhead", "there when `adaptive` is: it is what that sets");
        findings.check("shed", self.shed.as_ref(), ShedConfig::validate);
        findings.check("hedge", self.hedge.as_ref(), HedgeConfig::validate);
        findings.check("retry", self.retry.as_ref(), RetryConfig::validate);
        findings.check("rate_limit", self.rate_limit.as_ref(), RateLimitConfig::validate);
        findings.check("throttle", self.throttle.as_ref(), ThrottleConfig::validate);
        findings.check("breaker", self.breaker.as_ref(), BreakerConfig::validate);
        findings.check("bulkhead", self.bulkhead.as_ref(), BulkheadConfig::validate);
        findings.check("adaptive", self.adaptive.as_ref(), AdaptiveConfig::validate);
        findings.check("chaos", self.chaos.as_ref(), ChaosConfig::validate);
        findings.into_result()
    }
}
