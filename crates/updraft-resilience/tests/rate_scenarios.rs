//! What users of other projects rely on, from their test suites: rate limiters, adaptive
//! limits and throttles, told against this crate's names.
//!
//! Where another project's limiter lends calls of the future and lets the caller wait, this
//! one says how long; the moments at which calls pass are the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::time::Duration;

use updraft_resilience::adaptive::{Adaptive, AdaptiveConfig, Aimd, Algorithm, Vegas};
use updraft_resilience::rate_limit::{KeyedRateLimiter, RateLimitConfig, RateLimiter};
use updraft_resilience::throttle::{Throttle, ThrottleConfig};
use updraft_resilience::{ManualClock, Verdict};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn limiter(calls: u32, per: Duration, burst: u32) -> RateLimiter {
    RateLimiter::new(RateLimitConfig { calls, per, burst }).unwrap()
}

fn assert_refused(limiter: &RateLimiter, hand: &ManualClock, wait: Duration) {
    assert_eq!(limiter.try_acquire(hand.now()).unwrap_err().retry_after, wait);
}

fn assert_permitted(limiter: &RateLimiter, hand: &ManualClock, calls: u32) {
    for call in 0..calls {
        assert!(limiter.try_acquire(hand.now()).is_ok(), "call {call} of {calls}");
    }
}

/// Waits as long as it is told, and gives how long that was in all.
fn acquire_waiting(limiter: &RateLimiter, hand: &ManualClock) -> Duration {
    let before = hand.now();
    while let Err(limited) = limiter.try_acquire(hand.now()) {
        hand.advance(limited.retry_after);
    }
    hand.now().saturating_duration_since(before)
}

// Polly, test/Polly.Specs/RateLimit/TokenBucketRateLimiterTestsBase.cs

/// `Given_bucket_capacity_one_and_time_not_advanced_ratelimiter_specifies_correct_wait_until_next_execution`
#[test]
fn polly_a_burst_of_one_tells_the_wait() {
    for seconds in [1, 2, 5] {
        let hand = ManualClock::new();
        let limiter = limiter(1, Duration::from_secs(seconds), 1);
        assert_permitted(&limiter, &hand, 1);
        assert_refused(&limiter, &hand, Duration::from_secs(seconds));
    }
}

/// `Given_bucket_capacity_N_and_time_not_advanced_ratelimiter_permits_executions_up_to_bucket_capacity`
#[test]
fn polly_a_burst_passes_at_once() {
    for burst in [1, 2, 50] {
        let hand = ManualClock::new();
        let limiter = limiter(1, MS(1000), burst);
        assert_permitted(&limiter, &hand, burst);
        assert_refused(&limiter, &hand, MS(1000));
    }
}

/// `Given_any_bucket_capacity_ratelimiter_permits_another_execution_per_interval`
#[test]
fn polly_each_interval_gives_one_call_and_not_a_tick_sooner() {
    let tick = Duration::from_nanos(100);
    for (seconds, burst) in [(1, 1), (2, 1), (5, 1), (1, 10), (2, 10), (5, 10)] {
        let hand = ManualClock::new();
        let per = Duration::from_secs(seconds);
        let limiter = limiter(1, per, burst);
        assert_permitted(&limiter, &hand, burst);
        assert_refused(&limiter, &hand, per);
        for _ in 0..burst * 3 {
            hand.advance(per - tick);
            assert_refused(&limiter, &hand, tick);
            hand.advance(tick);
            assert_permitted(&limiter, &hand, 1);
            assert_refused(&limiter, &hand, per);
        }
    }
}

/// `Given_any_bucket_capacity_rate_limiter_permits_full_bucket_burst_after_exact_elapsed_time`,
/// `…_permits_half_full_bucket_burst_after_half_required_refill_time_elapsed` and
/// `…_permits_only_full_bucket_burst_even_if_multiple_required_refill_time_elapsed`
#[test]
fn polly_a_burst_comes_back_with_time_and_never_more_than_whole() {
    for burst in [10, 100] {
        for (pause, back) in [(burst, burst), (burst / 2, burst / 2), (burst * 5, burst)] {
            let hand = ManualClock::new();
            let limiter = limiter(1, MS(1000), burst);
            assert_permitted(&limiter, &hand, burst);
            hand.advance(MS(1000) * pause);
            assert_permitted(&limiter, &hand, back);
            assert_refused(&limiter, &hand, MS(1000));
        }
    }
}

/// `Given_immediate_parallel_contention_ratelimiter_still_only_permits_one`
#[test]
fn polly_callers_at_once_get_one_call_between_them() {
    for callers in [2, 5, 100] {
        let hand = ManualClock::new();
        let limiter = limiter(1, MS(1000), 1);
        let gate = std::sync::Barrier::new(callers);
        let permitted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..callers)
                .map(|_| {
                    scope.spawn(|| {
                        gate.wait();
                        limiter.try_acquire(hand.now()).is_ok()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|permitted| *permitted)
                .count()
        });
        assert_eq!(permitted, 1);
    }
}

// failsafe-go, ratelimiter

/// `ratelimiter_test.go`, `TestTryAcquirePermit`: smooth, one per 100 ns. The third call
/// passes at 250 here, and at 210 there: failsafe-go aligns calls to a grid from the start,
/// so two of them may be closer than the interval.
#[test]
fn failsafe_go_smooth_permits_come_one_by_one() {
    let hand = ManualClock::new();
    let ns = Duration::from_nanos;
    let limiter = limiter(1, ns(100), 1);
    assert_permitted(&limiter, &hand, 1);
    assert_refused(&limiter, &hand, ns(100));
    hand.advance(ns(150));
    assert_permitted(&limiter, &hand, 1);
    assert_refused(&limiter, &hand, ns(100));
    hand.advance(ns(60));
    assert_refused(&limiter, &hand, ns(40));
    hand.advance(ns(40));
    assert_permitted(&limiter, &hand, 1);
}

/// `ratelimiter_test.go`, `TestAcquirePermit`, and `smoothratelimiterstats_test.go`,
/// `TestSmoothAcquirePermits`: seven calls at one per 500 ms take 3 s.
#[test]
fn failsafe_go_smooth_permits_are_evenly_spaced() {
    let hand = ManualClock::new();
    let limiter = limiter(2, MS(1000), 1);
    let waits: Vec<_> = (0..7).map(|_| acquire_waiting(&limiter, &hand)).collect();
    assert_eq!(waits[0], Duration::ZERO);
    assert_eq!(waits[1..], [MS(500); 6]);
    // At 3 s, as there at 11 s with no debt left: after a pause a call passes at once.
    hand.advance(MS(8000));
    assert_eq!(acquire_waiting(&limiter, &hand), Duration::ZERO);
    assert_refused(&limiter, &hand, MS(500));
}

/// `burstyratelimiterstats_test.go`, `TestBurstyAcquirePermits`: five per second, of which
/// three are taken together at 300 ms, and the other two remain.
#[test]
fn failsafe_go_bursty_permits_may_come_together() {
    let hand = ManualClock::new();
    let limiter = limiter(5, MS(1000), 5);
    hand.advance(MS(300));
    assert!(limiter.try_acquire_many(3, hand.now()).is_ok());
    assert_eq!(limiter.snapshot(hand.now()).available, 2);
    // More than the whole is refused for ever here, and lent from two periods there.
    let limited = limiter.try_acquire_many(10, hand.now()).unwrap_err();
    assert_eq!(limited.retry_after, Duration::MAX);
    hand.advance(MS(1250));
    assert_eq!(limiter.snapshot(hand.now()).available, 5);
    assert!(limiter.try_acquire_many(5, hand.now()).is_ok());
    let limited = limiter.try_acquire_many(2, hand.now()).unwrap_err();
    assert_eq!(limited.retry_after, MS(400));
}

/// `burstyratelimiterstats_test.go`: seven calls at two per second are done in the fourth
/// period (3000 ms there, at whose edge two pass; 2500 ms here, where they are spread).
#[test]
fn failsafe_go_bursty_callers_in_a_row_wait_no_longer_than_with_periods() {
    let hand = ManualClock::new();
    let limiter = limiter(2, MS(1000), 2);
    let begin = hand.now();
    for _ in 0..7 {
        acquire_waiting(&limiter, &hand);
    }
    assert_eq!(hand.now().saturating_duration_since(begin), MS(2500));
}

// Resilience4j, resilience4j-ratelimiter/…/internal/AtomicRateLimiterTest.java

/// `acquireAndRefreshWithEventPublishing`: one call in a cycle of 250 ms.
#[test]
fn resilience4j_acquire_and_refresh() {
    let hand = ManualClock::new();
    let limiter = limiter(1, MS(250), 1);
    for _ in 0..2 {
        assert_permitted(&limiter, &hand, 1);
        let found = limiter.snapshot(hand.now());
        assert_eq!((found.available, found.next_in), (0, MS(250)));
        assert_refused(&limiter, &hand, MS(250));
        let found = limiter.snapshot(hand.now());
        assert_eq!((found.available, found.next_in), (0, MS(250)), "a refusal takes nothing");
        hand.advance(MS(250));
    }
}

/// `reserveFewThenSkipCyclesBeforeRefreshNonBlocking`: after many cycles there is one call,
/// not one for each of them.
#[test]
fn resilience4j_skipped_cycles_are_not_saved_up() {
    let hand = ManualClock::new();
    let limiter = limiter(1, MS(250), 1);
    assert_permitted(&limiter, &hand, 1);
    hand.advance(MS(250) * 5 + Duration::from_nanos(10));
    let found = limiter.snapshot(hand.now());
    assert_eq!((found.available, found.next_in), (1, Duration::ZERO));
    assert_permitted(&limiter, &hand, 1);
    assert_refused(&limiter, &hand, MS(250));
}

/// `notSpyRawTest`: `changeLimitForPeriod` to twice as many while it is in use.
#[test]
fn resilience4j_the_limit_changes_while_in_use() {
    let hand = ManualClock::new();
    let limiter = limiter(1, MS(250), 1);
    assert_permitted(&limiter, &hand, 1);
    assert_refused(&limiter, &hand, MS(250));
    limiter.set_rate(2, MS(250), 2).unwrap();
    assert_refused(&limiter, &hand, MS(125));
    hand.advance(MS(250));
    assert_permitted(&limiter, &hand, 2);
    assert_refused(&limiter, &hand, MS(125));
    assert_eq!(limiter.config().calls, 2);
}

/// resilience4j#1221, governor#171 and Polly#1867: state per key must not grow without bound.
#[test]
fn resilience4j_keys_do_not_fill_the_memory() {
    let hand = ManualClock::new();
    let limiter = KeyedRateLimiter::new(RateLimitConfig::per_second(1), 1000).unwrap();
    for caller in 0..100_000_u32 {
        assert!(limiter.try_acquire(&caller, hand.now()).is_ok());
    }
    assert!(limiter.len() <= 1000);
}

// failsafe-go, adaptivelimiter/adaptivelimiter_test.go

fn adaptive(algorithm: Algorithm) -> Adaptive {
    Adaptive::with_seed(AdaptiveConfig { algorithm, ..AdaptiveConfig::default() }, 1).unwrap()
}

/// One window: so many calls together, each of a latency.
fn window(adaptive: &Adaptive, hand: &ManualClock, calls: u32, latency: Duration) -> u32 {
    let samples: Vec<_> = (0..calls).map(|_| adaptive.on_start(hand.now())).collect();
    hand.advance(latency);
    let mut limit = adaptive.limit();
    for (n, sample) in (0..).zip(samples) {
        // The last one ends when the window is over, however long that is by now.
        if n + 1 == calls {
            hand.advance(Duration::from_secs(2));
            // It took as long as the others all the same.
            adaptive.on_abandon(sample);
            let last = adaptive.on_start(hand.now());
            hand.advance(latency);
            limit = adaptive.on_end(last, Verdict::Success, hand.now());
        } else {
            adaptive.on_end(sample, Verdict::Success, hand.now());
        }
    }
    limit
}

/// `TestAdaptiveLimiter_Defaults`
#[test]
fn failsafe_go_adaptive_begins_at_the_initial_limit() {
    assert_eq!(adaptive(Algorithm::vegas()).limit(), 20);
    let config = AdaptiveConfig { initial: 5, min: 1, max: 10, ..AdaptiveConfig::default() };
    let adaptive = Adaptive::new(config).unwrap();
    assert_eq!(adaptive.limit(), 5);
    assert_eq!(adaptive.snapshot().in_flight, 0);
    assert_eq!(adaptive.snapshot().baseline, None);
}

/// `TestAdaptiveLimiter_record`: with a baseline of 1 s, "should increase limit" at 1 s,
/// "should decrease limit" at 2 s, "should hold limit" at 1300 ms.
#[test]
fn failsafe_go_adaptive_follows_the_queue() {
    for (latency, direction) in [(1000, 1), (2000, -1), (1300, 0)] {
        let hand = ManualClock::new();
        let vegas = Vegas { noise: Duration::ZERO, ..Vegas::default() };
        let adaptive = adaptive(Algorithm::Vegas(vegas));
        // In use by a third: the baseline is learned, and the limit stays.
        window(&adaptive, &hand, 11, MS(1000));
        let before = adaptive.limit();
        window(&adaptive, &hand, before, MS(latency));
        let change = i64::from(adaptive.limit()) - i64::from(before);
        assert_eq!(change.signum(), direction, "{latency} ms: by {change} from {before}");
    }
}

/// `TestAdaptiveLimiter_BuilderValidation`, "should panic on invalid WithLimits"
#[test]
fn failsafe_go_adaptive_limits_must_make_sense() {
    for (min, max, initial) in [(2, 2, 1), (1, 2, 0), (1, 2, 3)] {
        let config = AdaptiveConfig { min, max, initial, ..AdaptiveConfig::default() };
        assert!(Adaptive::new(config).is_err(), "{min} {max} {initial}");
    }
}

/// `TestAdaptiveLimiter_Reset`
#[test]
fn failsafe_go_adaptive_reset() {
    let hand = ManualClock::new();
    let adaptive = adaptive(Algorithm::gradient2());
    for _ in 0..3 {
        window(&adaptive, &hand, adaptive.limit(), MS(100));
    }
    assert!(adaptive.limit() > 20);
    adaptive.reset();
    let found = adaptive.snapshot();
    assert_eq!((found.limit, found.baseline, found.latency), (20, None, None));
}

/// Netflix concurrency-limits, `AIMDLimitTest`: `increaseOnSuccess` by one and
/// `decreaseOnDrops` by a tenth.
#[test]
fn netflix_aimd_adds_one_and_takes_a_tenth() {
    let hand = ManualClock::new();
    let aimd = Aimd { tolerated: 0.0, ..Aimd::default() };
    let adaptive = adaptive(Algorithm::Aimd(aimd));
    assert_eq!(window(&adaptive, &hand, 20, MS(10)), 21);
    let samples: Vec<_> = (0..21).map(|_| adaptive.on_start(hand.now())).collect();
    for sample in samples {
        hand.advance(MS(20));
        adaptive.on_end(sample, Verdict::Retry, hand.now());
    }
    assert_eq!(adaptive.limit(), 18);
}

// failsafe-go, adaptivethrottler/adaptivethrottler_test.go

/// `TestAdaptiveThrottler_AcquirePermit`: "should calculate rejection rate after failures"
/// and "should respect max rejection rate".
#[test]
fn failsafe_go_throttler_rejection_rate() {
    let now = ManualClock::new().now();
    let config = ThrottleConfig { min_requests: 0, ..ThrottleConfig::default() };
    let throttle = Throttle::new(config.clone()).unwrap();
    throttle.record(false, now);
    assert!((throttle.snapshot(now).refusal - 0.5).abs() < 1e-9);
    let throttle = Throttle::new(ThrottleConfig { most_refused: 0.5, ..config }).unwrap();
    (0..20).for_each(|_| throttle.record(false, now));
    assert!(throttle.snapshot(now).refusal <= 0.5);
}

/// "should return ErrExceeded when AcquirePermit fails"
#[test]
fn failsafe_go_throttler_refuses_when_the_target_does() {
    let now = ManualClock::new().now();
    let config = ThrottleConfig { most_refused: 1.0, k: 1.0, ..ThrottleConfig::default() };
    let throttle = Throttle::new(config).unwrap();
    (0..50).for_each(|_| throttle.record(false, now));
    let mut random = fastrand::Rng::with_seed(1);
    assert!((0..50).any(|_| !throttle.admit(now, &mut random)));
}
