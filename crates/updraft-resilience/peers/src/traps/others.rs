//! The traps of everything else: T6 to T8.

use std::time::Duration;

use super::call::{Held, call};
use super::{Broken, Result, Setup, Subject, Trip};

pub fn limits_are_enforced(subject: &dyn Subject) -> Result {
    let mut parts = Vec::new();
    let trips = [Trip::Consecutive(3), Trip::Calls(3), Trip::Time(Duration::from_secs(1), 3)];
    let breaker = trips.into_iter().find_map(|trip| {
        let open_for = Duration::from_secs(60);
        subject.breaker(&Setup { trip, open_for, half_open: 2 })
    });
    if let Some(breaker) = breaker {
        let hits = (0..50).filter(|_| call(&*breaker, Err(Broken))).count();
        parts.push(Result::new(hits <= 10, format!("{hits} of 50 calls reach a dead backend")));
    }
    if let Some(bulkhead) = subject.bulkhead(2) {
        let calls: Vec<Held> = (0..100).map(|_| Held::start(&*bulkhead)).collect();
        let running = calls.iter().filter(|held| held.is_admitted()).count();
        parts.push(Result::new(running <= 2, format!("{running} of 100 run in 2 places")));
    }
    Result::all(parts, "neither breaker nor bulkhead")
}

pub fn hedge_delay_is_the_percentile(subject: &dyn Subject) -> Result {
    let Some(mut hedge) = subject.hedge() else {
        return Result::not_offered("no hedge by percentile");
    };
    let spread = |most: u64| -> Vec<Duration> {
        // 7 has no common divisor with 10 and 1000: each latency comes equally often.
        (0..1_000).map(|n| Duration::from_millis(1 + n * 7 % most)).collect()
    };
    hedge.observe(&spread(1_000));
    let first = hedge.delay().unwrap_or_default();
    let is_percentile =
        (Duration::from_millis(900)..=Duration::from_millis(1_030)).contains(&first);
    hedge.wait(Duration::from_secs(60));
    hedge.observe(&spread(10));
    let second = hedge.delay().unwrap_or_default();
    let has_forgotten = second <= Duration::from_millis(20) && !second.is_zero();
    let evidence = format!("{first:.0?}, then {second:.0?}");
    Result::new(is_percentile && has_forgotten, evidence)
}

pub fn retries_have_a_budget(subject: &dyn Subject) -> Result {
    match subject.attempts(1_000) {
        None => Result::not_offered("no retry of its own"),
        Some(attempts) => Result::new(attempts <= 200, format!("{attempts} attempts")),
    }
}
