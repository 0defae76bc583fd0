//! Traps into which circuit breakers of other crates fall, as tests of this one: a window
//! that does not slide, a record that costs more the more there is, a flood when the open time
//! is over, late results that decide, and a dropped probe that blocks for good.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use updraft_resilience::breaker::{
    Abandoned, Breaker, BreakerConfig, HalfOpen, State, Trip, Window,
};
use updraft_resilience::{Clock, ManualClock, Verdict};

const OPEN: Duration = Duration::from_secs(5);

fn call(breaker: &Breaker, hand: &ManualClock, verdict: Verdict) {
    let permit = breaker.try_acquire(hand.now()).unwrap();
    breaker.record(permit, verdict, hand.now());
}

fn opened(half_open: HalfOpen) -> (Breaker, ManualClock) {
    let config = BreakerConfig::any_of([Trip::consecutive(3)]).half_open(half_open);
    let (breaker, hand) = (Breaker::new(config).unwrap(), ManualClock::new());
    for _ in 0..3 {
        call(&breaker, &hand, Verdict::Fail);
    }
    assert_eq!(breaker.state(hand.now()), State::Open);
    (breaker, hand)
}

/// T1: after any number of good calls, half a window of failures opens.
#[test]
fn t1_the_window_slides() {
    for good in [0, 1000, 10_000, 100_000] {
        for window in [Window::Count(100), Window::Time(Duration::from_secs(10))] {
            let trip = Trip::failure_rate(0.5).over(window).min_calls(50);
            let breaker = Breaker::new(BreakerConfig::any_of([trip])).unwrap();
            let hand = ManualClock::new();
            for _ in 0..good {
                call(&breaker, &hand, Verdict::Success);
            }
            if matches!(window, Window::Time(_)) {
                hand.advance(Duration::from_secs(10));
            }
            let mut failures = 0;
            while breaker.state(hand.now()) == State::Closed {
                call(&breaker, &hand, Verdict::Fail);
                failures += 1;
            }
            assert_eq!(failures, 50, "after {good} good calls, {window:?}");
        }
    }
}

/// T2: failures recorded into a window of 300 000 calls take no longer than into an empty
/// one, give or take the noise of the machine; a walk over the calls takes a hundred times it.
#[test]
fn t2_recording_costs_the_same_however_many_calls_a_window_holds() {
    let trip = Trip::failure_rate(1.0).over(Window::Time(Duration::from_secs(60))).min_calls(1);
    let breaker = Breaker::new(BreakerConfig::any_of([trip])).unwrap();
    let (hand, clock) = (ManualClock::new(), Clock::system());
    let batch = || {
        let begun = clock.now();
        for _ in 0..4000 {
            call(&breaker, &hand, Verdict::Fail);
        }
        clock.now().saturating_duration_since(begun)
    };
    call(&breaker, &hand, Verdict::Success);
    breaker.force_close();
    let with_few = batch();
    for _ in 0..60 {
        hand.advance(Duration::from_secs(1));
        for _ in 0..5000 {
            call(&breaker, &hand, Verdict::Success);
        }
    }
    let with_many = batch();
    assert!(breaker.snapshot(hand.now()).readings[0].calls > 250_000);
    let limit = with_few * 10 + Duration::from_millis(300);
    assert!(with_many < limit, "{with_many:?} with many calls, {with_few:?} with few");
}

/// T3: a thousand threads at the end of the open time, and exactly the permitted number goes
/// through.
#[test]
fn t3_a_flood_at_the_end_of_the_open_time_gets_exactly_the_permits() {
    for permitted in [1, 2, 7] {
        let (breaker, hand) = opened(HalfOpen::permits(permitted));
        hand.advance(OPEN);
        let (barrier, admitted) = (Barrier::new(1000), AtomicUsize::new(0));
        let changes = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..1000 {
                scope.spawn(|| {
                    barrier.wait();
                    let admission = breaker.admit(hand.now());
                    admitted.fetch_add(usize::from(admission.answer.is_ok()), Ordering::SeqCst);
                    let changed = admission.transition.is_some();
                    changes.fetch_add(usize::from(changed), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(admitted.into_inner(), permitted as usize);
        assert_eq!(changes.into_inner(), 1, "the circuit turns half-open once");
    }
}

/// T3, while probes end: never are more at work than permitted.
#[test]
fn t3_places_that_become_free_are_given_once() {
    let half_open = HalfOpen::permits(3).successes_needed(500);
    let (breaker, hand) = opened(half_open);
    hand.advance(OPEN);
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (breaker, hand, running, most) = (&breaker, &hand, &running, &most);
            scope.spawn(move || {
                for round in 0..2000 {
                    let Ok(permit) = breaker.try_acquire(hand.now()) else { continue };
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    if (round + thread) % 50 == 0 {
                        breaker.record(permit, Verdict::Success, hand.now());
                    } else {
                        breaker.record(permit, Verdict::Ignore, hand.now());
                    }
                }
            });
        }
    });
    assert!(most.into_inner() <= 3);
    if let Some(probes) = breaker.snapshot(hand.now()).probes {
        assert_eq!(probes.running, 0, "every place came back");
    }
}

/// T4: calls that were admitted before the circuit opened decide nothing.
#[test]
fn t4_results_from_before_the_opening_do_not_decide_the_recovery() {
    for verdict in [Verdict::Success, Verdict::Fail] {
        let config = BreakerConfig::any_of([Trip::consecutive(3)]).half_open(HalfOpen::permits(1));
        let (breaker, hand) = (Breaker::new(config).unwrap(), ManualClock::new());
        let stale: Vec<_> = (0..5).map(|_| breaker.try_acquire(hand.now()).unwrap()).collect();
        for _ in 0..3 {
            call(&breaker, &hand, Verdict::Fail);
        }
        hand.advance(OPEN);
        let probe = breaker.try_acquire(hand.now()).unwrap();
        for permit in stale {
            assert_eq!(breaker.record(permit, verdict, hand.now()), None);
        }
        assert_eq!(breaker.state(hand.now()), State::HalfOpen);
        assert_eq!(breaker.snapshot(hand.now()).lost, 5);
        let closed = breaker.record(probe, Verdict::Success, hand.now());
        assert_eq!(closed.map(|change| change.to), Some(State::Closed));
    }
}

/// T5: a probe whose caller gives up does not block the circuit.
#[test]
fn t5_a_dropped_probe_never_blocks_a_healthy_target() {
    for abandoned in [Abandoned::Neutral, Abandoned::Failure, Abandoned::FailureIfAll] {
        let config = BreakerConfig::any_of([Trip::consecutive(3)]).abandoned(abandoned);
        let (breaker, hand) = (Breaker::new(config).unwrap(), ManualClock::new());
        for _ in 0..3 {
            call(&breaker, &hand, Verdict::Fail);
        }
        hand.advance(OPEN);
        let dropped = breaker.try_acquire(hand.now()).unwrap();
        breaker.abandon(dropped, hand.now());
        // Time for one more opening, where dropping is failing.
        hand.advance(2 * OPEN);
        let mut admitted = 0;
        for _ in 0..100 {
            if let Ok(permit) = breaker.try_acquire(hand.now()) {
                admitted += 1;
                breaker.record(permit, Verdict::Success, hand.now());
            }
        }
        assert_eq!(admitted, 100, "{abandoned:?}");
    }
}

/// T5, worse: the permit is never handed back at all.
#[test]
fn t5_a_permit_that_never_comes_back_blocks_only_for_the_longest_wait() {
    let (breaker, hand) = opened(HalfOpen::permits(1).max_wait(OPEN));
    hand.advance(OPEN);
    let _forgotten = breaker.try_acquire(hand.now()).unwrap();
    for _ in 0..1000 {
        assert!(breaker.try_acquire(hand.now()).is_err());
        hand.advance(Duration::from_millis(1));
    }
    hand.advance(OPEN);
    let reopened = breaker.try_acquire(hand.now()).unwrap_err();
    hand.advance(reopened.retry_after);
    call(&breaker, &hand, Verdict::Success);
    assert_eq!(breaker.state(hand.now()), State::Closed);
}
