//! The same rate for each of many keys, such as callers or tenants, whose number is bounded.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::gcra::{Arrival, Pace};
use super::{Limited, RateLimitConfig, RateLimitSnapshot};
use crate::Instant;
use crate::invalid::{Findings, Invalid};
use crate::keyed::Keyed;

/// Allows so many calls in such a time for each key.
///
/// It remembers at most as many keys as it was given room for; those used least are forgotten
/// by themselves, and start with the whole burst when they come back. So give it room for
/// more keys than are active within the time of a burst. A key takes some 100 bytes.
///
/// ```
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::rate_limit::{KeyedRateLimiter, RateLimitConfig};
///
/// let now = ManualClock::new().now();
/// let limiter = KeyedRateLimiter::new(RateLimitConfig::per_second(10).burst(1), 10_000)?;
/// assert!(limiter.try_acquire(&"alice", now).is_ok());
/// assert!(limiter.try_acquire(&"alice", now).is_err());
/// assert!(limiter.try_acquire(&"bob", now).is_ok());
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
pub struct KeyedRateLimiter<K> {
    pace: Arc<Pace>,
    arrivals: Keyed<K, Arc<Arrival>>,
}

impl<K: Clone + Eq + Hash> KeyedRateLimiter<K> {
    /// A limiter with room for `capacity` keys.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`RateLimitConfig::validate`] tells it, or when there is no room at all.
    pub fn new(config: RateLimitConfig, capacity: u32) -> Result<Self, Invalid> {
        let mut findings = Findings::default();
        findings.require(capacity > 0, "capacity", "at least 1");
        findings.part("rate", config.validate());
        findings.into_result()?;
        let pace = Arc::new(Pace::new(config)?);
        let shared = Arc::clone(&pace);
        Ok(Self { pace, arrivals: Keyed::new(capacity, move |_| Arc::new(shared.arrival())) })
    }

    /// Takes one call of a key.
    ///
    /// # Errors
    ///
    /// [`Limited`] when it is one too many; nothing is taken then.
    pub fn try_acquire(&self, key: &K, now: Instant) -> Result<(), Limited> {
        self.try_acquire_many(key, 1, now)
    }

    /// Takes `n` calls of a key, or none of them.
    ///
    /// # Errors
    ///
    /// [`Limited`] when they are too many; nothing is taken then.
    pub fn try_acquire_many(&self, key: &K, n: u32, now: Instant) -> Result<(), Limited> {
        self.pace.acquire(&self.arrivals.get(key), n, now)
    }

    /// Replaces the rate of all keys while the limiter is in use, as
    /// [`RateLimiter::set_rate`](super::RateLimiter::set_rate) does.
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

    /// What it would allow to a key at this moment; `None` for one it does not know, which
    /// has the whole burst.
    pub fn snapshot(&self, key: &K, now: Instant) -> Option<RateLimitSnapshot> {
        let arrival = self.arrivals.peek(key)?;
        let (available, next_in) = self.pace.free(&arrival, now);
        Some(RateLimitSnapshot { config: self.config(), available, next_in })
    }

    /// Forgets a key; whether it was known.
    pub fn remove(&self, key: &K) -> bool {
        self.arrivals.remove(key)
    }

    /// How many keys it remembers.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The keys it remembers, in no order.
    pub fn keys(&self) -> Vec<K> {
        self.arrivals.keys()
    }
}

impl<K> fmt::Debug for KeyedRateLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter")
            .field("pace", &self.pace)
            .field("arrivals", &self.arrivals)
            .finish()
    }
}
