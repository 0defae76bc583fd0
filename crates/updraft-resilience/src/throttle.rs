//! A client that is being refused sends less by itself: most of what it would send only
//! costs the target the work of refusing it.
//!
//! "Site Reliability Engineering", Beyer et al., 2016, chapter 21 "Handling Overload",
//! section "Client-Side Throttling". Of the calls of the last minutes, `requests` in all and
//! `accepts` that the target took, the next one is refused here with the probability
//! `max(0, (requests - k * accepts) / (requests + 1))`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Instant;
use crate::clock::nanos;
use crate::invalid::{Findings, Invalid};

/// When a client holds calls back. The default is that of the book, `k` 2 over two minutes,
/// and never more than 95 % held back.
///
/// ```
/// use updraft_resilience::throttle::ThrottleConfig;
///
/// let cautious = ThrottleConfig { k: 1.5, ..ThrottleConfig::default() };
/// assert!(cautious.validate().is_ok());
/// assert!(ThrottleConfig { k: f64::NAN, ..cautious }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct ThrottleConfig {
    /// How many calls are sent for each one that the target accepts, at least 1. With 2, up
    /// to half of what is sent may be refused by the target; less sends fewer calls in vain,
    /// and is slower to notice that the target has recovered.
    pub k: f64,
    /// How far back calls count, in tenths of it. What is sent after an outage grows about
    /// 2.7-fold in each two thirds of it, with `k` 2: shorter is back sooner.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub window: Duration,
    /// The largest share of calls held back, from 0 to 1. The rest finds out that a target
    /// that accepted nothing at all does so again; the book has no such bound, and with 1
    /// a busy client asks so rarely that it may take minutes to notice.
    pub most_refused: f64,
    /// The calls with a known outcome within the window below which none is held back.
    pub min_requests: u32,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self { k: 2.0, window: Duration::from_secs(120), most_refused: 0.95, min_requests: 10 }
    }
}

impl ThrottleConfig {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        let k = self.k.is_finite() && self.k >= 1.0;
        findings.require(k, "k", "a number of at least 1");
        let share = (0.0..=1.0).contains(&self.most_refused);
        findings.require(share, "most_refused", "from 0 to 1");
        let long = self.window >= Duration::from_millis(10);
        findings.require(long, "window", "at least 10 ms");
        findings.into_result()
    }
}

/// What a throttle has counted within its window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleSnapshot {
    /// Calls with a known outcome, and those held back.
    pub requests: u64,
    /// Calls that the target accepted.
    pub accepts: u64,
    /// The probability with which the next call is held back.
    pub refusal: f64,
}

/// Holds back calls that the target would most likely refuse.
///
/// A call counts once its outcome is known, or when it is held back. So calls under way, of
/// which a client may have many when it begins, are not taken for refused ones; and calls
/// that are cancelled count for nothing.
///
/// ```
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::throttle::{Throttle, ThrottleConfig};
///
/// let now = ManualClock::new().now();
/// let mut random = fastrand::Rng::with_seed(1);
/// let throttle = Throttle::new(ThrottleConfig::default())?;
/// (0..100).for_each(|_| throttle.record(false, now));
/// let sent = (0..1000).filter(|_| throttle.admit(now, &mut random)).count();
/// assert!(sent < 100, "the target refuses everything");
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Debug)]
pub struct Throttle {
    config: ThrottleConfig,
    /// Nanoseconds of one bucket.
    length: u64,
    buckets: [AtomicU64; BUCKETS],
}

const BUCKETS: usize = 10;

/// A bucket is one word, so that it changes as a whole: which turn of the ring it counts,
/// requests, and accepts. The turn comes back after 2^20 buckets, 145 days by default; what
/// has lain untouched for exactly so long is counted once more, which does no harm.
#[derive(Clone, Copy)]
struct Bucket {
    turn: u64,
    requests: u64,
    accepts: u64,
}

const COUNT_BITS: u32 = 22;
const COUNT_MOST: u64 = (1 << COUNT_BITS) - 1;
const TURN_MOST: u64 = (1 << (64 - 2 * COUNT_BITS)) - 1;

impl Bucket {
    const fn unpack(word: u64) -> Self {
        Self {
            turn: word >> (2 * COUNT_BITS),
            requests: (word >> COUNT_BITS) & COUNT_MOST,
            accepts: word & COUNT_MOST,
        }
    }

    const fn pack(self) -> u64 {
        self.turn << (2 * COUNT_BITS) | self.requests << COUNT_BITS | self.accepts
    }

    /// One call more. Full counts are halved: what matters is how they relate.
    const fn with(mut self, accepted: bool) -> Self {
        if self.requests == COUNT_MOST {
            self.requests /= 2;
            self.accepts /= 2;
        }
        self.requests += 1;
        if accepted && self.accepts < COUNT_MOST {
            self.accepts += 1;
        }
        self
    }
}

impl Throttle {
    /// A throttle that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`ThrottleConfig::validate`] tells it.
    pub fn new(config: ThrottleConfig) -> Result<Self, Invalid> {
        config.validate()?;
        let length = (nanos(config.window) / 10).max(1);
        // No bucket is of the turn that a clock near its origin begins with.
        let unused = Bucket { turn: TURN_MOST, requests: 0, accepts: 0 }.pack();
        let buckets = std::array::from_fn(|_| AtomicU64::new(unused));
        Ok(Self { config, length, buckets })
    }

    /// Whether to send a call now. One that is held back counts as refused.
    pub fn admit(&self, now: Instant, random: &mut fastrand::Rng) -> bool {
        let refusal = self.snapshot(now).refusal;
        // `f64` is below 1: what has probability 0 never happens, and 1 always does.
        let refused = refusal > 0.0 && random.f64() < refusal;
        if refused {
            self.record(false, now);
        }
        !refused
    }

    /// Counts the outcome of a call that was sent: whether the target accepted it, however it
    /// ended. Only a refusal for want of capacity, or no answer at all, is none.
    pub fn record(&self, accepted: bool, now: Instant) {
        let turn = now.as_nanos() / self.length;
        let Some(bucket) = self.bucket(turn) else { return };
        let turn = turn & TURN_MOST;
        bucket.update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let found = Bucket::unpack(word);
            let fresh = Bucket { turn, requests: 0, accepts: 0 };
            let current = if found.turn == turn { found } else { fresh };
            current.with(accepted).pack()
        });
    }

    /// What counts at this moment.
    pub fn snapshot(&self, now: Instant) -> ThrottleSnapshot {
        let turn = now.as_nanos() / self.length;
        let (mut requests, mut accepts) = (0, 0);
        for word in &self.buckets {
            let bucket = Bucket::unpack(word.load(Ordering::Relaxed));
            // How many turns ago, on a ring of all turns.
            let age = (turn & TURN_MOST).wrapping_sub(bucket.turn) & TURN_MOST;
            if age < 10 {
                requests += bucket.requests;
                accepts += bucket.accepts;
            }
        }
        ThrottleSnapshot { requests, accepts, refusal: self.refusal(requests, accepts) }
    }

    fn refusal(&self, requests: u64, accepts: u64) -> f64 {
        if requests < u64::from(self.config.min_requests) {
            return 0.0;
        }
        let (requests, accepts) = (requests as f64, accepts as f64);
        let refusal = (requests - self.config.k * accepts) / (requests + 1.0);
        refusal.clamp(0.0, self.config.most_refused)
    }

    fn bucket(&self, turn: u64) -> Option<&AtomicU64> {
        self.buckets.get(usize::try_from(turn % 10).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
