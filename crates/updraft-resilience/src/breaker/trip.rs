//! What opens a circuit, as data.

use std::time::Duration;

use crate::Invalid;
use crate::invalid::Findings;

/// The most calls that a window of the last calls may hold.
const MOST_CALLS: u32 = 65_536;
/// The shortest window of time: a tenth of it must be longer than a tick of the coarse clock.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A window of time keeps exact counts up to 65 535 calls per bucket and stripe and halves
/// them beyond, so more could be asked for than it ever shows.
const MOST_NEEDED: u32 = 30_000;

/// Which of the latest calls a rate is taken of. Default: the last 10 seconds.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::breaker::Window;
///
/// let last_calls = Window::Count(100);
/// let last_seconds = Window::Time(Duration::from_secs(30));
/// assert_ne!(last_calls, last_seconds);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Window {
    /// The last so many calls, 1 to 65 536; one bit of memory each.
    Count(u32),
    /// The calls of the last so long a time, 100 ms to 24 h. It slides in tenths: it covers
    /// the present tenth and the nine before it, so between 90 and 100 % of the time.
    Time(#[cfg_attr(feature = "serde", serde(with = "humantime_serde"))] Duration),
}

impl Default for Window {
    fn default() -> Self {
        Self::Time(Duration::from_secs(10))
    }
}

impl Window {
    fn check(self, min_calls: u32, findings: &mut Findings) {
        match self {
            Self::Count(calls) => {
                findings.require((1..=MOST_CALLS).contains(&calls), "window", "1 to 65536 calls");
                let within = (1..=calls.max(1)).contains(&min_calls);
                findings.require(within, "min_calls", "at least 1 and at most the window's calls");
            }
            Self::Time(span) => {
                let sound = (SHORTEST..=LONGEST).contains(&span);
                findings.require(sound, "window", "100 ms to 24 h");
                let within = (1..=MOST_NEEDED).contains(&min_calls);
                findings.require(within, "min_calls", "1 to 30000");
            }
        }
    }
}

/// One reason to open a circuit.
///
/// Rates are looked at when a call fails or is slow, never after a good call. What the
/// verdicts count for is in the table of [`Verdict`](crate::Verdict).
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::breaker::{Trip, Window};
///
/// let half_fail = Trip::failure_rate(0.5).over(Window::Count(100)).min_calls(20);
/// let most_are_slow = Trip::slow_rate(0.8).slower_than(Duration::from_millis(800));
/// let eight_in_a_row = Trip::consecutive(8);
/// for trip in [half_fail, most_are_slow, eight_in_a_row] {
///     assert!(trip.validate().is_ok());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, rename_all = "snake_case")
)]
pub enum Trip {
    /// Too large a share of the calls in the window failed.
    FailureRate {
        /// The share that opens: more than 0, at most 1.
        at_least: f64,
        /// Of which calls.
        #[cfg_attr(feature = "serde", serde(default))]
        window: Window,
        /// With fewer calls in the window the rate says nothing. Default 20.
        #[cfg_attr(feature = "serde", serde(default = "default_min_calls"))]
        min_calls: u32,
    },
    /// Too large a share of the calls in the window was slow, whether they failed or not.
    SlowRate {
        /// The share that opens: more than 0, at most 1.
        at_least: f64,
        /// A call is slow when it takes longer. Default 1 s. While half-open, a slow probe
        /// is a failed one.
        #[cfg_attr(
            feature = "serde",
            serde(with = "humantime_serde", default = "default_slower_than")
        )]
        slower_than: Duration,
        /// Of which calls.
        #[cfg_attr(feature = "serde", serde(default))]
        window: Window,
        /// With fewer calls in the window the rate says nothing. Default 20.
        #[cfg_attr(feature = "serde", serde(default = "default_min_calls"))]
        min_calls: u32,
    },
    /// So many calls failed with no success in between. Throttled calls neither count nor
    /// interrupt.
    Consecutive {
        /// How many, at least 1.
        failures: u32,
    },
}

const fn default_min_calls() -> u32 {
    20
}

const fn default_slower_than() -> Duration {
    Duration::from_secs(1)
}

impl Trip {
    /// Opens when at least this share of the calls fails; over 10 s and from 20 calls on,
    /// unless said otherwise.
    #[must_use]
    pub const fn failure_rate(at_least: f64) -> Self {
        let window = Window::Time(Duration::from_secs(10));
        Self::FailureRate { at_least, window, min_calls: default_min_calls() }
    }

    /// Opens when at least this share of the calls is slower than 1 s; over 10 s and from 20
    /// calls on, unless said otherwise.
    #[must_use]
    pub const fn slow_rate(at_least: f64) -> Self {
        let window = Window::Time(Duration::from_secs(10));
        let slower_than = default_slower_than();
        Self::SlowRate { at_least, slower_than, window, min_calls: default_min_calls() }
    }

    /// Opens when so many calls fail one after the other.
    #[must_use]
    pub const fn consecutive(failures: u32) -> Self {
        Self::Consecutive { failures }
    }

    /// Of which calls a rate is taken. Consecutive failures have no window.
    #[must_use]
    pub const fn over(mut self, of: Window) -> Self {
        if let Self::FailureRate { window, .. } | Self::SlowRate { window, .. } = &mut self {
            *window = of;
        }
        self
    }

    /// From how many calls on a rate says something. Consecutive failures have no such number.
    #[must_use]
    pub const fn min_calls(mut self, calls: u32) -> Self {
        if let Self::FailureRate { min_calls, .. } | Self::SlowRate { min_calls, .. } = &mut self {
            *min_calls = calls;
        }
        self
    }

    /// From when on a call is slow. Only a slow rate has such a time.
    #[must_use]
    pub const fn slower_than(mut self, span: Duration) -> Self {
        if let Self::SlowRate { slower_than, .. } = &mut self {
            *slower_than = span;
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
        let share = |at_least: f64| at_least > 0.0 && at_least <= 1.0;
        match *self {
            Self::FailureRate { at_least, window, min_calls } => {
                findings.require(share(at_least), "at_least", "more than 0 and at most 1");
                window.check(min_calls, &mut findings);
            }
            Self::SlowRate { at_least, slower_than, window, min_calls } => {
                findings.require(share(at_least), "at_least", "more than 0 and at most 1");
                findings.require(!slower_than.is_zero(), "slower_than", "longer than nothing");
                window.check(min_calls, &mut findings);
            }
            Self::Consecutive { failures } => {
                findings.require(failures > 0, "failures", "at least 1");
            }
        }
        findings.into_result()
    }
}
