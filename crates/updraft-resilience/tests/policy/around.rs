//! One policy around another: what each of them hears of the other.

use std::future::{Ready, ready};

use updraft_resilience::breaker::State;
use updraft_resilience::policy::{Attempt, PolicyHandle};
use updraft_resilience::{Error, ManualClock, Rejection, Scope};

use super::rig::{Log, after_failures, finish, ms, places, policy, tries};

/// An operation that fails at once, and can be shared by attempts.
fn failing(log: &Log) -> impl Fn(Attempt) -> Ready<Result<u32, &'static str>> {
    |attempt| {
        log.note(attempt);
        ready(Err("down"))
    }
}

fn failures_in_a_row(handle: &PolicyHandle, hand: &ManualClock) -> u64 {
    handle.breaker().unwrap().snapshot(hand.now()).consecutive_failures
}

#[test]
fn what_the_inner_one_refuses_is_neither_tried_again_nor_counted() {
    let hand = ManualClock::new();
    let outer = policy(&hand).retry(tries(5, 1)).breaker(after_failures(3)).build().unwrap();
    let inner = policy(&hand).bulkhead(places(1, 0, 0)).breaker(after_failures(1)).build().unwrap();
    let (log, both) = (Log::new(&hand), outer.around(&inner));
    inner.handle().breaker().unwrap().force_open();
    let refused = finish(&hand, both.call(failing(&log)));
    assert!(matches!(refused, Err(Error::Rejected(Rejection::Open { .. }))), "{refused:?}");
    assert_eq!(log.count(), 0);
    assert_eq!(failures_in_a_row(&outer.handle(), &hand), 0);

    inner.handle().breaker().unwrap().resume();
    let place = inner.handle().bulkhead().unwrap().try_acquire().unwrap();
    let refused = finish(&hand, both.call(failing(&log)));
    assert_eq!(refused.unwrap_err().rejection(), Some(Rejection::Full));
    inner.handle().bulkhead().unwrap().release(place);
    assert_eq!((log.count(), failures_in_a_row(&outer.handle(), &hand)), (0, 0));
}

#[test]
fn a_breaker_around_retries_hears_of_a_row_as_one_call() {
    let hand = ManualClock::new();
    let outer = policy(&hand).breaker(after_failures(2)).build().unwrap();
    let inner = policy(&hand).retry(tries(4, 1)).build().unwrap();
    let (log, both) = (Log::new(&hand), outer.around(&inner));
    for rows in 1..=2 {
        finish(&hand, both.call(failing(&log))).unwrap_err();
        assert_eq!(log.count(), 4 * rows);
    }
    assert_eq!(outer.handle().breaker().unwrap().state(hand.now()), State::Open);
    finish(&hand, both.call(failing(&log))).unwrap_err();
    assert_eq!(log.count(), 8, "nobody is asked while it is open");
}

#[test]
fn what_the_inner_one_cuts_off_as_late_is_a_failure_to_the_outer_one() {
    let hand = ManualClock::new();
    let outer = policy(&hand).breaker(after_failures(9)).build().unwrap();
    let inner = policy(&hand).attempt_timeout(ms(10)).build().unwrap();
    let both = outer.around(&inner);
    let late = finish(&hand, both.call(|_| std::future::pending::<Result<u32, &str>>()));
    assert_eq!(late.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert_eq!(failures_in_a_row(&outer.handle(), &hand), 1);
}

#[test]
fn the_outer_fallback_sees_what_the_inner_one_gave_up() {
    let hand = ManualClock::new();
    let outer = policy(&hand)
        .fallback(|error: Error<&'static str>| match error {
            Error::Inner("down") => Ok(7),
            other => Err(other),
        })
        .build()
        .unwrap();
    let inner = policy(&hand).retry(tries(2, 1)).build().unwrap();
    let log = Log::new(&hand);
    let outcome = finish(&hand, outer.around(&inner).call(failing(&log)));
    assert_eq!((outcome, log.count()), (Ok(7), 2));
}
