//! Against a bucket with whole tokens and exact fractions, and with many threads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use proptest::prelude::*;

use super::*;

const START: u64 = 1_000_000_000_000;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(START + nanos)
}

/// A token bucket told in the plainest way: tokens in units of a nanosecond of refill.
struct Bucket {
    interval: u128,
    burst: u128,
    tokens: u128,
    last: u64,
}

impl Bucket {
    fn new(config: &RateLimitConfig) -> Self {
        let interval = config.per.as_nanos().div_ceil(u128::from(config.calls));
        let burst = u128::from(config.burst) * interval;
        Self { interval, burst, tokens: burst, last: 0 }
    }

    fn take(&mut self, n: u32, now: u64) -> bool {
        self.tokens = (self.tokens + u128::from(now - self.last)).min(self.burst);
        self.last = now;
        let cost = u128::from(n) * self.interval;
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }
}

fn any_config() -> impl Strategy<Value = RateLimitConfig> {
    let per = prop_oneof![1_u64..10_000, 1_000_000_u64..100_000_000_000];
    (1_u32..1000, per, 1_u32..20).prop_map(|(calls, per, burst)| RateLimitConfig {
        calls: calls.min(u32::try_from(per).unwrap_or(u32::MAX)),
        per: Duration::from_nanos(per),
        burst,
    })
}

/// Calls at spaces that are about an interval, with some long pauses; each asks for some.
fn any_calls(config: &RateLimitConfig) -> impl Strategy<Value = Vec<(u64, u32)>> + use<> {
    let interval = config.interval();
    let whole = interval * u64::from(config.burst);
    let space = prop_oneof![
        3 => Just(0),
        4 => 0..=interval * 2,
        2 => Just(interval),
        1 => 0..=whole * 2,
    ];
    prop::collection::vec((space, prop_oneof![8 => Just(1_u32), 2 => 0..25_u32]), 1..200)
}

fn any_case() -> impl Strategy<Value = (RateLimitConfig, Vec<(u64, u32)>)> {
    any_config().prop_flat_map(|config| {
        let calls = any_calls(&config);
        (Just(config), calls)
    })
}

proptest! {
    #[test]
    fn it_decides_as_an_exact_bucket_does((config, calls) in any_case()) {
        let limiter = RateLimiter::new(config.clone()).unwrap();
        let mut bucket = Bucket::new(&config);
        let mut now = 0;
        for (space, n) in calls {
            now += space;
            let free = limiter.snapshot(at(now)).available;
            let expected = bucket.take(n, now);
            let found = limiter.try_acquire_many(n, at(now));
            prop_assert_eq!(found.is_ok(), expected, "{} at {}", n, now);
            prop_assert_eq!(found.is_ok(), n <= free, "{} of {} free", n, free);
        }
    }

    #[test]
    fn no_stretch_of_time_admits_more_than_burst_and_rate((config, calls) in any_case()) {
        let limiter = RateLimiter::new(config.clone()).unwrap();
        let (mut now, mut admitted) = (0, Vec::new());
        for (space, n) in calls {
            now += space;
            if limiter.try_acquire_many(n, at(now)).is_ok() {
                admitted.push((now, n));
            }
        }
        for (first, (from, _)) in admitted.iter().enumerate() {
            let mut sum = 0_u128;
            for (to, n) in &admitted[first..] {
                sum += u128::from(*n);
                let earned = u128::from(to - from) * u128::from(config.calls);
                // Without division: sum <= burst + time * calls / per.
                let most = u128::from(config.burst) * config.per.as_nanos() + earned;
                prop_assert!(sum * config.per.as_nanos() <= most, "{sum} from {from} to {to}");
            }
        }
    }

    #[test]
    fn the_wait_it_tells_is_exact((config, calls) in any_case()) {
        let limiter = RateLimiter::new(config.clone()).unwrap();
        let mut now = 0;
        for (space, n) in calls {
            now += space;
            let Err(limited) = limiter.try_acquire_many(n, at(now)) else { continue };
            if n > config.burst {
                prop_assert_eq!(limited.retry_after, Duration::MAX);
                continue;
            }
            let wait = nanos(limited.retry_after);
            prop_assert!(wait > 0);
            prop_assert!(limiter.try_acquire_many(n, at(now + wait - 1)).is_err());
            prop_assert!(limiter.try_acquire_many(n, at(now + wait)).is_ok());
            now += wait;
        }
    }

    #[test]
    fn many_at_once_take_as_much_as_one_by_one(config in any_config(), n in 0_u32..20) {
        let n = n.min(config.burst);
        let (once, singly) =
            (RateLimiter::new(config.clone()).unwrap(), RateLimiter::new(config).unwrap());
        once.try_acquire_many(n, at(0)).unwrap();
        (0..n).for_each(|_| singly.try_acquire(at(0)).unwrap());
        prop_assert_eq!(once.snapshot(at(0)), singly.snapshot(at(0)));
    }

    #[test]
    fn a_new_rate_keeps_the_calls_that_are_left(
        old in any_config(),
        new in any_config(),
        used in 0_u32..20,
    ) {
        let used = used.min(old.burst);
        let limiter = RateLimiter::new(old.clone()).unwrap();
        limiter.try_acquire_many(used, at(0)).unwrap();
        limiter.set_rate(new.calls, new.per, new.burst).unwrap();
        prop_assert_eq!(&limiter.config(), &new);
        let left = (old.burst - used).min(new.burst);
        prop_assert_eq!(limiter.snapshot(at(0)).available, left);
        // From here on it runs at the new pace.
        let whole = new.interval() * u64::from(new.burst);
        prop_assert_eq!(limiter.snapshot(at(whole)).available, new.burst);
        limiter.try_acquire_many(new.burst, at(whole)).unwrap();
        let limited = limiter.try_acquire(at(whole)).unwrap_err();
        prop_assert_eq!(nanos(limited.retry_after), new.interval());
    }
}

#[test]
fn a_faster_rate_does_not_wait_for_the_debts_of_a_slower_one() {
    let limiter = RateLimiter::new(RateLimitConfig::new(1, Duration::from_secs(60))).unwrap();
    limiter.try_acquire(at(0)).unwrap();
    limiter.set_rate(1000, Duration::from_secs(1), 1).unwrap();
    let limited = limiter.try_acquire(at(0)).unwrap_err();
    assert_eq!(limited.retry_after, Duration::from_millis(1));
}

#[test]
fn a_rate_that_makes_no_sense_is_refused_and_changes_nothing() {
    let limiter = RateLimiter::new(RateLimitConfig::per_second(5)).unwrap();
    let invalid = limiter.set_rate(0, Duration::ZERO, 0).unwrap_err();
    assert_eq!(invalid.problems().len(), 3, "{invalid}");
    assert_eq!(limiter.config(), RateLimitConfig::per_second(5));
    let absurd = [
        RateLimitConfig { calls: 2, per: Duration::from_nanos(1), burst: 1 },
        RateLimitConfig { calls: 1, per: Duration::MAX, burst: 1 },
        RateLimitConfig { calls: 1, per: Duration::from_secs(1 << 33), burst: u32::MAX },
    ];
    for config in absurd {
        assert!(RateLimiter::new(config.clone()).is_err(), "{config:?}");
    }
    assert!(KeyedRateLimiter::<u32>::new(RateLimitConfig::per_second(0), 0).is_err());
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let limiter = RateLimiter::new(RateLimitConfig::per_second(10).burst(3)).unwrap();
    for moment in [Instant::ZERO, Instant::from_nanos(u64::MAX)] {
        let admitted = (0..10).filter(|_| limiter.try_acquire(moment).is_ok()).count();
        assert!(admitted <= 3, "{admitted} at {moment:?}");
    }
}

#[test]
fn a_moment_before_the_last_one_gives_nothing_away() {
    let limiter = RateLimiter::new(RateLimitConfig::per_second(10).burst(1)).unwrap();
    limiter.try_acquire(at(1_000_000_000)).unwrap();
    let limited = limiter.try_acquire(at(900_000_000)).unwrap_err();
    assert_eq!(limited.retry_after, Duration::from_millis(200));
}

/// Eight threads at once on a clock that they turn together.
fn admitted_by_threads(acquire: impl Fn(Instant) -> bool + Sync, turns: u32, step: u64) -> u32 {
    let (clock, admitted) = (AtomicU64::new(0), AtomicU32::new(0));
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..turns {
                    let now = clock.fetch_add(step, Ordering::Relaxed);
                    let taken = acquire(at(now));
                    admitted.fetch_add(u32::from(taken), Ordering::Relaxed);
                }
            });
        }
    });
    admitted.into_inner()
}

#[test]
fn threads_together_get_no_more_than_one_alone() {
    let limiter = RateLimiter::new(RateLimitConfig::per_second(1000).burst(100)).unwrap();
    // Time stands still: exactly the burst.
    assert_eq!(admitted_by_threads(|now| limiter.try_acquire(now).is_ok(), 10_000, 0), 100);
    // 80 000 calls within 0.8 s: what comes back meanwhile, and no more.
    let limiter = RateLimiter::new(RateLimitConfig::per_second(1000).burst(100)).unwrap();
    let admitted = admitted_by_threads(|now| limiter.try_acquire(now).is_ok(), 10_000, 10_000);
    assert!((800..=900).contains(&admitted), "{admitted}");
}

#[test]
fn threads_together_get_no_more_of_one_key_than_one_alone() {
    let limiter = KeyedRateLimiter::new(RateLimitConfig::per_second(1000).burst(50), 100).unwrap();
    let taken = |now| limiter.try_acquire(&"key", now).is_ok();
    assert_eq!(admitted_by_threads(taken, 5_000, 0), 50);
}

#[test]
fn threads_that_meet_a_change_of_the_rate_get_at_most_the_larger_burst() {
    for _ in 0..50 {
        let limiter = Arc::new(RateLimiter::new(RateLimitConfig::per_second(10)).unwrap());
        let change = || limiter.set_rate(1, Duration::from_secs(1), 5).unwrap();
        let admitted = std::thread::scope(|scope| {
            let calls =
                scope.spawn(|| admitted_by_threads(|now| limiter.try_acquire(now).is_ok(), 50, 0));
            change();
            calls.join().unwrap()
        });
        assert!((5..=10 + 8).contains(&admitted), "{admitted}");
    }
}

#[test]
fn each_key_has_its_own_rate_and_all_follow_a_change() {
    let limiter = KeyedRateLimiter::new(RateLimitConfig::per_second(2), 100).unwrap();
    for key in 0..10 {
        assert!(limiter.try_acquire_many(&key, 2, at(0)).is_ok());
        assert!(limiter.try_acquire(&key, at(0)).is_err());
    }
    assert_eq!(limiter.len(), 10);
    limiter.set_rate(100, Duration::from_secs(1), 10).unwrap();
    for key in 0..10 {
        let limited = limiter.try_acquire(&key, at(0)).unwrap_err();
        assert_eq!(limited.retry_after, Duration::from_millis(10));
    }
    assert!(limiter.snapshot(&99, at(0)).is_none());
    assert_eq!(limiter.snapshot(&3, at(100_000_000)).unwrap().available, 10);
    assert!(limiter.remove(&3));
    assert!(limiter.try_acquire_many(&3, 10, at(0)).is_ok(), "it starts anew");
    assert_eq!(limiter.keys().len(), 10);
}

#[test]
fn a_flood_of_keys_stays_within_its_room_and_frees_no_key_in_use() {
    let limiter =
        KeyedRateLimiter::new(RateLimitConfig::new(5, Duration::from_secs(3600)), 500).unwrap();
    let mut admitted = 0;
    for key in 1..=200_000_u64 {
        assert!(limiter.try_acquire(&key, at(key)).is_ok());
        if key % 10 == 0 {
            admitted += u32::from(limiter.try_acquire(&0, at(key)).is_ok());
        }
        assert!(limiter.len() <= 500);
    }
    assert_eq!(admitted, 5);
}
