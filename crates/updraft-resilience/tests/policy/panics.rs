//! An operation, a classifier or a listener that panics takes nothing with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use updraft_resilience::breaker::{Abandoned, OpenFor, State};
use updraft_resilience::hedge::{HedgeAfter, HedgeConfig};
use updraft_resilience::policy::{Attempt, Policy};
use updraft_resilience::{ManualClock, Verdict};

use crate::rig::{Answer, Driven, Log, after_failures, finish, ms, places, policy, to_next_timer};

/// Where an operation panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Start,
    FirstPoll,
    SecondPoll,
    Drop,
}

struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "on purpose");
    }
}

fn operation(hand: &ManualClock, at: At) -> Answer<u32, &'static str> {
    assert!(at != At::Start, "on purpose");
    let clock = hand.clock();
    let bomb = Bomb(at == At::Drop);
    Box::pin(async move {
        let _bomb = bomb;
        assert!(at != At::FirstPoll, "on purpose");
        clock.sleep_until(clock.now() + ms(10)).await;
        assert!(at != At::SecondPoll, "on purpose");
        Err("down")
    })
}

/// Runs a call to its panic, and checks that nothing is left.
fn explode<C, F>(policy: &Policy<C, F>, call: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
    let bulkhead = policy.handle().bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
}

#[test]
fn a_panic_of_the_operation_gives_everything_back() {
    let hand = ManualClock::new();
    let breaker = after_failures(1).open_for(OpenFor::fixed(ms(100))).abandoned(Abandoned::Neutral);
    let policy = policy(&hand).bulkhead(places(1, 1, 100)).breaker(breaker).build().unwrap();
    let breaker = policy.handle().breaker().unwrap();
    for at in [At::Start, At::FirstPoll, At::SecondPoll, At::Drop] {
        for half_open in [false, true] {
            breaker.reset();
            if half_open {
                finish(&hand, policy.call(Log::new(&hand).failing())).unwrap_err();
                hand.advance(ms(100));
            }
            explode(&policy, || {
                finish(&hand, policy.call(|_| operation(&hand, at))).unwrap();
            });
            let expected = if half_open { State::HalfOpen } else { State::Closed };
            assert_eq!(breaker.state(hand.now()), expected, "{at:?}");
            let next = finish(&hand, policy.call(async |_: Attempt| Ok::<_, &str>(1)));
            assert_eq!(next, Ok(1), "{at:?}, half-open: {half_open}");
            assert_eq!(breaker.state(hand.now()), State::Closed);
        }
    }
}

#[test]
fn a_panic_while_a_call_is_dropped_gives_everything_back() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 1, 100)).build().unwrap();
    explode(&policy, || {
        let mut call = Driven::new(policy.call(|_| operation(&hand, At::Drop)));
        assert!(call.run().is_pending());
        drop(call);
    });
}

#[test]
fn a_panic_of_the_classifier_gives_everything_back() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 1, 100))
        .classify(|_: Result<&u32, &&'static str>| -> Verdict { panic!("on purpose") })
        .build()
        .unwrap();
    explode(&policy, || {
        finish(&hand, policy.call(Log::new(&hand).failing())).unwrap();
    });
}

#[test]
fn a_panic_of_a_hedge_gives_both_back() {
    let hand = ManualClock::new();
    let hedge = HedgeConfig { after: HedgeAfter::Fixed(ms(4)), ..HedgeConfig::default() };
    let policy =
        policy(&hand).bulkhead(places(2, 1, 100)).idempotent().hedge(hedge).build().unwrap();
    for at in [At::Start, At::FirstPoll, At::SecondPoll] {
        explode(&policy, || {
            let mut call = Driven::new(policy.call(|attempt: Attempt| {
                if attempt.is_hedge() {
                    operation(&hand, at)
                } else {
                    Box::pin(std::future::pending())
                }
            }));
            while call.run().is_pending() {
                to_next_timer(&hand);
            }
        });
    }
}

#[test]
fn a_panic_of_a_blocking_operation_gives_everything_back() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 1, 100))
        .breaker(after_failures(1).abandoned(Abandoned::Neutral))
        .build()
        .unwrap();
    explode(&policy, || {
        let _: Result<u32, _> =
            policy.call_blocking(|_| -> Result<u32, &str> { panic!("on purpose") });
    });
    assert_eq!(policy.call_blocking(|_| Ok::<_, &str>(1)), Ok(1));
}

#[test]
fn a_listener_that_panics_harms_neither_the_call_nor_other_listeners() {
    let hand = ManualClock::new();
    let heard = Arc::new(AtomicU32::new(0));
    let ears = Arc::clone(&heard);
    let policy = policy(&hand)
        .bulkhead(places(1, 0, 0))
        .breaker(after_failures(1))
        .on_event(|_, _| panic!("on purpose"))
        .on_event(move |_, _| {
            ears.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    finish(&hand, policy.call(Log::new(&hand).failing())).unwrap_err();
    assert_eq!(heard.load(Ordering::Relaxed), 1, "the circuit has opened");
    assert_eq!(policy.handle().bulkhead().unwrap().in_use(), 0);
}
