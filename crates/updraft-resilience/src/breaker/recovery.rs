//! How an open circuit finds out whether its target is well again, as data.

use std::time::Duration;

use crate::Invalid;
use crate::invalid::Findings;

/// What the fields of the state word hold.
const MOST_PROBES: u32 = 500;
const MOST_STAGES: usize = 100;
/// Counts of a stage are halved at 511.
const MOST_STAGE_CALLS: u32 = 200;

/// What goes through while the circuit is half-open. Default: one probe at a time, of which
/// one must succeed, for at most 60 s.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::breaker::HalfOpen;
///
/// // Three probes at once; all of them must succeed.
/// let three = HalfOpen::permits(3).max_wait(Duration::from_secs(5));
/// // Ten probes, of which six must succeed.
/// let most_of_ten = HalfOpen::permits(10).successes_needed(6).failures_allowed(4);
/// // 1 % of the calls, then 10 %, then half of them, each for at least 10 s.
/// let gently = HalfOpen::ramp([0.01, 0.1, 0.5]).stage(Duration::from_secs(10));
/// for half_open in [three, most_of_ten, gently] {
///     assert!(half_open.validate().is_ok());
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, rename_all = "snake_case")
)]
pub enum HalfOpen {
    /// A fixed number of probes at once.
    ///
    /// The circuit closes with the success that makes `successes_needed`, and opens with the
    /// failure that is one more than `failures_allowed`. It decides as soon as the result is
    /// certain, where Resilience4j waits for all of its permitted calls.
    Permits {
        /// How many may run at once, 1 to 500.
        calls: u32,
        /// How many must succeed, 1 to 500. Default 1.
        #[cfg_attr(feature = "serde", serde(default = "one"))]
        successes_needed: u32,
        /// How many may fail, 0 to 500. Default 0.
        #[cfg_attr(feature = "serde", serde(default))]
        failures_allowed: u32,
        /// When a call is refused because every place is taken, and so long has passed since
        /// the last probe was admitted, the probes hang and the circuit opens again (for
        /// longer, as after a failed probe). It is not looked at while places are free, so a
        /// circuit without traffic stays half-open. `None` waits for ever. Default 60 s.
        #[cfg_attr(
            feature = "serde",
            serde(with = "humantime_serde", default = "default_max_wait")
        )]
        max_wait: Option<Duration>,
    },
    /// A growing share of the calls, stage by stage, as long as they go well.
    ///
    /// Which calls go through is spread evenly (a Weyl sequence of the golden ratio), and
    /// begins with the first call of the half-open time. Nothing is reserved, so there is
    /// nothing to wait for. A stage is over when it has lasted `stage` and has `min_calls`
    /// results; the circuit closes after the last stage.
    Ramp {
        /// The share of each stage: more than 0, at most 1, never less than the one before;
        /// 1 to 100 stages.
        shares: Vec<f64>,
        /// How long a stage lasts at least. Default 10 s.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde", default = "default_stage"))]
        stage: Duration,
        /// How many results a stage needs before it is judged, 1 to 200. Default 5.
        #[cfg_attr(feature = "serde", serde(default = "default_stage_calls"))]
        min_calls: u32,
        /// The share of failures in a stage that opens the circuit again: more than 0, at
        /// most 1. Default 0.5. Beyond 511 results older ones of the stage weigh less.
        #[cfg_attr(feature = "serde", serde(default = "default_reopen_at"))]
        reopen_at: f64,
    },
}

#[cfg(feature = "serde")]
const fn one() -> u32 {
    1
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
const fn default_max_wait() -> Option<Duration> {
    Some(Duration::from_secs(60))
}

const fn default_stage() -> Duration {
    Duration::from_secs(10)
}

const fn default_stage_calls() -> u32 {
    5
}

const fn default_reopen_at() -> f64 {
    0.5
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self::permits(1)
    }
}

impl HalfOpen {
    /// So many probes at once, and all of so many must succeed.
    #[must_use]
    pub const fn permits(calls: u32) -> Self {
        Self::Permits {
            calls,
            successes_needed: calls,
            failures_allowed: 0,
            max_wait: default_max_wait(),
        }
    }

    /// A share of the calls that grows from stage to stage.
    #[must_use]
    pub fn ramp(shares: impl Into<Vec<f64>>) -> Self {
        Self::Ramp {
            shares: shares.into(),
            stage: default_stage(),
            min_calls: default_stage_calls(),
            reopen_at: default_reopen_at(),
        }
    }

    /// How many probes must succeed. A ramp has no such number.
    #[must_use]
    pub const fn successes_needed(mut self, successes: u32) -> Self {
        if let Self::Permits { successes_needed, .. } = &mut self {
            *successes_needed = successes;
        }
        self
    }

    /// How many probes may fail. A ramp has no such number, see [`reopen_at`](Self::reopen_at).
    #[must_use]
    pub const fn failures_allowed(mut self, failures: u32) -> Self {
        if let Self::Permits { failures_allowed, .. } = &mut self {
            *failures_allowed = failures;
        }
        self
    }

    /// How long hanging probes may keep others out. A ramp keeps nobody out.
    #[must_use]
    pub const fn max_wait(mut self, longest: Duration) -> Self {
        if let Self::Permits { max_wait, .. } = &mut self {
            *max_wait = Some(longest);
        }
        self
    }

    /// How long a stage of a ramp lasts at least. Permits have no stages.
    #[must_use]
    pub const fn stage(mut self, span: Duration) -> Self {
        if let Self::Ramp { stage, .. } = &mut self {
            *stage = span;
        }
        self
    }

    /// How many results a stage of a ramp needs. Permits have no stages.
    #[must_use]
    pub const fn min_calls(mut self, calls: u32) -> Self {
        if let Self::Ramp { min_calls, .. } = &mut self {
            *min_calls = calls;
        }
        self
    }

    /// The share of failures that ends a ramp. Permits count failures instead.
    #[must_use]
    pub const fn reopen_at(mut self, share: f64) -> Self {
        if let Self::Ramp { reopen_at, .. } = &mut self {
            *reopen_at = share;
        }
        self
    }

    /// Looks for values that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        match self {
            Self::Permits { calls, successes_needed, failures_allowed, max_wait } => {
                let sound = (1..=MOST_PROBES).contains(calls);
                findings.require(sound, "calls", "1 to 500");
                let sound = (1..=MOST_PROBES).contains(successes_needed);
                findings.require(sound, "successes_needed", "1 to 500");
                findings.require(*failures_allowed <= MOST_PROBES, "failures_allowed", "0 to 500");
                let sound = max_wait.is_none_or(|longest| !longest.is_zero());
                findings.require(sound, "max_wait", "longer than nothing");
            }
            Self::Ramp { shares, min_calls, reopen_at, .. } => {
                let sound = (1..=MOST_STAGES).contains(&shares.len());
                findings.require(sound, "shares", "1 to 100 shares");
                let sound = shares.iter().all(|share| *share > 0.0 && *share <= 1.0);
                findings.require(sound, "shares", "more than 0 and at most 1 each");
                let falling = shares.windows(2).any(|pair| pair[1] < pair[0]);
                findings.require(!falling, "shares", "in rising order");
                let sound = (1..=MOST_STAGE_CALLS).contains(min_calls);
                findings.require(sound, "min_calls", "1 to 200");
                let sound = *reopen_at > 0.0 && *reopen_at <= 1.0;
                findings.require(sound, "reopen_at", "more than 0 and at most 1");
            }
        }
        findings.into_result()
    }
}
