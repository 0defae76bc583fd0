//! Whether a failed attempt is followed by another, and when: decided by the verdict, the
//! number of attempts, the time, the deadline and the hint of the server.
//!
//! The last word has the [`Budget`], which all calls of a target share: without it, callers
//! that each retry a little multiply the load of a target that is down.

mod budget;
pub mod hint;
#[cfg(feature = "serde")]
mod switch;

use std::time::Duration;

use crate::backoff::Backoff;
use crate::invalid::{Findings, Invalid};
use crate::{Instant, Verdict};

pub use budget::{Budget, BudgetConfig};

/// How often and when an operation is attempted again.
///
/// As data (feature `serde`), durations are written like `"1m 30s"`, and `budget = false`
/// means none.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::backoff::Backoff;
/// use updraft_resilience::retry::RetryConfig;
///
/// let config = RetryConfig {
///     attempts: 5,
///     backoff: Backoff::exponential(Duration::from_millis(50), Duration::from_secs(2)),
///     ..RetryConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct RetryConfig {
    /// The most attempts of one call, the first included; 3 by default, at least 1.
    pub attempts: u32,
    /// No attempt begins this long after the first one began, or later; waits count. None by
    /// default. As `stop_before_delay` of tenacity.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub elapsed: Option<Duration>,
    /// The wait before each retry; by default exponential from 100 ms to 10 s, full jitter.
    pub backoff: Backoff,
    /// What all calls of a target together may spend on retries; on by default.
    #[cfg_attr(feature = "serde", serde(with = "switch"))]
    pub budget: Option<BudgetConfig>,
    /// The longest wait that a server may ask for: a longer hint waits this long. 30 s by
    /// default; zero ignores hints.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub hint_max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            elapsed: None,
            backoff: Backoff::default(),
            budget: Some(BudgetConfig::default()),
            hint_max: Duration::from_secs(30),
        }
    }
}

impl RetryConfig {
    /// Looks for values that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field, those of the parts included.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.attempts > 0, "attempts", "at least 1");
        findings.require(
            self.elapsed.is_none_or(|elapsed| !elapsed.is_zero()),
            "elapsed",
            "longer than nothing",
        );
        findings.part("backoff", self.backoff.validate());
        if let Some(budget) = &self.budget {
            findings.part("budget", budget.validate());
        }
        findings.into_result()
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, if the [`Budget`] has one left: ask it (or use
    /// [`Next::paid_from`]) before waiting.
    Retry {
        /// How long to wait first.
        wait: Duration,
        /// The number of the attempt that comes, from 2.
        attempt: u32,
    },
    /// No other attempt: the outcome is the outcome of the call.
    Stop(StopReason),
}

impl Next {
    /// Takes a retry from the budget, and stops where that has none left. A stop costs
    /// nothing, and without a budget every retry is free.
    #[must_use]
    pub fn paid_from(self, budget: Option<&Budget>, now: Instant) -> Self {
        match (self, budget) {
            (Self::Retry { .. }, Some(budget)) if !budget.try_withdraw(now) => {
                Self::Stop(StopReason::Budget)
            }
            _ => self,
        }
    }
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It succeeded, or asking again is not safe or of no use.
    NotRetryable,
    /// That was the last of [`attempts`](RetryConfig::attempts).
    Attempts,
    /// The next would begin after [`elapsed`](RetryConfig::elapsed).
    Elapsed,
    /// The next would begin when the deadline of the call is over.
    Deadline,
    /// The [`Budget`] of the target has no retry left.
    Budget,
}

/// The attempts of one call: pure state, which is told the time.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::retry::{Budget, BudgetConfig, Next, Retry, RetryConfig, StopReason};
/// use updraft_resilience::{ManualClock, Verdict};
///
/// let (config, clock) = (RetryConfig::default(), ManualClock::new());
/// let budget = Budget::new(BudgetConfig::default(), clock.now())?; // one for all calls
/// let mut random = fastrand::Rng::with_seed(7);
///
/// let mut retry = Retry::begin(clock.now());
/// budget.deposit(clock.now()); // once for each call
/// let verdict = Verdict::Throttled(Some(Duration::from_secs(2)));
/// let next = retry
///     .after(&config, verdict, clock.now(), None, &mut random)
///     .paid_from(Some(&budget), clock.now());
/// assert_eq!(next, Next::Retry { wait: Duration::from_secs(2), attempt: 2 });
///
/// let deadline = clock.now() + Duration::from_secs(1);
/// let next = retry.after(&config, verdict, clock.now(), Some(deadline), &mut random);
/// assert_eq!(next, Next::Stop(StopReason::Deadline)); // at once, not after a wait for nothing
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct Retry {
    first: Instant,
    attempts: u32,
    previous: Option<Duration>,
}

impl Retry {
    /// The first attempt begins now.
    pub const fn begin(now: Instant) -> Self {
        Self { first: now, attempts: 0, previous: None }
    }

    /// How many attempts have ended.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Decides what follows the attempt that has just ended with `verdict`.
    ///
    /// The hint of [`Verdict::Throttled`] replaces the computed wait and is followed as it
    /// is, up to [`hint_max`](RetryConfig::hint_max), as gRPC does (gRFC A6, "Pushback"). No
    /// wait reaches the deadline: where one would, it stops at once.
    pub fn after(
        &mut self,
        config: &RetryConfig,
        verdict: Verdict,
        now: Instant,
        deadline: Option<Instant>,
        random: &mut fastrand::Rng,
    ) -> Next {
        self.attempts = self.attempts.saturating_add(1);
        if !verdict.is_retryable() {
            return Next::Stop(StopReason::NotRetryable);
        }
        if self.attempts >= config.attempts {
            return Next::Stop(StopReason::Attempts);
        }
        let wait = match verdict {
            Verdict::Throttled(Some(hint)) if !config.hint_max.is_zero() => {
                hint.min(config.hint_max)
            }
            _ => config.backoff.delay(self.attempts, self.previous, random),
        };
        let begin = now + wait;
        if deadline.is_some_and(|deadline| begin >= deadline) {
            return Next::Stop(StopReason::Deadline);
        }
        if config.elapsed.is_some_and(|elapsed| begin >= self.first + elapsed) {
            return Next::Stop(StopReason::Elapsed);
        }
        self.previous = Some(wait);
        Next::Retry { wait, attempt: self.attempts.saturating_add(1) }
    }
}

#[cfg(test)]
#[path = "retry/retry_tests.rs"]
mod tests;
