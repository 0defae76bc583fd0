//! The laws of the one order: who hears of what, and what is held when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use updraft_resilience::breaker::{BreakerConfig, OpenFor, State};
use updraft_resilience::policy::{Policy, PolicyBuilder};
use updraft_resilience::rate_limit::RateLimitConfig;
use updraft_resilience::retry::{BudgetConfig, RetryConfig};
use updraft_resilience::shed::ShedConfig;
use updraft_resilience::{Classify, Error, ManualClock, Rejection, Scope, Verdict};

use crate::rig::{Driven, Log, after_failures, finish, ms, places, policy, tries};

fn failures_in_a_row<C, F>(policy: &Policy<C, F>) -> u64 {
    policy.handle().snapshot().breaker.expect("a breaker").consecutive_failures
}

#[test]
fn no_place_is_held_while_an_attempt_backs_off() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 0, 0)).retry(tries(2, 1000)).build().unwrap();
    let bulkhead = policy.handle().bulkhead().unwrap();
    let log = Log::new(&hand);
    let mut backing_off = Driven::new(policy.call(log.failing()));
    assert!(backing_off.run().is_pending());
    assert_eq!(bulkhead.in_use(), 0);
    let other = Log::new(&hand);
    assert_eq!(finish(&hand, policy.call(other.taking(Duration::ZERO, |_| Ok::<_, ()>(1)))), Ok(1));
    assert_eq!(backing_off.finish(&hand), Err(Error::Inner("down")));
    assert_eq!(log.starts(), [0, 1000]);
}

#[test]
fn a_full_bulkhead_feeds_neither_breaker_nor_retry() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 0, 0))
        .breaker(after_failures(1))
        .retry(tries(5, 10))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let mut running = Driven::new(policy.call(log.hanging()));
    assert!(running.run().is_pending());
    for _ in 0..10 {
        let refused = finish(&hand, policy.call(log.failing()));
        assert_eq!(refused, Err(Error::Rejected(Rejection::Full)));
    }
    assert_eq!(log.count(), 1, "only the one that has the place");
    assert_eq!(failures_in_a_row(&policy), 0);
    assert_eq!(policy.handle().snapshot().counts.retries, 0);
    assert_eq!(policy.handle().breaker().unwrap().state(hand.now()), State::Closed);
}

#[test]
fn an_exhausted_rate_feeds_neither_breaker_nor_retry() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .rate_limit(RateLimitConfig::per_second(1))
        .breaker(after_failures(5))
        .retry(tries(5, 10))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let refused = finish(&hand, policy.call(log.failing()));
    let Err(Error::Rejected(Rejection::RateLimited { retry_after })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(retry_after, ms(990));
    assert_eq!(log.starts(), [0], "the limit counts attempts");
    assert_eq!(failures_in_a_row(&policy), 1);
    assert_eq!(policy.handle().snapshot().counts.retries, 1);
}

#[test]
fn an_open_circuit_ends_a_row_of_attempts_and_is_not_tried_again() {
    let hand = ManualClock::new();
    let breaker = after_failures(2).open_for(OpenFor::fixed(Duration::from_secs(60)));
    let policy = policy(&hand).breaker(breaker).retry(tries(9, 10)).build().unwrap();
    let log = Log::new(&hand);
    let refused = finish(&hand, policy.call(log.failing()));
    assert!(matches!(refused, Err(Error::Rejected(Rejection::Open { .. }))), "{refused:?}");
    assert_eq!(log.starts(), [0, 10]);
    for _ in 0..100 {
        assert!(finish(&hand, policy.call(log.failing())).is_err());
    }
    let snapshot = policy.handle().snapshot();
    assert_eq!((log.count(), snapshot.breaker.unwrap().openings), (2, 1));
    assert_eq!(snapshot.counts.retries, 2);
}

#[test]
fn the_budget_stops_a_storm() {
    let hand = ManualClock::new();
    let budget = BudgetConfig { share: 0.2, per_second: 0.0, burst: 10 };
    let retry = RetryConfig { budget: Some(budget), ..tries(1000, 0) };
    let policy = policy(&hand).retry(retry).build().unwrap();
    let log = Log::new(&hand);
    for _ in 0..1000 {
        assert_eq!(finish(&hand, policy.call(log.failing())), Err(Error::Inner("down")));
    }
    let most = 1000 + 200 + 10;
    assert!((most - 1..=most).contains(&log.count()), "{}", log.count());
}

#[test]
fn no_wait_begins_that_would_end_past_the_deadline() {
    let hand = ManualClock::new();
    let policy = policy(&hand).deadline(ms(1000)).retry(tries(10, 400)).build().unwrap();
    let log = Log::new(&hand);
    assert_eq!(finish(&hand, policy.call(log.failing())), Err(Error::Inner("down")));
    assert_eq!(log.starts(), [0, 400, 800]);
    assert_eq!(log.passed(), ms(800), "it ends at once, not at the deadline");
}

/// What came of a call, and what its fallback saw.
fn recovered(
    hand: &ManualClock,
    build: impl FnOnce(PolicyBuilder) -> PolicyBuilder,
    hangs: bool,
) -> (Result<u32, Error<&'static str>>, Option<Error<&'static str>>) {
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let policy = build(policy(hand))
        .fallback(move |error: Error<&'static str>| {
            *note.lock().unwrap() = Some(error);
            Ok(7)
        })
        .build()
        .unwrap();
    if let Some(breaker) = policy.handle().breaker() {
        breaker.force_open();
    }
    let log = Log::new(hand);
    let mut running = Driven::new(policy.call(log.hanging()));
    assert!(running.run().is_pending() || policy.handle().breaker().is_some());
    let outcome = if hangs {
        finish(hand, policy.call(log.hanging()))
    } else {
        finish(hand, policy.call(log.failing()))
    };
    let seen = seen.lock().unwrap().take();
    (outcome, seen)
}

#[test]
fn the_fallback_sees_every_failure() {
    let hand = ManualClock::new();
    let shed = ShedConfig { start: 0.1, full: 0.5, hysteresis: 0.0, ..ShedConfig::default() };
    let open = Rejection::Open { retry_after: Duration::MAX };
    let limited = Rejection::RateLimited { retry_after: Duration::from_secs(1) };
    let rejections = [
        (recovered(&hand, |it| it.bulkhead(places(1, 0, 0)), false), Rejection::Full),
        (recovered(&hand, |it| it.breaker(BreakerConfig::default()), false), open),
        (recovered(&hand, |it| it.rate_limit(RateLimitConfig::per_second(1)), false), limited),
        (recovered(&hand, |it| it.shed(shed).bulkhead(places(2, 0, 0)), false), Rejection::Shed),
        (recovered(&hand, |it| it.deadline(ms(9)), true), Rejection::Deadline(Scope::Total)),
        (
            recovered(&hand, |it| it.attempt_timeout(ms(9)), true),
            Rejection::Deadline(Scope::Attempt),
        ),
    ];
    for ((outcome, seen), rejection) in rejections {
        assert_eq!((outcome, seen), (Ok(7), Some(Error::Rejected(rejection))));
    }
    let inner = recovered(&hand, |it| it.retry(tries(3, 5)), false);
    assert_eq!(inner, (Ok(7), Some(Error::Inner("down"))));
}

#[test]
fn timeouts_of_attempts_are_failures_and_are_tried_again() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .attempt_timeout(ms(100))
        .retry(tries(3, 50))
        .breaker(after_failures(3))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let outcome = finish(&hand, policy.call(log.hanging()));
    assert_eq!(outcome, Err(Error::Rejected(Rejection::Deadline(Scope::Attempt))));
    assert_eq!(log.starts(), [0, 150, 300]);
    assert_eq!(log.passed(), ms(400));
    let snapshot = policy.handle().snapshot();
    assert_eq!(snapshot.breaker.unwrap().openings, 1);
    assert_eq!((snapshot.counts.timed_out, snapshot.counts.retries), (3, 2));
}

/// Doing it twice may do harm.
#[derive(Clone)]
struct Once;

impl<T, E> Classify<T, E> for Once {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_ok() { Verdict::Success } else { Verdict::Fail }
    }

    fn timed_out(&self) -> Verdict {
        Verdict::Fail
    }
}

#[test]
fn what_may_do_harm_is_not_tried_again() {
    let hand = ManualClock::new();
    let log = Log::new(&hand);
    let policy = policy(&hand)
        .retry(tries(3, 5))
        .breaker(after_failures(9))
        .classify(|outcome: Result<&u32, &&'static str>| Once.classify(outcome))
        .build()
        .unwrap();
    assert_eq!(finish(&hand, policy.call(log.failing())), Err(Error::Inner("down")));
    assert_eq!((log.count(), failures_in_a_row(&policy)), (1, 1));
}

#[test]
fn a_value_that_is_a_failure_is_tried_again_and_is_the_outcome_in_the_end() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .retry(tries(3, 5))
        .breaker(after_failures(9))
        .classify(|outcome: Result<&u16, &&'static str>| match outcome {
            Ok(503) => Verdict::Retry,
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Fail,
        })
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let third = log.taking(ms(1), |attempt| Ok(if attempt.number() < 3 { 503 } else { 200 }));
    assert_eq!(finish(&hand, policy.call(third)), Ok(200));
    assert_eq!(log.starts(), [0, 6, 12]);
    assert_eq!(failures_in_a_row(&policy), 0);
    assert_eq!(finish(&hand, policy.call(log.taking(ms(1), |_| Ok(503)))), Ok(503));
    assert_eq!((log.count(), failures_in_a_row(&policy)), (6, 3));
}

#[test]
fn the_hint_of_a_throttling_target_is_waited_up_to_its_bound() {
    for (hint, waited) in [(2_000, 2_000), (90_000, 30_000)] {
        let hand = ManualClock::new();
        let policy = policy(&hand)
            .retry(tries(2, 5))
            .classify(move |_: Result<&u32, &&'static str>| Verdict::Throttled(Some(ms(hint))))
            .build()
            .unwrap();
        let log = Log::new(&hand);
        assert_eq!(finish(&hand, policy.call(log.failing())), Err(Error::Inner("down")));
        assert_eq!(log.starts(), [0, waited]);
    }
}
