//! A call may be dropped wherever it waits: nothing of it stays behind.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use updraft_resilience::breaker::{Abandoned, HalfOpen, OpenFor, State};
use updraft_resilience::chaos::{ChaosConfig, LatencyFault};
use updraft_resilience::hedge::{HedgeAfter, HedgeConfig};
use updraft_resilience::policy::{Attempt, PolicyBuilder, PolicyHandle};
use updraft_resilience::{Error, ManualClock};

use crate::rig::{Driven, after_failures, finish, ms, places, policy, to_next_timer, tries};

type Build = fn(PolicyBuilder) -> PolicyBuilder;

/// Two waits, and then it fails.
async fn slow_failure(hand: &ManualClock) -> Result<u32, &'static str> {
    let clock = hand.clock();
    clock.sleep_until(clock.now() + ms(10)).await;
    clock.sleep_until(clock.now() + ms(10)).await;
    Err("down")
}

fn nothing_is_left(handle: &PolicyHandle, when: u32) {
    let bulkhead = handle.bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0), "dropped at step {when}");
    if let Some(adaptive) = handle.adaptive() {
        assert_eq!(adaptive.snapshot().in_flight, 0, "dropped at step {when}");
    }
}

/// Goes one step on: a poll, or time. Whether it has come to its end.
fn step<T>(call: &mut Driven<'_, T>, hand: &ManualClock) -> bool {
    match call.poll_if_woken() {
        Some(Poll::Ready(_)) => return true,
        Some(Poll::Pending) => {}
        None => to_next_timer(hand),
    }
    false
}

/// Drops a call after each number of steps; gives that of the whole.
fn drop_everywhere(build: Build) -> u32 {
    for steps in 0.. {
        let hand = ManualClock::new();
        let clock = hand.clock();
        let policy = build(policy(&hand))
            .fallback_async(move |error: Error<&'static str>| {
                let clock = clock.clone();
                async move {
                    clock.sleep_until(clock.now() + ms(5)).await;
                    Err(error)
                }
            })
            .build()
            .unwrap();
        let mut call = Driven::new(policy.call(|_| slow_failure(&hand)));
        let is_over = (0..steps).any(|_| step(&mut call, &hand));
        drop(call);
        nothing_is_left(&policy.handle(), steps);
        if is_over {
            return steps;
        }
        assert!(steps < 1000);
    }
    unreachable!()
}

fn plain(policy: PolicyBuilder) -> PolicyBuilder {
    policy.bulkhead(places(4, 4, 1000)).breaker(after_failures(100))
}

fn hedge(max: u32) -> HedgeConfig {
    let budget_share = f64::from(max);
    HedgeConfig { after: HedgeAfter::Fixed(ms(4)), max, budget_share, budget_burst: 100 }
}

#[test]
fn a_call_can_be_dropped_while_it_runs_backs_off_and_recovers() {
    assert!(drop_everywhere(plain) > 5);
    assert!(drop_everywhere(|it| plain(it).retry(tries(4, 20))) > 20);
    assert!(drop_everywhere(|it| plain(it).retry(tries(4, 20)).attempt_timeout(ms(15))) > 20);
    assert!(drop_everywhere(|it| plain(it).retry(tries(4, 20)).deadline(ms(55))) > 10);
    assert!(drop_everywhere(|it| plain(it).retry(tries(3, 5)).adaptive(Default::default())) > 15);
}

#[test]
fn a_call_can_be_dropped_while_it_is_hedged() {
    assert!(drop_everywhere(|it| plain(it).idempotent().hedge(hedge(3))) > 15);
    let all: Build =
        |it| plain(it).idempotent().hedge(hedge(2)).retry(tries(3, 7)).attempt_timeout(ms(15));
    assert!(drop_everywhere(all) > 30);
}

#[test]
fn a_call_can_be_dropped_while_a_fault_delays_it() {
    assert!(
        drop_everywhere(|it| {
            let latency = LatencyFault { rate: 1.0, add: ms(9), ..LatencyFault::default() };
            let chaos =
                ChaosConfig { enabled: true, latency: Some(latency), ..ChaosConfig::default() };
            plain(it).chaos(chaos).retry(tries(2, 5))
        }) > 10
    );
}

#[test]
fn a_call_can_be_dropped_in_the_queue() {
    for steps in 0..8 {
        for first_goes in [false, true] {
            let hand = ManualClock::new();
            let policy = policy(&hand)
                .bulkhead(places(1, 3, 1000))
                .breaker(after_failures(9))
                .build()
                .unwrap();
            let mut first = Driven::new(policy.call(|_| slow_failure(&hand)));
            assert!(first.run().is_pending());
            let mut second = Driven::new(policy.call(|_| slow_failure(&hand)));
            assert!(second.run().is_pending());
            let mut third = Driven::new(policy.call(|_| slow_failure(&hand)));
            assert!(third.run().is_pending());
            if first_goes {
                drop(first);
            } else {
                first.finish(&hand).unwrap_err();
            }
            // The second has the place, whether it knows of it or not.
            let over = (0..steps).any(|_| step(&mut second, &hand));
            drop(second);
            assert!(over || third.is_woken(), "the place is passed on");
            third.finish(&hand).unwrap_err();
            nothing_is_left(&policy.handle(), steps);
        }
    }
}

/// A probe is dropped after each number of steps: the next call is a probe.
#[test]
fn a_dropped_probe_never_keeps_a_circuit_half_open() {
    let modes = [Abandoned::Neutral, Abandoned::FailureIfAll, Abandoned::Failure];
    for (mode, steps) in modes.into_iter().flat_map(|mode| (1..5).map(move |n| (mode, n))) {
        let hand = ManualClock::new();
        let breaker = after_failures(1)
            .open_for(OpenFor::fixed(ms(500)))
            .half_open(HalfOpen::permits(1))
            .abandoned(mode);
        let policy = policy(&hand).bulkhead(places(4, 4, 1000)).breaker(breaker).build().unwrap();
        let breaker = policy.handle().breaker().unwrap();
        finish(&hand, policy.call(|_| slow_failure(&hand))).unwrap_err();
        for _ in 0..20 {
            hand.advance(ms(500));
            let mut probe = Driven::new(policy.call(|_| slow_failure(&hand)));
            let over = (0..steps).any(|_| step(&mut probe, &hand));
            assert_eq!((over, breaker.state(hand.now())), (false, State::HalfOpen));
            drop(probe);
            nothing_is_left(&policy.handle(), steps);
            if mode == Abandoned::Neutral {
                assert_eq!(breaker.state(hand.now()), State::HalfOpen);
            }
        }
        hand.advance(ms(500));
        let healthy = finish(&hand, policy.call(async |_: Attempt| Ok::<_, &str>(1)));
        assert_eq!(healthy, Ok(1), "{mode:?}");
        assert_eq!(breaker.state(hand.now()), State::Closed);
    }
}

#[test]
fn a_probe_in_the_queue_is_given_back_too() {
    let hand = ManualClock::new();
    let breaker = after_failures(1).open_for(OpenFor::fixed(ms(500)));
    let policy = policy(&hand).bulkhead(places(1, 4, 100)).breaker(breaker).build().unwrap();
    let handle = policy.handle();
    let (breaker, bulkhead) = (handle.breaker().unwrap(), handle.bulkhead().unwrap());
    finish(&hand, policy.call(|_| slow_failure(&hand))).unwrap_err();
    hand.advance(ms(500));
    let other = bulkhead.try_acquire().unwrap();
    for gives_up in [true, false, true, false, true] {
        let mut probe = Driven::new(policy.call(|_| slow_failure(&hand)));
        assert!(probe.run().is_pending());
        assert_eq!(breaker.snapshot(hand.now()).probes.unwrap().running, 1);
        if gives_up {
            drop(probe);
        } else {
            probe.finish(&hand).unwrap_err();
        }
        assert_eq!(breaker.snapshot(hand.now()).probes.unwrap().running, 0);
    }
    bulkhead.release(other);
    assert_eq!(finish(&hand, policy.call(async |_: Attempt| Ok::<_, &str>(1))), Ok(1));
    nothing_is_left(&handle, 0);
}

#[test]
fn a_call_that_was_never_polled_has_done_nothing() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 0, 0))
        .retry(Default::default())
        .breaker(after_failures(1).abandoned(Abandoned::Failure))
        .build()
        .unwrap();
    let before = policy.handle().snapshot();
    for _ in 0..9 {
        drop(policy.call(async |_: Attempt| Err::<u32, _>("down")));
    }
    assert_eq!(policy.handle().snapshot(), before);
}

#[test]
fn what_the_operation_owns_is_dropped_with_the_call() {
    let hand = ManualClock::new();
    let policy = policy(&hand).retry(tries(2, 10)).build().unwrap();
    let owned = Arc::new(());
    let mut call = Driven::new(policy.call(|_| {
        let (owned, hand) = (Arc::clone(&owned), hand.clone());
        async move {
            hand.clock().sleep_until(hand.now() + Duration::from_secs(9)).await;
            drop(owned);
            Err::<u32, _>("down")
        }
    }));
    assert!(call.run().is_pending());
    assert_eq!(Arc::strong_count(&owned), 2);
    drop(call);
    assert_eq!(Arc::strong_count(&owned), 1);
}
