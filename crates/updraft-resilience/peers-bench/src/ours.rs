//! The policies of this crate, each alone.

use std::sync::Arc;
use std::time::Duration;

use updraft_resilience::breaker::{Breaker, BreakerConfig, Trip, Window};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig};
use updraft_resilience::keyed::Keyed;
use updraft_resilience::policy::PolicyBuilder;
use updraft_resilience::rate_limit::{KeyedRateLimiter, RateLimitConfig, RateLimiter};
use updraft_resilience::retry::{Budget, BudgetConfig, RetryConfig};
use updraft_resilience::{Clock, Instant, Invalid, Policy, Verdict};

use crate::measure::{Batch, Case, drive, repeat};
use crate::{Failed, work};

pub const KEYS: u64 = 100_000;

fn case(
    group: &'static str,
    name: &'static str,
    start: impl Fn() -> Batch + Send + Sync + 'static,
) -> Case {
    Case { group, name, ours: true, start: Box::new(start) }
}

pub fn trips(trip: Trip) -> BreakerConfig {
    BreakerConfig { trips: vec![trip], ..BreakerConfig::default() }
}

/// A policy around an operation that is ready.
pub fn policy(
    group: &'static str,
    name: &'static str,
    builder: PolicyBuilder,
) -> Result<Case, Invalid> {
    let policy: Policy = builder.build()?;
    Ok(case(group, name, move || {
        let policy = policy.clone();
        repeat(move |number| drive(policy.call(|_| work(number))).unwrap_or_default())
    }))
}

pub fn cases() -> Result<Vec<Case>, Invalid> {
    let mut cases = breakers()?;
    cases.extend(others()?);
    cases.extend(keyed()?);
    Ok(cases)
}

fn breakers() -> Result<Vec<Case>, Invalid> {
    const GROUP: &str = "1 Breaker, closed, success";
    let kinds = [
        (
            "consecutive",
            "`Breaker`, consecutive; time given",
            "`Breaker`, consecutive; reads the clock twice",
            "`Policy::call`, consecutive",
            Trip::consecutive(5),
        ),
        (
            "count",
            "`Breaker`, last 100 calls; time given",
            "`Breaker`, last 100 calls; reads the clock twice",
            "`Policy::call`, last 100 calls",
            Trip::failure_rate(0.5).over(Window::Count(100)),
        ),
        (
            "time",
            "`Breaker`, last 10 s; time given",
            "`Breaker`, last 10 s; reads the clock twice",
            "`Policy::call`, last 10 s",
            Trip::failure_rate(0.5),
        ),
        (
            "slow",
            "`Breaker`, slow calls of 10 s; time given",
            "`Breaker`, slow calls of 10 s; reads the clock twice",
            "`Policy::call`, slow calls of 10 s",
            Trip::slow_rate(0.5),
        ),
    ];
    let mut cases = Vec::new();
    for (_, given, clocked, through, trip) in kinds {
        let breaker = Arc::new(Breaker::new(trips(trip))?);
        let other = Arc::clone(&breaker);
        cases.push(case(GROUP, given, move || {
            let (breaker, now) = (Arc::clone(&other), Clock::system().now());
            repeat(move |_| guarded(&breaker, || now))
        }));
        cases.push(case(GROUP, clocked, move || {
            let (breaker, clock) = (Arc::clone(&breaker), Clock::system());
            repeat(move |_| guarded(&breaker, || clock.now()))
        }));
        cases.push(policy(GROUP, through, Policy::named("breaker").breaker(trips(trip)))?);
    }
    cases.push(policy(
        GROUP,
        "`Policy::call`, default",
        Policy::named("breaker").breaker(BreakerConfig::default()),
    )?);
    Ok(cases)
}

#[inline]
fn guarded(breaker: &Breaker, now: impl Fn() -> Instant) -> bool {
    match breaker.try_acquire(now()) {
        Ok(permit) => breaker.record(permit, Verdict::Success, now()).is_some(),
        Err(_) => true,
    }
}

fn others() -> Result<Vec<Case>, Invalid> {
    let bulkhead = Arc::new(Bulkhead::new(BulkheadConfig {
        max: 1000,
        queue: 0,
        ..BulkheadConfig::default()
    })?);
    let rate = RateLimitConfig::per_second(1_000_000_000);
    let limiter = Arc::new(RateLimiter::new(rate.clone())?);
    let clocked = Arc::new(RateLimiter::new(rate.clone())?);
    let now = Clock::system().now();
    let budget = Arc::new(Budget::new(BudgetConfig::default(), now)?);
    let fail_fast = BulkheadConfig { max: 1000, queue: 0, ..BulkheadConfig::default() };
    let queued = BulkheadConfig { max: 1000, queue: 100, ..BulkheadConfig::default() };
    let blocking: Policy = Policy::named("blocking").build()?;
    Ok(vec![
        policy("9 Policy without a part", "`Policy::call`", Policy::named("empty"))?,
        case("9 Policy without a part", "`Policy::call_blocking`", move || {
            let policy = blocking.clone();
            repeat(move |number: u64| {
                policy.call_blocking(|_| Ok::<_, Failed>(number + 1)).unwrap_or_default()
            })
        }),
        case("2 Bulkhead", "`Bulkhead`, fail fast", move || {
            let bulkhead = Arc::clone(&bulkhead);
            repeat(move |_| match bulkhead.try_acquire() {
                Ok(place) => bulkhead.release(place),
                Err(_) => unreachable!("there are a thousand places"),
            })
        }),
        policy(
            "2 Bulkhead",
            "`Policy::call`, fail fast",
            Policy::named("bulkhead").bulkhead(fail_fast),
        )?,
        policy(
            "2 Bulkhead",
            "`Policy::call`, with a queue",
            Policy::named("bulkhead").bulkhead(queued),
        )?,
        case("3 Retry with a budget", "`Budget::deposit`; time given", move || {
            let budget = Arc::clone(&budget);
            repeat(move |_| budget.deposit(now))
        }),
        policy(
            "3 Retry with a budget",
            "`Policy::call`",
            Policy::named("retry").retry(RetryConfig::default()),
        )?,
        policy(
            "4 Timeout, ready at once",
            "`Policy::call`, attempt",
            Policy::named("timeout").attempt_timeout(Duration::from_secs(1)),
        )?,
        policy(
            "4 Timeout, ready at once",
            "`Policy::call`, total",
            Policy::named("timeout").deadline(Duration::from_secs(1)),
        )?,
        case("5 Rate limit, allowed", "`RateLimiter`; time given", move || {
            let (limiter, mut now) = (Arc::clone(&limiter), Clock::system().now());
            repeat(move |_| {
                now = now + Duration::from_nanos(1);
                limiter.try_acquire(now).is_ok()
            })
        }),
        case("5 Rate limit, allowed", "`RateLimiter`; reads the clock", move || {
            let (limiter, clock) = (Arc::clone(&clocked), Clock::system());
            repeat(move |_| limiter.try_acquire(clock.now()).is_ok())
        }),
        policy("5 Rate limit, allowed", "`Policy::call`", Policy::named("rate").rate_limit(rate))?,
    ])
}

fn keyed() -> Result<Vec<Case>, Invalid> {
    const GROUP: &str = "6 State by key, 100 000 keys";
    let keyed = Arc::new(Keyed::new(200_000, |key: &u64| Arc::new(*key)));
    let limiter =
        Arc::new(KeyedRateLimiter::new(RateLimitConfig::per_second(1_000_000_000), 200_000)?);
    let now = Clock::system().now();
    for key in 0..KEYS {
        keyed.get(&key);
        let _: Result<(), _> = limiter.try_acquire(&key, now);
    }
    let hot = Arc::clone(&keyed);
    Ok(vec![
        case(GROUP, "`Keyed::get`, keys at random", move || {
            let (keyed, mut key) = (Arc::clone(&keyed), 1);
            repeat(move |_| keyed.get(next(&mut key)))
        }),
        case(GROUP, "`Keyed::get`, one key", move || {
            let keyed = Arc::clone(&hot);
            repeat(move |_| keyed.get(&7))
        }),
        case(GROUP, "`KeyedRateLimiter`, keys at random; time given", move || {
            let (limiter, mut key, mut now) = (Arc::clone(&limiter), 1, now);
            repeat(move |_| {
                now = now + Duration::from_nanos(1);
                limiter.try_acquire(next(&mut key), now).is_ok()
            })
        }),
    ])
}

/// Another key, as if at random.
pub fn next(key: &mut u64) -> &u64 {
    *key = (*key * 48_271 + 11) % KEYS;
    key
}
