//! So many calls in such a time: for one target, or for each of many keys.

mod gcra;
mod keyed;

use std::time::Duration;

use crate::clock::nanos;
use crate::invalid::{Findings, Invalid};
use crate::{Instant, Rejection};
use gcra::{Arrival, Pace};

pub use keyed::KeyedRateLimiter;

/// How many calls are allowed in which time, and how many of them at once. The default is
/// 100 in a second, with a burst of 100.
///
/// Calls come back one by one, evenly spread over [`per`](Self::per): there is no window at
/// whose edge twice the rate would pass. The space between two calls is rounded up to a
/// whole nanosecond, so the rate is never exceeded.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::rate_limit::RateLimitConfig;
///
/// let gentle = RateLimitConfig::per_second(50).burst(5);
/// assert!(gentle.validate().is_ok());
/// let slow = RateLimitConfig { calls: 10, per: Duration::from_secs(60), burst: 1 };
/// assert!(slow.validate().is_ok());
/// assert!(RateLimitConfig { calls: 0, ..slow }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct RateLimitConfig {
    /// The calls allowed in [`per`](Self::per), in the long run.
    pub calls: u32,
    /// The time for which they are counted.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub per: Duration,
    /// The calls allowed at once after a pause. With 1 all calls are evenly spaced.
    pub burst: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self::per_second(100)
    }
}

/// The longest time in which a burst may come back: moments are counted in nanoseconds of 64
/// bits, and half of them is left for the clock itself.
const LONGEST_BURST: u128 = i64::MAX as u128;

impl RateLimitConfig {
    /// So many calls in a second, and as many at once.
    pub const fn per_second(calls: u32) -> Self {
        Self { calls, per: Duration::from_secs(1), burst: calls }
    }

    /// So many calls in a time, and as many at once.
    pub const fn new(calls: u32, per: Duration) -> Self {
        Self { calls, per, burst: calls }
    }

    /// The calls allowed at once.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.calls > 0, "calls", "at least 1");
        findings.require(!self.per.is_zero(), "per", "longer than nothing");
        findings.require(self.burst > 0, "burst", "at least 1");
        if self.calls > 0 && !self.per.is_zero() {
            let one_a_nanosecond = u128::from(self.calls) <= self.per.as_nanos();
            findings.require(one_a_nanosecond, "calls", "at most one in a nanosecond");
            let interval = self.per.as_nanos().div_ceil(u128::from(self.calls));
            let whole = interval.saturating_mul(u128::from(self.burst));
            findings.require(whole <= LONGEST_BURST, "burst", "back within 292 years");
        }
        findings.into_result()
    }

    /// Nanoseconds between two calls; not less than one.
    fn interval(&self) -> u64 {
        nanos(self.per).div_ceil(u64::from(self.calls.max(1))).max(1)
    }
}

/// The call is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls; one is allowed again in {retry_after:?}")]
pub struct Limited {
    /// The time after which the same call is allowed, exact to the nanosecond unless others
    /// come first; [`Duration::MAX`] when it never will be, because it asks for more than
    /// the burst.
    pub retry_after: Duration,
}

impl From<Limited> for Rejection {
    fn from(limited: Limited) -> Self {
        Self::RateLimited { retry_after: limited.retry_after }
    }
}

/// What a limiter would allow at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitSnapshot {
    /// What is allowed in the long run.
    pub config: RateLimitConfig,
    /// The calls that would be allowed at once.
    pub available: u32,
    /// The time until there is one; zero when there is.
    pub next_in: Duration,
}

/// Allows so many calls in such a time. One word, changed without a lock; shared by
/// reference.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::rate_limit::{RateLimitConfig, RateLimiter};
///
/// let hand = ManualClock::new();
/// let limiter = RateLimiter::new(RateLimitConfig::per_second(10).burst(1))?;
/// assert!(limiter.try_acquire(hand.now()).is_ok());
/// let limited = limiter.try_acquire(hand.now()).unwrap_err();
/// assert_eq!(limited.retry_after, Duration::from_millis(100));
/// hand.advance(limited.retry_after);
/// assert!(limiter.try_acquire(hand.now()).is_ok());
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    pace: Pace,
    arrival: Arrival,
}

impl RateLimiter {
    /// A limiter with the whole burst free.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`RateLimitConfig::validate`] tells it.
    pub fn new(config: RateLimitConfig) -> Result<Self, Invalid> {
        let pace = Pace::new(config)?;
        let arrival = pace.arrival();
        Ok(Self { pace, arrival })
    }

    /// Takes one call.
    ///
    /// # Errors
    ///
    /// [`Limited`] when it is one too many; nothing is taken then.
    #[inline]
    pub fn try_acquire(&self, now: Instant) -> Result<(), Limited> {
        self.pace.acquire(&self.arrival, 1, now)
    }

    /// Takes `n` calls, or none of them.
    ///
    /// # Errors
    ///
    /// [`Limited`] when they are too many; nothing is taken then.
    pub fn try_acquire_many(&self, n: u32, now: Instant) -> Result<(), Limited> {
        self.pace.acquire(&self.arrival, n, now)
    }

    /// Replaces the rate while the limiter is in use, from the next call on. The calls that
    /// are left of the burst then remain, as far as the new burst holds them.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`RateLimitConfig::validate`] tells it; the rate stays as it was then.
    pub fn set_rate(&self, calls: u32, per: Duration, burst: u32) -> Result<(), Invalid> {
        self.pace.set(RateLimitConfig { calls, per, burst })
    }

    /// The rate that holds now.
    pub fn config(&self) -> RateLimitConfig {
        self.pace.config()
    }

    /// What it would allow at this moment.
    pub fn snapshot(&self, now: Instant) -> RateLimitSnapshot {
        let (available, next_in) = self.pace.free(&self.arrival, now);
        RateLimitSnapshot { config: self.config(), available, next_in }
    }
}

#[cfg(test)]
mod tests;
