//! A limit of calls at the same time that finds itself, and follows the target as it gets
//! faster or slower. It only says what the limit should be; a bulkhead enforces it.

mod config;
mod estimate;
mod window;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::clock::nanos;
use crate::invalid::Invalid;
use crate::{Instant, Verdict};
use estimate::{Estimate, whole};
use window::Window;

pub use config::{AdaptiveConfig, Aimd, Algorithm, Gradient2, Vegas};

/// A call under way, as [`Adaptive::on_start`] saw it. Give it back once, to
/// [`on_end`](Adaptive::on_end) or to [`on_abandon`](Adaptive::on_abandon).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call that never ends counts as under way for ever"]
pub struct Sample {
    started: Instant,
    in_flight: u32,
    generation: u32,
}

impl Sample {
    /// When the call began.
    pub const fn started(self) -> Instant {
        self.started
    }

    /// The calls that were under way then, this one included.
    pub const fn in_flight(self) -> u32 {
        self.in_flight
    }
}

/// What an adaptive limit has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveSnapshot {
    /// The calls that should be under way at most.
    pub limit: u32,
    /// The calls that are.
    pub in_flight: u32,
    /// The latency with which others are compared, when the algorithm has one and knows it.
    pub baseline: Option<Duration>,
    /// The average latency of the last window.
    pub latency: Option<Duration>,
    /// Whether the limit is lowered for a moment to measure the baseline.
    pub probing: bool,
}

/// Finds how many calls a target bears at the same time.
///
/// Calls are gathered in windows of 100 ms, or of twice their latency up to 10 s. From each
/// window with enough calls comes the next limit.
///
/// - Only calls to the target count: what was refused before it was sent must not be told,
///   and what says nothing about the target ([`Verdict::Ignore`]) does not count.
/// - A call that began before the limit last fell does not count: it has met a longer queue
///   than there is now, and would make the limit fall twice for one cause.
/// - A limit of which less than half is in use does not grow, nor one of an idle target.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::adaptive::{Adaptive, AdaptiveConfig};
/// use updraft_resilience::{ManualClock, Verdict};
///
/// let hand = ManualClock::new();
/// let adaptive = Adaptive::new(AdaptiveConfig::default())?;
/// for _ in 0..100 {
///     let calls: Vec<_> = (0..20).map(|_| adaptive.on_start(hand.now())).collect();
///     hand.advance(Duration::from_millis(50));
///     for call in calls {
///         adaptive.on_end(call, Verdict::Success, hand.now());
///     }
/// }
/// assert!(adaptive.limit() > 20, "it bears more");
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Debug)]
pub struct Adaptive {
    config: AdaptiveConfig,
    limit: AtomicU32,
    in_flight: AtomicU32,
    /// How often calls under way have become worthless.
    generation: AtomicU32,
    /// The length of the window, in nanoseconds.
    length: AtomicU64,
    window: Window,
    estimate: Mutex<Estimate>,
}

const SHORTEST_WINDOW: u64 = 100_000_000;
const LONGEST_WINDOW: u64 = 10_000_000_000;

impl Adaptive {
    /// A limit that begins at [`AdaptiveConfig::initial`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`AdaptiveConfig::validate`] tells it.
    pub fn new(config: AdaptiveConfig) -> Result<Self, Invalid> {
        Self::with_seed(config, fastrand::u64(..))
    }

    /// As [`new`](Self::new), with the moments of its measurements drawn from a seed, for
    /// tests.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`AdaptiveConfig::validate`] tells it.
    pub fn with_seed(config: AdaptiveConfig, seed: u64) -> Result<Self, Invalid> {
        config.validate()?;
        let estimate = Estimate::new(config.initial, fastrand::Rng::with_seed(seed));
        Ok(Self {
            limit: AtomicU32::new(config.initial),
            in_flight: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            length: AtomicU64::new(SHORTEST_WINDOW),
            window: Window::new(),
            estimate: Mutex::new(estimate),
            config,
        })
    }

    /// The calls that should be under way at most; at least 1.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// A call begins: it has been admitted, and is sent now.
    pub fn on_start(&self, now: Instant) -> Sample {
        Sample {
            started: now,
            in_flight: self.in_flight.fetch_add(1, Ordering::Relaxed).saturating_add(1),
            generation: self.generation.load(Ordering::Relaxed),
        }
    }

    /// A call has ended; gives the limit that holds from now on.
    pub fn on_end(&self, sample: Sample, verdict: Verdict, now: Instant) -> u32 {
        self.leave();
        let stale = sample.generation != self.generation.load(Ordering::Relaxed);
        if stale || verdict == Verdict::Ignore {
            return self.limit();
        }
        let latency = now.saturating_duration_since(sample.started);
        let latency = (!verdict.is_failure()).then_some(latency);
        self.window.add(latency, sample.in_flight, now);
        if self.window.is_full(self.length.load(Ordering::Relaxed), now) {
            self.judge(now);
        }
        self.limit()
    }

    /// A call was given up before its outcome was known, which tells nothing.
    pub fn on_abandon(&self, sample: Sample) {
        // The sample is taken so that a call cannot be given up that never began.
        let Sample { .. } = sample;
        self.leave();
    }

    /// Forgets all it has learned, as after the target was replaced. Calls under way still
    /// count as such, but not for the limit.
    pub fn reset(&self) {
        let mut estimate = self.estimate();
        *estimate = Estimate::new(self.config.initial, fastrand::Rng::new());
        self.length.store(SHORTEST_WINDOW, Ordering::Relaxed);
        self.publish(&estimate, true);
    }

    /// How it was set up.
    pub const fn config(&self) -> &AdaptiveConfig {
        &self.config
    }

    /// What it has come to.
    pub fn snapshot(&self) -> AdaptiveSnapshot {
        let estimate = self.estimate();
        AdaptiveSnapshot {
            limit: self.limit(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            baseline: estimate.baseline.map(span),
            latency: estimate.latency.map(span),
            probing: estimate.probing.is_some(),
        }
    }

    fn leave(&self) {
        // A sample that is given back twice must not make the count wrap.
        let one_less = |calls: u32| calls.saturating_sub(1);
        self.in_flight.update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }

    /// Draws the conclusions of a full window; whoever comes second has nothing to do.
    #[cold]
    fn judge(&self, now: Instant) {
        let mut estimate = match self.estimate.try_lock() {
            Ok(estimate) => estimate,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.window.is_full(self.length.load(Ordering::Relaxed), now) {
            return;
        }
        let summary = self.window.take();
        if let Some(latency) = summary.latency {
            let twice = nanos(span(latency)).saturating_mul(2);
            let length = twice.clamp(SHORTEST_WINDOW, LONGEST_WINDOW);
            self.length.store(length, Ordering::Relaxed);
        }
        let fell = estimate.learn(&self.config, &summary);
        self.publish(&estimate, fell);
    }

    fn publish(&self, estimate: &Estimate, fell: bool) {
        self.limit.store(whole(estimate.limit), Ordering::Relaxed);
        if fell {
            self.generation.fetch_add(1, Ordering::Relaxed);
            // What has come in meanwhile belongs to the former generation.
            self.window.take();
        }
    }

    fn estimate(&self) -> MutexGuard<'_, Estimate> {
        self.estimate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A latency in nanoseconds as a span.
fn span(latency: f64) -> Duration {
    Duration::try_from_secs_f64(latency / 1e9).unwrap_or_default()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
