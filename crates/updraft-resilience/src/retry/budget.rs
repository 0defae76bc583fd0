//! What all calls of one target may spend on retries together, so that retries cannot
//! multiply the load of a target that is down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Instant;
use crate::invalid::{Findings, Invalid};

/// How a [`Budget`] is earned.
///
/// The defaults are those of Finagle's `RetryBudget` and of linkerd: 20 % of the calls, and
/// ten each second for targets that are called seldom, of which ten seconds can be saved.
///
/// ```
/// use updraft_resilience::retry::BudgetConfig;
///
/// let config = BudgetConfig { share: 0.1, ..BudgetConfig::default() };
/// config.validate()?;
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct BudgetConfig {
    /// Retries earned by each call, that is by each first attempt; 0.2 by default, at most
    /// 1000, exact to a millionth.
    pub share: f64,
    /// Retries earned each second, called or not; 10 by default, at most 10 000, exact to a
    /// millionth.
    pub per_second: f64,
    /// The most retries that can be saved, and what a new budget holds; 100 by default, at
    /// least 1.
    pub burst: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { share: 0.2, per_second: 10.0, burst: 100 }
    }
}

impl BudgetConfig {
    /// Looks for values that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        let share = (0.0..=1_000.0).contains(&self.share);
        findings.require(share, "share", "a number from 0 to 1000");
        let per_second = (0.0..=10_000.0).contains(&self.per_second);
        findings.require(per_second, "per_second", "a number from 0 to 10000");
        if share && per_second {
            let earned = millionths(self.share) > 0 || millionths(self.per_second) > 0;
            findings.require(earned, "share", "at least a millionth where `per_second` is 0");
        }
        findings.require(self.burst > 0, "burst", "at least 1");
        findings.into_result()
    }
}

/// One retry, in the unit of the balance: a millionth, so that fractions stay exact.
const RETRY: u64 = 1_000_000;

/// The rate is kept as a multiple of this part of a millionth in each nanosecond: earnings
/// then need a multiplication and a shift, where a division would cost ten times as much.
const RATE_SHIFT: u32 = 60;

/// Retries saved for one target; shared by its callers, without a lock.
///
/// It is the algorithm of a generic cell rate (ATM Forum, 1996; here after the crate
/// governor), counted in retries instead of in time so that calls can earn as well: one word
/// holds what has been spent, time moves the mark below which nothing is owed, and a retry is
/// granted while it stays within `burst` above that mark. While a target is well and the
/// budget full, a call only reads that word, and callers do not disturb each other.
#[derive(Debug)]
pub struct Budget {
    /// Retries spent, less those earned by calls, in millionths.
    spent: AtomicU64,
    refused: AtomicU64,
    begin: Instant,
    share: u64,
    rate: u64,
    burst: u64,
}

impl Budget {
    /// A full budget.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field of `config`.
    pub fn new(config: BudgetConfig, now: Instant) -> Result<Self, Invalid> {
        config.validate()?;
        Ok(Self {
            spent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            begin: now,
            share: millionths(config.share),
            rate: rate(millionths(config.per_second)),
            burst: u64::from(config.burst) * RETRY,
        })
    }

    /// Earns the share of one call. To be called once for each call, at its first attempt.
    #[inline]
    pub fn deposit(&self, now: Instant) {
        let earned = self.earned(now);
        let mut spent = self.spent.load(Ordering::Relaxed);
        // What is full stays as it is: the way of every call of a healthy target.
        while spent > earned {
            let less = spent.saturating_sub(self.share).max(earned);
            match self.exchange(spent, less) {
                Ok(()) => return,
                Err(other) => spent = other,
            }
        }
    }

    /// Takes a retry, if a whole one is left; counts the refusal otherwise. To be asked
    /// before the wait, so that callers that wait are counted too.
    #[must_use = "only a granted retry may be made"]
    #[inline]
    pub fn try_withdraw(&self, now: Instant) -> bool {
        let earned = self.earned(now);
        let limit = earned.saturating_add(self.burst);
        let mut spent = self.spent.load(Ordering::Relaxed);
        loop {
            let more = spent.max(earned).saturating_add(RETRY);
            if more > limit {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            match self.exchange(spent, more) {
                Ok(()) => return true,
                Err(other) => spent = other,
            }
        }
    }

    /// How many retries are left, with the fraction of the next one.
    pub fn balance(&self, now: Instant) -> f64 {
        let owed = self.spent.load(Ordering::Relaxed).saturating_sub(self.earned(now));
        let left = Duration::from_micros(self.burst.saturating_sub(owed));
        left.as_secs_f64()
    }

    /// How many retries have been refused.
    pub fn exhausted(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Relaxed, because the word is a number and publishes nothing else.
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        self.spent.compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    /// What time has earned since the beginning, in millionths.
    #[inline]
    fn earned(&self, now: Instant) -> u64 {
        let elapsed = now.as_nanos().saturating_sub(self.begin.as_nanos());
        let earned = (u128::from(elapsed) * u128::from(self.rate)) >> RATE_SHIFT;
        u64::try_from(earned).unwrap_or(u64::MAX)
    }
}

/// A number in whole millionths, rounded down. A duration of so many seconds counts them:
/// it is made from a float with every check that a cast would leave out.
fn millionths(number: f64) -> u64 {
    let micros = Duration::try_from_secs_f64(number).map_or(0, |seconds| seconds.as_micros());
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// Millionths a second as a multiple of the smallest part in each nanosecond. Rounded up, so
/// that whole seconds earn whole numbers: the excess reaches a millionth after 36 years.
fn rate(millionths: u64) -> u64 {
    let parts = (u128::from(millionths) << RATE_SHIFT).div_ceil(1_000_000_000);
    u64::try_from(parts).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
