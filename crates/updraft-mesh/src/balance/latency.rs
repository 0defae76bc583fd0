//! How long an endpoint takes, as one number that is quick to grow and slow to shrink.
//!
//! The peak-sensitive moving average of Finagle (`PeakEwma`) and linkerd2-proxy: a response
//! slower than the average replaces it at once, a quicker one pulls it down with the weight
//! `1 - exp(-elapsed / decay)`. Without responses it fades towards nothing, so that an endpoint
//! that was slow once is tried again. Other than theirs, reading writes nothing: what fades is
//! counted from the last response.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use updraft_resilience::Instant;

/// The time after which a response weighs 1/e of what it did. As in linkerd.
const DECAY: Duration = Duration::from_secs(10);
/// Moments are kept in units of 2^20 ns, about 1 ms: their low 32 bits tell apart the 25 days
/// to either side.
const TICK_SHIFT: u32 = 20;
const TICK_SECONDS: f32 = (1_u32 << TICK_SHIFT) as f32 / 1e9;
/// No response yet: a number of seconds that is no number.
const UNKNOWN: u64 = u64::MAX;

/// Seconds as `f32` in the high half, the tick of the last change in the low half: one word, so
/// that no reader sees half a change.
#[derive(Debug)]
pub(super) struct Latency(AtomicU64);

impl Default for Latency {
    fn default() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }
}

impl Latency {
    /// The average in seconds, as it has faded until now; `None` before the first response.
    pub(super) fn seconds(&self, now: Instant) -> Option<f32> {
        let (seconds, at) = unpacked(self.0.load(Ordering::Relaxed))?;
        Some(seconds * kept(at, tick(now)))
    }

    /// A response took so long.
    pub(super) fn observe(&self, span: Duration, now: Instant) {
        let (sample, now) = (span.as_secs_f32(), tick(now));
        self.change(|average| match average {
            Some((seconds, at)) if sample <= seconds => {
                let kept = kept(at, now);
                Some((seconds * kept + sample * (1.0 - kept), later(at, now)))
            }
            Some((_, at)) => Some((sample, later(at, now))),
            None => Some((sample, now)),
        });
    }

    /// A call took at least so long: one that failed, which says nothing about how quick its
    /// answers are, or that was given up. It may raise the average, and never lowers it.
    pub(super) fn observe_at_least(&self, span: Duration, now: Instant) {
        let (sample, now) = (span.as_secs_f32(), tick(now));
        self.change(|average| {
            let (seconds, at) = average?;
            (sample > seconds * kept(at, now)).then(|| (sample, later(at, now)))
        });
    }

    fn change(&self, next: impl Fn(Option<(f32, u32)>) -> Option<(f32, u32)>) {
        let mut word = self.0.load(Ordering::Relaxed);
        while let Some((seconds, at)) = next(unpacked(word)) {
            let new = packed(seconds, at);
            match self.0.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }
}

fn tick(now: Instant) -> u32 {
    let low = (now.as_nanos() >> TICK_SHIFT) & u64::from(u32::MAX);
    u32::try_from(low).unwrap_or_default()
}

/// Ticks from one moment to another; 0 when it is earlier, as it may be on another thread.
fn since(at: u32, now: u32) -> u32 {
    let elapsed = now.wrapping_sub(at);
    if elapsed > u32::MAX / 2 { 0 } else { elapsed }
}

fn later(at: u32, now: u32) -> u32 {
    at.wrapping_add(since(at, now))
}

/// The share of an average that is left after the time between the two.
fn kept(at: u32, now: u32) -> f32 {
    match since(at, now) {
        0 => 1.0,
        ticks => (-(ticks as f32) * TICK_SECONDS / DECAY.as_secs_f32()).exp(),
    }
}

fn packed(seconds: f32, at: u32) -> u64 {
    (u64::from(seconds.to_bits()) << 32) | u64::from(at)
}

fn unpacked(word: u64) -> Option<(f32, u32)> {
    let half = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or_default();
    (word != UNKNOWN).then(|| (f32::from_bits(half(word >> 32)), half(word)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Instant = Instant::from_nanos(7_000_000_000_000);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_is_known_before_the_first_response() {
        let latency = Latency::default();
        assert_eq!(latency.seconds(START), None);
        latency.observe_at_least(millis(50), START);
        assert_eq!(latency.seconds(START), None, "a failure is no response");
        latency.observe(Duration::ZERO, START);
        assert_eq!(latency.seconds(START), Some(0.0));
    }

    #[test]
    fn it_grows_at_once_and_shrinks_by_the_decay() {
        let latency = Latency::default();
        latency.observe(millis(10), START);
        latency.observe(millis(100), START);
        assert_eq!(latency.seconds(START), Some(0.1));
        let later = START + DECAY;
        assert!((latency.seconds(later).unwrap() - 0.1 / std::f32::consts::E).abs() < 1e-4);
        latency.observe(millis(10), later);
        let e = std::f32::consts::E;
        let expected = 0.1 / e + 0.01 * (1.0 - 1.0 / e);
        assert!((latency.seconds(later).unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn a_quick_failure_makes_nobody_look_quick() {
        let latency = Latency::default();
        latency.observe(millis(10), START);
        latency.observe_at_least(millis(1), START);
        assert_eq!(latency.seconds(START), Some(0.01));
        latency.observe_at_least(millis(900), START);
        assert_eq!(latency.seconds(START), Some(0.9));
    }

    proptest! {
        #[test]
        fn it_follows_the_formula_over_any_moments(
            origin in any::<u64>(),
            calls in prop::collection::vec((0_u64..20_000, 0_u64..5_000, any::<bool>()), 1..100),
        ) {
            let latency = Latency::default();
            let ticks = |moment: Instant| moment.as_nanos() >> TICK_SHIFT;
            let mut now = Instant::from_nanos(origin / 2);
            let mut naive: Option<(f64, u64)> = None;
            for (space, took, answered) in calls {
                now = now + millis(space);
                let sample = took as f64 / 1e3;
                let kept = |at| (-((ticks(now) - at) as f64) * 1.048576e-3 / 10.0).exp();
                if answered {
                    latency.observe(millis(took), now);
                    naive = Some(match naive {
                        Some((old, at)) if sample <= old => {
                            (old * kept(at) + sample * (1.0 - kept(at)), ticks(now))
                        }
                        _ => (sample, ticks(now)),
                    });
                } else {
                    latency.observe_at_least(millis(took), now);
                    naive = naive.map(|(old, at)| {
                        if sample > old * kept(at) { (sample, ticks(now)) } else { (old, at) }
                    });
                }
                let found = latency.seconds(now).map(f64::from);
                let expected = naive.map(|(old, at)| old * kept(at));
                match (found, expected) {
                    (Some(found), Some(expected)) => {
                        prop_assert!((found - expected).abs() < 1e-3, "{found} {expected}");
                    }
                    (found, expected) => prop_assert_eq!(found, expected),
                }
            }
        }

        #[test]
        fn a_moment_of_another_thread_that_is_earlier_does_no_harm(back in 0_u64..60_000) {
            let latency = Latency::default();
            latency.observe(millis(20), START);
            let earlier = START - millis(back);
            prop_assert_eq!(latency.seconds(earlier), Some(0.02));
            latency.observe(millis(10), earlier);
            prop_assert_eq!(latency.seconds(START), Some(0.02));
        }
    }
}
