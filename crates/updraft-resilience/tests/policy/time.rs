//! When things happen, to the nanosecond; and that nobody is woken for nothing.

use std::task::Poll;
use std::time::Duration;

use updraft_resilience::backoff::{Backoff, Jitter};
use updraft_resilience::breaker::State;
use updraft_resilience::deadline::{self, Deadline};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Error, ManualClock, Rejection, Scope};

use crate::rig::{Driven, Log, after_failures, finish, ms, policy, to_next_timer, tries};

const TOTAL: Result<u32, Error<&str>> = Err(Error::Rejected(Rejection::Deadline(Scope::Total)));

#[test]
fn attempts_start_when_the_backoff_says() {
    let hand = ManualClock::new();
    let backoff = Backoff::exponential(ms(100), ms(500)).jitter(Jitter::None);
    let policy = policy(&hand).retry(RetryConfig { backoff, ..tries(6, 0) }).build().unwrap();
    let log = Log::new(&hand);
    let operation = log.taking(ms(7), |_| Err::<u32, _>("down"));
    assert_eq!(finish(&hand, policy.call(operation)), Err(Error::Inner("down")));
    assert_eq!(log.starts(), [0, 107, 314, 721, 1228, 1735]);
    assert_eq!(log.passed(), ms(1742));
}

#[test]
fn the_total_deadline_cuts_off_an_attempt_without_blaming_the_target() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .deadline(ms(250))
        .attempt_timeout(ms(100))
        .retry(tries(9, 20))
        .breaker(after_failures(3))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    assert_eq!(finish(&hand, policy.call(log.hanging())), TOTAL);
    assert_eq!((log.passed(), log.starts()), (ms(250), vec![0, 120, 240]));
    let breaker = policy.handle().breaker().unwrap();
    assert_eq!(breaker.state(hand.now()), State::Closed, "the third had no time of its own");
    assert_eq!(breaker.snapshot(hand.now()).consecutive_failures, 2);
    let remaining: Vec<_> = log.attempts().iter().map(|it| it.remaining().unwrap()).collect();
    assert_eq!(remaining, [ms(100), ms(100), ms(10)]);
}

#[test]
fn a_success_in_the_last_moment_counts_and_a_failure_does_not() {
    let hand = ManualClock::new();
    let total = policy(&hand)
        .deadline(ms(50))
        .retry(tries(3, 1))
        .breaker(after_failures(5))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let on_time = log.taking(ms(50), |_| Ok::<_, &str>(1));
    assert_eq!(finish(&hand, total.call(on_time)), Ok(1));
    let failing = log.taking(ms(50), |_| Err("perhaps because its own deadline was over"));
    assert_eq!(finish(&hand, total.call(failing)), TOTAL);
    let breaker = total.handle().snapshot().breaker.unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
    let attempt = policy(&hand).attempt_timeout(ms(50)).build().unwrap();
    let on_time = log.taking(ms(50), |_| Ok::<_, &str>(1));
    assert_eq!(finish(&hand, attempt.call(on_time)), Ok(1));
}

#[test]
fn nothing_begins_when_the_time_is_over() {
    let hand = ManualClock::new();
    let policy = policy(&hand).breaker(after_failures(1)).build().unwrap();
    let log = Log::new(&hand);
    let over = Deadline::at(hand.now());
    assert_eq!(finish(&hand, deadline::with(over, policy.call(log.failing()))), TOTAL);
    assert_eq!(log.count(), 0);
    // Nor when the task is polled late.
    let policy = self::policy(&hand).deadline(ms(100)).retry(tries(9, 60)).build().unwrap();
    let mut late = Driven::new(policy.call(log.failing()));
    assert!(late.run().is_pending());
    hand.advance(ms(200));
    assert_eq!(late.run(), Poll::Ready(TOTAL));
    assert_eq!(log.count(), 1);
}

#[test]
fn the_deadline_around_a_call_holds_for_it_and_for_what_it_calls() {
    let hand = ManualClock::new();
    let outer = policy(&hand).deadline(ms(80)).breaker(after_failures(5)).build().unwrap();
    let inner = policy(&hand)
        .deadline(Duration::from_secs(9))
        .retry(tries(99, 5))
        .breaker(after_failures(5))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let outcome = finish(
        &hand,
        outer.call(|_| {
            assert!(deadline::current().is_some(), "also where the attempt is only begun");
            inner.call(log.hanging())
        }),
    );
    assert_eq!(outcome, Err(Error::Rejected(Rejection::Deadline(Scope::Total))));
    assert_eq!(log.passed(), ms(80));
    assert_eq!(log.attempts()[0].remaining(), Some(ms(80)));
    for policy in [&outer, &inner] {
        let breaker = policy.handle().snapshot().breaker.unwrap();
        assert_eq!(breaker.consecutive_failures, 0, "the caller's time is no failure");
    }
}

#[test]
fn a_call_that_waits_is_woken_once_for_each_thing_that_happens() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .deadline(Duration::from_secs(36_000))
        .attempt_timeout(Duration::from_secs(3600))
        .retry(tries(3, 1_000_000))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let mut call = Driven::new(policy.call(log.hanging()));
    assert!(call.run().is_pending());
    for _ in 0..1000 {
        hand.advance(ms(3_599));
        assert!(call.run().is_pending());
    }
    assert_eq!((call.polls(), call.wakes()), (1, 1), "an hour, and nothing has happened");
    assert_eq!(
        call.finish(&hand).unwrap_err().rejection(),
        Some(Rejection::Deadline(Scope::Attempt))
    );
    // Begin; and three timeouts with two waits between them.
    assert_eq!((call.polls(), log.count()), (6, 3));
}

#[test]
fn polls_for_nothing_leave_one_timer() {
    let hand = ManualClock::new();
    let policy = policy(&hand).attempt_timeout(ms(40)).retry(tries(2, 10)).build().unwrap();
    let log = Log::new(&hand);
    let mut call = Driven::new(policy.call(log.hanging()));
    let mut timers = Vec::new();
    while call.poll().is_pending() {
        for _ in 0..50 {
            assert!(call.poll().is_pending());
        }
        let next = hand.next_deadline().unwrap();
        timers.push(next.saturating_duration_since(hand.now()));
        to_next_timer(&hand);
    }
    assert_eq!(timers, [ms(40), ms(10), ms(40)], "each timer is of its time");
    assert_eq!(hand.next_deadline(), None, "none is left behind");
}

#[test]
fn an_operation_that_wakes_often_does_not_move_its_timeout() {
    let hand = ManualClock::new();
    let policy = policy(&hand).attempt_timeout(ms(100)).build().unwrap();
    let clock = hand.clock();
    let begin = hand.now();
    let outcome = finish(
        &hand,
        policy.call(|_| async {
            for _ in 0..100 {
                clock.sleep_until(clock.now() + ms(7)).await;
            }
            Ok::<u32, &str>(0)
        }),
    );
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert_eq!(hand.now(), begin + ms(100));
}
