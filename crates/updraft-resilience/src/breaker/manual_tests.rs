//! The modes of an operator.

use std::time::Duration;

use super::*;
use crate::breaker::{BreakerConfig, Open, Transition, Trip};
use crate::{ManualClock, Verdict};

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig::any_of([Trip::consecutive(2)])).unwrap()
}

fn fail(breaker: &Breaker, now: Instant) -> Option<Transition> {
    let permit = breaker.try_acquire(now).unwrap();
    breaker.record(permit, Verdict::Fail, now)
}

fn succeed(breaker: &Breaker, now: Instant) -> Option<Transition> {
    let permit = breaker.try_acquire(now).unwrap();
    breaker.record(permit, Verdict::Success, now)
}

#[test]
fn forced_open_nothing_goes_through_however_long_it_takes() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    breaker.force_open();
    assert_eq!(breaker.mode(), Mode::ForcedOpen);
    hand.advance(Duration::from_secs(1_000_000));
    let refused = breaker.try_acquire(hand.now());
    assert_eq!(refused, Err(Open { retry_after: Duration::MAX }));
    assert_eq!(breaker.state(hand.now()), State::Open);
    let snapshot = breaker.snapshot(hand.now());
    assert_eq!((snapshot.open_until, snapshot.rejected), (None, 1));
}

#[test]
fn after_a_forced_opening_the_next_call_is_a_probe() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    // Also when its own open time is not over.
    fail(&breaker, hand.now());
    fail(&breaker, hand.now());
    breaker.force_open();
    breaker.resume();
    assert_eq!((breaker.mode(), breaker.state(hand.now())), (Mode::Automatic, State::HalfOpen));
    let admission = breaker.admit(hand.now());
    assert_eq!(admission.transition.map(|t| t.to), Some(State::HalfOpen));
    assert!(breaker.try_acquire(hand.now()).is_err(), "a second probe");
    let closed = breaker.record(admission.answer.unwrap(), Verdict::Success, hand.now());
    assert_eq!(closed.map(|t| t.to), Some(State::Closed));
}

#[test]
fn forced_closed_failures_are_counted_and_open_nothing() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    breaker.force_close();
    assert_eq!(breaker.mode(), Mode::ForcedClosed);
    for _ in 0..10 {
        assert_eq!(fail(&breaker, hand.now()), None);
    }
    assert_eq!(breaker.state(hand.now()), State::Closed);
    assert_eq!(breaker.snapshot(hand.now()).consecutive_failures, 10);
    breaker.resume();
    assert_eq!(fail(&breaker, hand.now()), None, "what was counted by force opens nothing");
    assert!(fail(&breaker, hand.now()).is_some());
}

#[test]
fn forcing_an_open_circuit_closed_lets_calls_through_at_once() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    fail(&breaker, hand.now());
    fail(&breaker, hand.now());
    assert!(breaker.try_acquire(hand.now()).is_err());
    breaker.force_close();
    assert!(breaker.try_acquire(hand.now()).is_ok());
}

#[test]
fn disabled_it_counts_nothing_also_of_calls_that_end_later() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    breaker.disable();
    assert_eq!(breaker.mode(), Mode::Disabled);
    let late: Vec<_> = (0..5).map(|_| breaker.try_acquire(hand.now()).unwrap()).collect();
    assert_eq!(fail(&breaker, hand.now()), None);
    breaker.resume();
    for permit in late {
        assert_eq!(breaker.record(permit, Verdict::Fail, hand.now()), None);
    }
    let snapshot = breaker.snapshot(hand.now());
    assert_eq!((snapshot.consecutive_failures, snapshot.lost), (0, 0));
    assert_eq!(snapshot.mode, Mode::Automatic);
}

#[test]
fn who_only_observes_refuses_nobody_and_tells_what_it_would_have_done() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    breaker.observe_only();
    assert_eq!(breaker.mode(), Mode::ObserveOnly);
    fail(&breaker, hand.now());
    let opened = fail(&breaker, hand.now());
    assert_eq!(opened.map(|t| (t.from, t.to)), Some((State::Closed, State::Open)));
    // These would not have run; their results prove nothing.
    for _ in 0..3 {
        assert_eq!(succeed(&breaker, hand.now()), None);
    }
    assert_eq!(breaker.snapshot(hand.now()).rejected, 3);
    assert_eq!(breaker.state(hand.now()), State::Open);

    hand.advance(Duration::from_secs(5));
    let probe = breaker.admit(hand.now());
    assert_eq!(probe.transition.map(|t| t.to), Some(State::HalfOpen));
    let beside = breaker.try_acquire(hand.now()).unwrap();
    assert_eq!(breaker.record(beside, Verdict::Fail, hand.now()), None, "not a probe");
    let closed = breaker.record(probe.answer.unwrap(), Verdict::Success, hand.now());
    assert_eq!(closed.map(|t| t.to), Some(State::Closed));
    assert_eq!(breaker.snapshot(hand.now()).rejected, 4);
}

#[test]
fn what_was_observed_holds_when_the_breaker_decides_again() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    breaker.observe_only();
    fail(&breaker, hand.now());
    fail(&breaker, hand.now());
    breaker.resume();
    assert_eq!(breaker.try_acquire(hand.now()).unwrap_err().retry_after, Duration::from_secs(5));
}

#[test]
fn a_real_opening_is_still_there_for_the_watcher() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    fail(&breaker, hand.now());
    fail(&breaker, hand.now());
    breaker.observe_only();
    assert!(breaker.try_acquire(hand.now()).is_ok());
    assert_eq!(breaker.state(hand.now()), State::Open);
}

#[test]
fn a_reset_forgets_everything_and_keeps_the_mode() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    let late = breaker.try_acquire(hand.now()).unwrap();
    fail(&breaker, hand.now());
    fail(&breaker, hand.now());
    assert!(breaker.try_acquire(hand.now()).is_err());
    breaker.reset();
    let snapshot = breaker.snapshot(hand.now());
    assert_eq!((snapshot.state, snapshot.openings), (State::Closed, 0));
    assert_eq!((snapshot.rejected, snapshot.lost, snapshot.consecutive_failures), (0, 0, 0));
    breaker.record(late, Verdict::Fail, hand.now());
    assert_eq!(breaker.snapshot(hand.now()).consecutive_failures, 0);

    fail(&breaker, hand.now());
    breaker.reset();
    assert_eq!(fail(&breaker, hand.now()), None, "a failure from before the reset");

    breaker.force_open();
    breaker.reset();
    assert_eq!(breaker.mode(), Mode::ForcedOpen);
    assert!(breaker.try_acquire(hand.now()).is_err());
}

#[test]
fn results_from_before_a_change_of_mode_are_lost() {
    let (breaker, hand) = (breaker(), ManualClock::new());
    let late = [(); 2].map(|()| breaker.try_acquire(hand.now()).unwrap());
    breaker.force_close();
    breaker.resume();
    for permit in late {
        assert_eq!(breaker.record(permit, Verdict::Fail, hand.now()), None);
    }
    assert_eq!(breaker.snapshot(hand.now()).lost, 2);
    assert_eq!(breaker.state(hand.now()), State::Closed);
}
