//! Waiting for a place: how long, behind whom, and what the breaker makes of it.

use std::task::Poll;
use std::time::Duration;

use updraft_resilience::breaker::{BreakerConfig, OpenFor, State, Trip, Window};
use updraft_resilience::policy::CallOptions;
use updraft_resilience::shed::ShedConfig;
use updraft_resilience::{Error, ManualClock, Priority, Rejection, Scope};

use crate::rig::{Driven, Log, after_failures, finish, ms, places, policy, tries};

const FULL: Result<u32, Error<&str>> = Err(Error::Rejected(Rejection::Full));

#[test]
fn a_caller_waits_for_a_place_as_long_as_it_may() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 1, 300)).build().unwrap();
    let log = Log::new(&hand);
    let mut running = Driven::new(policy.call(log.hanging()));
    assert!(running.run().is_pending());
    let mut queued = Driven::new(policy.call(log.hanging()));
    assert!(queued.run().is_pending());
    assert_eq!(finish(&hand, policy.call(log.hanging())), FULL, "the queue is full as well");
    assert_eq!(log.passed(), ms(0));
    assert_eq!(queued.finish(&hand), FULL);
    assert_eq!((log.passed(), log.count(), queued.polls()), (ms(300), 1, 2));
    let bulkhead = policy.handle().bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 0));
}

#[test]
fn the_next_in_the_queue_runs_when_a_place_is_free_and_is_woken_for_it() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 2, 1000)).build().unwrap();
    let log = Log::new(&hand);
    let mut first = Driven::new(policy.call(log.taking(ms(30), |_| Ok::<_, &str>(1))));
    assert!(first.run().is_pending());
    let mut second = Driven::new(policy.call(log.taking(ms(30), |_| Ok::<_, &str>(2))));
    assert!(second.run().is_pending());
    let urgent = CallOptions::new().priority(Priority::Critical);
    let third = log.taking(ms(30), |_| Ok::<_, &str>(3));
    let mut third = Driven::new(policy.call_with(urgent, third));
    assert!(third.run().is_pending());
    assert_eq!(first.finish(&hand), Ok(1));
    assert!(third.is_woken() && !second.is_woken(), "who matters more goes first");
    assert_eq!(third.finish(&hand), Ok(3));
    assert!(second.is_woken());
    assert_eq!(second.finish(&hand), Ok(2));
    assert_eq!(log.starts(), [0, 30, 60]);
}

#[test]
fn the_total_deadline_ends_a_wait_in_the_queue() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 1, 9000)).deadline(ms(50)).build().unwrap();
    let log = Log::new(&hand);
    let mut running = Driven::new(policy.call(log.hanging()));
    assert!(running.run().is_pending());
    hand.advance(ms(10));
    let mut queued = Driven::new(policy.call(log.hanging()));
    assert!(queued.run().is_pending());
    hand.advance(ms(50));
    let over = Poll::Ready(Err(Error::Rejected(Rejection::Deadline(Scope::Total))));
    assert_eq!(running.run(), over);
    assert_eq!(queued.run(), over, "although the place is free now");
    let bulkhead = policy.handle().bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued(), log.count()), (0, 0, 1));
}

#[test]
fn a_wait_for_a_place_does_not_make_the_target_slow() {
    let hand = ManualClock::new();
    let slow = Trip::slow_rate(1.0).slower_than(ms(50)).over(Window::Count(2)).min_calls(1);
    let policy = policy(&hand)
        .bulkhead(places(1, 4, 9000))
        .breaker(BreakerConfig::any_of([slow]))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let quick = || Driven::new(policy.call(log.taking(ms(40), |_| Ok::<_, &str>(1))));
    let mut calls: Vec<_> = (0..4).map(|_| quick()).collect();
    calls.iter_mut().for_each(|call| assert!(call.run().is_pending()));
    calls.iter_mut().for_each(|call| assert_eq!(call.finish(&hand), Ok(1)));
    assert_eq!(log.starts(), [0, 40, 80, 120]);
    assert_eq!(policy.handle().breaker().unwrap().state(hand.now()), State::Closed);
}

#[test]
fn who_waited_while_the_circuit_opened_does_not_run() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 4, 9000))
        .breaker(after_failures(1).open_for(OpenFor::fixed(Duration::from_secs(60))))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let mut first = Driven::new(policy.call(log.taking(ms(10), |_| Err::<u32, _>("down"))));
    assert!(first.run().is_pending());
    let mut others: Vec<_> = (0..4).map(|_| Driven::new(policy.call(log.failing()))).collect();
    others.iter_mut().for_each(|call| assert!(call.run().is_pending()));
    assert_eq!(first.finish(&hand), Err(Error::Inner("down")));
    for call in &mut others {
        let refused = call.finish(&hand).unwrap_err();
        assert!(matches!(refused, Error::Rejected(Rejection::Open { .. })), "{refused:?}");
    }
    let bulkhead = policy.handle().bulkhead().unwrap();
    assert_eq!((log.count(), bulkhead.in_use(), bulkhead.queued()), (1, 0, 0));
}

#[test]
fn a_retry_waits_in_the_queue_as_everybody_does() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(1, 1, 9000)).retry(tries(2, 10)).build().unwrap();
    let log = Log::new(&hand);
    let mut first = Driven::new(policy.call(log.taking(ms(5), |_| Err::<u32, _>("down"))));
    assert!(first.run().is_pending());
    let mut second = Driven::new(policy.call(log.taking(ms(100), |_| Ok::<u32, &str>(2))));
    assert!(second.run().is_pending());
    hand.advance(ms(5));
    assert!(first.run().is_pending());
    assert!(second.run().is_pending());
    hand.advance(ms(100));
    assert_eq!(second.run(), Poll::Ready(Ok(2)));
    assert_eq!(first.finish(&hand), Err(Error::Inner("down")));
    assert_eq!(log.starts(), [0, 5, 105]);
}

#[test]
fn less_important_calls_are_shed_before_anything_is_spent_on_them() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .bulkhead(places(1, 0, 0))
        .shed(ShedConfig { start: 0.5, full: 1.5, ..ShedConfig::default() })
        .retry(tries(9, 1))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let mut running = Driven::new(policy.call(log.hanging()));
    assert!(running.run().is_pending());
    let call = |priority| {
        let options = CallOptions::new().priority(priority);
        finish(&hand, policy.call_with(options, log.failing()))
    };
    let shed = Err(Error::Rejected(Rejection::Shed));
    assert_eq!(call(Priority::Background), shed);
    assert_eq!(call(Priority::Critical), FULL, "it is not shed, and finds no place");
    let snapshot = policy.handle().snapshot();
    assert_eq!((log.count(), snapshot.bulkhead.unwrap().rejected), (1, 1));
    assert_eq!(snapshot.counts.rejected, 2);
}
