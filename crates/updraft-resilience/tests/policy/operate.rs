//! Watching and changing a policy while it is at work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use updraft_resilience::breaker::{BreakerConfig, Mode, State};
use updraft_resilience::chaos::{ChaosConfig, LatencyFault};
use updraft_resilience::policy::{Event, Policy, PolicyBuilder, handle, snapshots};
use updraft_resilience::rate_limit::RateLimitConfig;
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Error, ManualClock, Rejection};

use crate::rig::{Driven, Log, after_failures, finish, ms, places, policy, tries};

fn full(hand: &ManualClock) -> PolicyBuilder {
    policy(hand)
        .retry(RetryConfig { attempts: 2, ..RetryConfig::default() })
        .breaker(after_failures(5))
        .bulkhead(places(8, 0, 0))
        .rate_limit(RateLimitConfig::per_second(100))
}

#[test]
fn a_change_keeps_what_the_unchanged_parts_remember() {
    let hand = ManualClock::new();
    let policy = full(&hand).build().unwrap();
    let handle = policy.handle();
    let log = Log::new(&hand);
    finish(&hand, policy.call(log.failing())).unwrap_err();
    let before = handle.snapshot();
    assert_eq!(before.breaker.as_ref().unwrap().consecutive_failures, 2);
    handle.update(|config| config.attempt_timeout = Some(ms(50))).unwrap();
    assert_eq!(handle.snapshot(), before, "nothing is forgotten");
    handle.update(|config| config.retry.as_mut().unwrap().attempts = 1).unwrap();
    assert_eq!(handle.snapshot(), before, "the budget is still the same");
    handle.update(|config| config.breaker = Some(after_failures(9))).unwrap();
    let after = handle.snapshot();
    assert_eq!(after.breaker.unwrap().consecutive_failures, 0, "another breaker");
    assert_eq!(after.retry_budget, before.retry_budget);
    finish(&hand, policy.call(log.failing())).unwrap_err();
    assert_eq!(log.count(), 3, "calls from now on have one attempt");
    handle.update(|config| config.breaker = None).unwrap();
    assert!(handle.breaker().is_none() && handle.snapshot().breaker.is_none());
}

#[test]
fn a_smaller_bulkhead_counts_those_that_run_and_a_lower_rate_those_that_ran() {
    let hand = ManualClock::new();
    let policy = full(&hand).build().unwrap();
    let handle = policy.handle();
    // Calls that are given up would open the circuit.
    handle.breaker().unwrap().disable();
    let log = Log::new(&hand);
    let mut running: Vec<_> = (0..8).map(|_| Driven::new(policy.call(log.hanging()))).collect();
    running.iter_mut().for_each(|call| assert!(call.run().is_pending()));
    handle.update(|config| config.bulkhead = Some(places(4, 0, 0))).unwrap();
    let bulkhead = handle.bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.config().max), (8, 4));
    for left in [7, 6, 5, 4] {
        assert_eq!(
            finish(&hand, policy.call(log.failing())),
            Err(Error::Rejected(Rejection::Full))
        );
        drop(running.pop());
        assert_eq!(bulkhead.in_use(), left);
    }
    drop(running.pop());
    assert_eq!(finish(&hand, policy.call(log.taking(ms(1), |_| Ok::<_, ()>(1)))), Ok(1));
    drop(running);
    assert_eq!(handle.bulkhead().unwrap().in_use(), 0);

    let limiter = handle.rate_limiter().unwrap();
    limiter.try_acquire_many(limiter.snapshot(hand.now()).available, hand.now()).unwrap();
    let slow = RateLimitConfig::new(1, Duration::from_secs(60)).burst(100);
    handle.update(|config| config.rate_limit = Some(slow)).unwrap();
    let available = handle.rate_limiter().unwrap().snapshot(hand.now()).available;
    assert_eq!(available, 0, "a change is no gift");
}

#[test]
fn a_call_under_way_ends_as_it_began() {
    let hand = ManualClock::new();
    let policy = policy(&hand).retry(tries(3, 100)).bulkhead(places(1, 0, 0)).build().unwrap();
    let log = Log::new(&hand);
    let mut call = Driven::new(policy.call(log.failing()));
    assert!(call.run().is_pending());
    policy.handle().update(|config| (config.retry, config.bulkhead) = (None, None)).unwrap();
    call.finish(&hand).unwrap_err();
    finish(&hand, policy.call(log.failing())).unwrap_err();
    assert_eq!(log.starts(), [0, 100, 200, 200]);
}

#[test]
fn an_invalid_change_changes_nothing_and_says_all_that_is_wrong() {
    let hand = ManualClock::new();
    let policy = full(&hand).build().unwrap();
    let handle = policy.handle();
    let (config, snapshot) = (handle.config(), handle.snapshot());
    let invalid = handle
        .update(|config| {
            config.deadline = Some(Duration::ZERO);
            config.retry.as_mut().unwrap().attempts = 0;
            config.bulkhead.as_mut().unwrap().max = 0;
            config.breaker = Some(BreakerConfig::any_of([]));
            config.rate_limit = Some(RateLimitConfig::per_second(1));
        })
        .unwrap_err();
    let fields = ["deadline ", "retry.attempts ", "bulkhead.max ", "breaker.trips "];
    for field in fields {
        assert!(invalid.problems().iter().any(|it| it.starts_with(field)), "{field}: {invalid}");
    }
    assert_eq!(invalid.problems().len(), fields.len(), "{invalid}");
    assert_eq!((handle.config(), handle.snapshot()), (config, snapshot));
    assert_eq!(handle.rate_limiter().unwrap().config(), RateLimitConfig::per_second(100));
}

#[test]
fn the_bulkhead_follows_the_adaptive_limit_as_long_as_there_is_one() {
    let hand = ManualClock::new();
    let adaptive =
        updraft_resilience::adaptive::AdaptiveConfig { initial: 3, min: 1, ..Default::default() };
    let policy = policy(&hand).bulkhead(places(50, 0, 0)).adaptive(adaptive).build().unwrap();
    let handle = policy.handle();
    assert_eq!(handle.bulkhead().unwrap().config().max, 3, "from the beginning");
    let log = Log::new(&hand);
    let mut late = Driven::new(policy.call(log.taking(ms(10), |_| Ok::<_, &str>(1))));
    assert!(late.run().is_pending());
    handle.update(|config| config.adaptive = None).unwrap();
    assert_eq!(handle.bulkhead().unwrap().config().max, 50);
    late.finish(&hand).unwrap();
    assert_eq!(handle.bulkhead().unwrap().config().max, 50, "who began before has no say");
}

#[test]
fn a_listener_may_look_at_the_policy_and_change_it() {
    let hand = ManualClock::new();
    let policy = full(&hand).build().unwrap();
    let (handle, heard) = (policy.handle(), Arc::new(AtomicU32::new(0)));
    let (inside, ears) = (handle.clone(), Arc::clone(&heard));
    handle.on_event(move |_, event| {
        ears.fetch_add(1, Ordering::Relaxed);
        assert!(inside.snapshot().breaker.is_some());
        assert!(!snapshots().is_empty());
        if let Event::Retrying { .. } = event {
            inside.update(|config| config.attempt_timeout = Some(ms(77))).unwrap();
            inside.on_event(|_, _| ());
        }
    });
    finish(&hand, policy.call(Log::new(&hand).failing())).unwrap_err();
    assert_eq!(handle.config().attempt_timeout, Some(ms(77)));
    assert_eq!(heard.load(Ordering::Relaxed), 3, "retrying, reconfigured, given up");
}

#[test]
fn policies_are_found_by_name_as_long_as_they_live() {
    let hand = ManualClock::new();
    let first = Policy::named("found-by-name").clock(hand.clock()).build().unwrap();
    let last = Policy::named("found-by-name").retry(tries(7, 1)).build().unwrap();
    let found = || snapshots().iter().filter(|it| it.name == "found-by-name").count();
    assert_eq!(found(), 2);
    assert_eq!(handle("found-by-name").unwrap().config().retry, Some(tries(7, 1)));
    drop(last);
    assert_eq!(handle("found-by-name").unwrap().config().retry, None);
    drop(first);
    assert!(handle("found-by-name").is_none());
    assert_eq!(found(), 0);
}

#[test]
fn keys_have_a_state_of_their_own_and_share_the_rest() {
    let hand = ManualClock::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let policy = policy(&hand)
        .breaker(after_failures(1))
        .on_event(move |name, _| ears.lock().unwrap().push(name.to_owned()))
        .build()
        .unwrap();
    let keyed = policy.keyed::<&str>(10);
    assert!(keyed.is_empty());
    finish(&hand, keyed.get(&"bad").call(Log::new(&hand).failing())).unwrap_err();
    let state = |key| keyed.get(&key).handle().breaker().unwrap().state(hand.now());
    assert_eq!((state("bad"), state("good"), keyed.len()), (State::Open, State::Closed, 2));
    assert_eq!(policy.handle().breaker().unwrap().state(hand.now()), State::Closed);
    assert_eq!(policy.handle().snapshot().counts.transitions, 1);
    assert_eq!(*heard.lock().unwrap(), ["target"]);
    keyed.remove(&"bad");
    assert_eq!(state("bad"), State::Closed);
    (0..1000).for_each(|_| drop(keyed.get(&"bad")));
    let many = policy.keyed::<u32>(10);
    (0..1000).for_each(|key| drop(many.get(&key)));
    assert!(many.len() <= 10);
}

#[test]
fn a_change_of_keyed_policies_holds_for_every_key() {
    let hand = ManualClock::new();
    let policy = policy(&hand).retry(tries(2, 1)).build().unwrap();
    let keyed = policy.keyed::<&str>(10);
    let attempts = |key| {
        let log = Log::new(&hand);
        finish(&hand, keyed.get(&key).call(log.failing())).unwrap_err();
        log.count()
    };
    assert_eq!(attempts("known"), 2);
    keyed.update(|config| config.retry = Some(tries(4, 1))).unwrap();
    assert_eq!((attempts("known"), attempts("new")), (4, 4));
    let invalid = keyed.update(|config| config.deadline = Some(Duration::ZERO));
    assert_eq!(invalid.unwrap_err().problems().len(), 1);
    assert_eq!(attempts("known"), 4);
}

#[test]
fn faults_repeat_themselves_by_their_seed_and_can_be_switched_off() {
    let outcomes = |seed| {
        let hand = ManualClock::new();
        let latency = LatencyFault { rate: 0.3, add: ms(5), jitter: ms(5) };
        let chaos = ChaosConfig {
            enabled: true,
            seed,
            latency: Some(latency),
            error_rate: 0.3,
            cancel_rate: 0.0,
            result_rate: 0.0,
        };
        let policy = policy(&hand).chaos(chaos).build().unwrap();
        let call = || {
            let begin = hand.now();
            let outcome = finish(&hand, policy.call(async |_| Ok::<_, &str>(1)));
            (outcome, hand.now().saturating_duration_since(begin))
        };
        let faulty: Vec<_> = (0..100).map(|_| call()).collect();
        policy.handle().chaos().unwrap().set_enabled(false);
        assert!((0..100).all(|_| call() == (Ok(1), Duration::ZERO)));
        faulty
    };
    let first = outcomes(1);
    assert_eq!(first, outcomes(1));
    assert_ne!(first, outcomes(2));
    let errors = first.iter().filter(|(outcome, _)| outcome.is_err()).count();
    assert!((15..45).contains(&errors), "{errors}");
}

#[test]
fn an_operator_decides_over_the_breaker() {
    let hand = ManualClock::new();
    let policy = policy(&hand).breaker(after_failures(1)).build().unwrap();
    let breaker = policy.handle().breaker().unwrap();
    let log = Log::new(&hand);
    let call = || finish(&hand, policy.call(log.failing())).unwrap_err().rejection().is_some();
    breaker.force_open();
    assert!(call() && call());
    assert_eq!((log.count(), breaker.mode()), (0, Mode::ForcedOpen));
    breaker.force_close();
    assert!(!call() && !call() && !call());
    breaker.disable();
    assert!(!call() && !call() && !call());
    breaker.resume();
    assert!(!call() && call());
    assert_eq!(log.count(), 7);
}
