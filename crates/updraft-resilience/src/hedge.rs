//! Hedging: when a call takes longer than calls usually do, it is sent once more, and the
//! first answer counts. This is the decision only; sending, and dropping the attempt that
//! lost, is the policy's.

mod budget;
mod config;
mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::nanos;
use crate::{Instant, Invalid};

use budget::Budget;
pub use config::{HedgeAfter, HedgeConfig, Percentile};
use histogram::Histogram;

/// How old a computed quantile may be. It takes a few microseconds to compute, which would be
/// much for each call and is nothing for this.
const REFRESH: Duration = Duration::from_millis(10);

/// Decides when calls to one target are sent once more. Shared by all its callers.
///
/// For each call: [`on_call`](Self::on_call), then [`delay`](Self::delay). When the first
/// attempt still runs after that long, ask [`try_hedge`](Self::try_hedge) before each extra
/// one: a "no" means that this extra attempt is not made, and touches none that runs. When a
/// first attempt ends, [`observe`](Self::observe) its latency.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::hedge::{Hedge, HedgeConfig};
/// use updraft_resilience::ManualClock;
///
/// let hand = ManualClock::new();
/// let hedge = Hedge::new(HedgeConfig::default())?;
/// for latency in 1..=1000 {
///     hedge.on_call();
///     hedge.observe(Duration::from_millis(latency), hand.now());
/// }
/// let delay = hedge.delay(hand.now()).unwrap_or_default();
/// assert!((Duration::from_millis(920)..Duration::from_millis(980)).contains(&delay));
/// assert!(hedge.try_hedge());
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Debug)]
pub struct Hedge {
    config: HedgeConfig,
    latencies: Option<Latencies>,
    budget: Budget,
    granted: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Latencies {
    percentile: Percentile,
    histogram: Histogram,
    /// The last computed wait in nanoseconds, or [`NO_DELAY`].
    delay: AtomicU64,
    /// When the wait is computed again.
    stale_at: AtomicU64,
}

const NO_DELAY: u64 = u64::MAX;

/// What a [`Hedge`] knew at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HedgeSnapshot {
    /// How long an attempt may take; `None` where nothing is hedged.
    pub delay: Option<Duration>,
    /// Latencies in the window; 0 for a fixed delay, which needs none.
    pub samples: u64,
    /// Extra attempts that the budget would allow at once.
    pub available: u64,
    /// Extra attempts allowed so far.
    pub granted: u64,
    /// Extra attempts that the budget has suppressed so far.
    pub refused: u64,
}

impl Hedge {
    /// One that has seen no call.
    ///
    /// # Errors
    ///
    /// Every field of the configuration that makes no sense.
    pub fn new(config: HedgeConfig) -> Result<Self, Invalid> {
        config.validate()?;
        let latencies = match config.after {
            HedgeAfter::Fixed(_) => None,
            HedgeAfter::Percentile(percentile) => Some(Latencies::new(percentile)),
        };
        Ok(Self {
            config,
            latencies,
            budget: Budget::new(config.budget_share, config.budget_burst),
            granted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// What it was made with.
    pub const fn config(&self) -> &HedgeConfig {
        &self.config
    }

    /// How long an attempt may take before another one is sent, up to 10 ms old. `None`: do
    /// not hedge, because `max` is 0, or there are too few latencies and no fallback.
    pub fn delay(&self, now: Instant) -> Option<Duration> {
        match self.config.after {
            _ if self.config.max == 0 => None,
            HedgeAfter::Fixed(delay) => Some(delay),
            HedgeAfter::Percentile(_) => self.latencies.as_ref()?.delay(now),
        }
    }

    /// Counts a call, which adds its share to the budget. Once per call, however many attempts
    /// it takes.
    pub fn on_call(&self) {
        self.budget.deposit();
    }

    /// Takes one extra attempt out of the budget. If it says no, leave out this extra attempt
    /// and let those go on that run.
    #[must_use = "an extra attempt is made only if this is true"]
    pub fn try_hedge(&self) -> bool {
        let granted = self.config.max > 0 && self.budget.withdraw();
        let count = if granted { &self.granted } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        granted
    }

    /// Notes how long a first attempt took. One that was dropped because an extra attempt was
    /// faster counts too, with its time until then: left out, the slow end of the latencies
    /// would be missing, and the percentile would sink from window to window.
    pub fn observe(&self, latency: Duration, now: Instant) {
        if let Some(latencies) = &self.latencies {
            latencies.histogram.record(latency, now);
        }
    }

    /// What it knows at `now`, freshly computed.
    pub fn snapshot(&self, now: Instant) -> HedgeSnapshot {
        let computed = self.latencies.as_ref().map(|latencies| latencies.compute(now));
        let (delay, samples) = computed.unwrap_or_else(|| (self.delay(now), 0));
        HedgeSnapshot {
            delay: delay.filter(|_| self.config.max > 0),
            samples,
            available: self.budget.available(),
            granted: self.granted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Latencies {
    fn new(percentile: Percentile) -> Self {
        Self {
            percentile,
            histogram: Histogram::new(percentile.window),
            delay: AtomicU64::new(percentile.fallback.map_or(NO_DELAY, nanos)),
            stale_at: AtomicU64::new(0),
        }
    }

    fn delay(&self, now: Instant) -> Option<Duration> {
        let stale_at = self.stale_at.load(Ordering::Relaxed);
        if now.as_nanos() >= stale_at && self.claim_refresh(stale_at, now) {
            let (delay, _) = self.compute(now);
            self.delay.store(delay.map_or(NO_DELAY, nanos), Ordering::Relaxed);
            return delay;
        }
        let delay = self.delay.load(Ordering::Relaxed);
        (delay != NO_DELAY).then(|| Duration::from_nanos(delay))
    }

    /// One thread computes; the others go on with what there is.
    fn claim_refresh(&self, stale_at: u64, now: Instant) -> bool {
        let next = (now + REFRESH).as_nanos();
        self.stale_at.compare_exchange(stale_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The wait at `now`, and how many latencies say so.
    fn compute(&self, now: Instant) -> (Option<Duration>, u64) {
        let Percentile { quantile, min_samples, min, max, fallback, .. } = self.percentile;
        let distribution = self.histogram.distribution(now);
        let samples = distribution.total();
        let delay = if samples < u64::from(min_samples) {
            fallback
        } else {
            distribution.quantile(quantile).map(|delay| delay.clamp(min, max))
        };
        (delay, samples)
    }
}

#[cfg(test)]
#[path = "hedge/hedge_tests.rs"]
mod tests;
