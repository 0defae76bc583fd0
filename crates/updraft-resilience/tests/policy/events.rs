//! What a policy tells, and what its faults on purpose look like from above.

use std::sync::{Arc, Mutex};

use updraft_resilience::breaker::{OpenFor, State, Transition};
use updraft_resilience::chaos::{ChaosConfig, LatencyFault};
use updraft_resilience::policy::Event;
use updraft_resilience::retry::StopReason;
use updraft_resilience::{Error, ManualClock, Rejection, Scope};

use crate::rig::{Log, after_failures, finish, ms, policy, tries};

#[test]
fn faults_on_purpose_look_as_if_the_target_did_them() {
    let hand = ManualClock::new();
    let always = |chaos: ChaosConfig| {
        let chaos = ChaosConfig { enabled: true, ..chaos };
        let policy = policy(&hand)
            .chaos(chaos)
            .attempt_timeout(ms(100))
            .retry(tries(2, 10))
            .breaker(after_failures(9))
            .build()
            .unwrap();
        let log = Log::new(&hand);
        let outcome = finish(&hand, policy.call(log.taking(ms(1), |_| Ok::<_, &str>(1))));
        (
            outcome,
            policy.handle().snapshot().breaker.unwrap().consecutive_failures,
            log.passed(),
            log.starts(),
        )
    };
    let none = ChaosConfig::default();
    let slow = |add| Some(LatencyFault { rate: 1.0, add: ms(add), ..LatencyFault::default() });
    let injected = Err(Error::Rejected(Rejection::Injected));
    let late = Err(Error::Rejected(Rejection::Deadline(Scope::Attempt)));
    let errors = always(ChaosConfig { error_rate: 1.0, ..none });
    assert_eq!(errors, (injected, 2, ms(10), vec![]));
    let hanging = always(ChaosConfig { cancel_rate: 1.0, ..none });
    assert_eq!(hanging, (late.clone(), 2, ms(210), vec![]), "a target that hangs is timed out");
    let a_little = always(ChaosConfig { latency: slow(30), ..none });
    assert_eq!(a_little, (Ok(1), 0, ms(31), vec![30]));
    let too_slow = always(ChaosConfig { latency: slow(100), ..none });
    assert_eq!(too_slow, (late.clone(), 2, ms(210), vec![]));
    let in_the_end = always(ChaosConfig { latency: slow(99), ..none });
    assert_eq!(in_the_end, (Ok(1), 0, ms(100), vec![99]));
}

#[test]
fn every_change_of_the_breaker_is_told() {
    let hand = ManualClock::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let policy = policy(&hand)
        .breaker(after_failures(1).open_for(OpenFor::fixed(ms(50))))
        .on_event(move |name, event| {
            assert_eq!(name, "target");
            if let Event::Breaker(Transition { from, to, .. }) = event {
                note.lock().unwrap().push((*from, *to));
            }
        })
        .build()
        .unwrap();
    let log = Log::new(&hand);
    finish(&hand, policy.call(log.failing())).unwrap_err();
    hand.advance(ms(50));
    finish(&hand, policy.call(log.taking(ms(1), |_| Ok::<_, &str>(1)))).unwrap();
    let (closed, open, half) = (State::Closed, State::Open, State::HalfOpen);
    assert_eq!(*told.lock().unwrap(), [(closed, open), (open, half), (half, closed)]);
}

#[test]
fn the_reason_for_giving_up_is_told() {
    let hand = ManualClock::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let policy = policy(&hand)
        .retry(tries(2, 5))
        .on_event(move |_, event| note.lock().unwrap().push(*event))
        .build()
        .unwrap();
    finish(&hand, policy.call(Log::new(&hand).failing())).unwrap_err();
    let expected =
        [Event::Retrying { attempt: 2, wait: ms(5) }, Event::GivenUp(StopReason::Attempts)];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn a_made_outcome_looks_as_if_the_target_gave_it() {
    let hand = ManualClock::new();
    let chaos = ChaosConfig { enabled: true, result_rate: 1.0, ..ChaosConfig::default() };
    let policy = policy(&hand).retry(tries(3, 1)).chaos(chaos).build().unwrap();
    let chaos = policy.handle().chaos().unwrap();
    let log = Log::new(&hand);
    let outcome = finish(&hand, policy.call(chaos.substitute(log.failing(), || Err("made up"))));
    assert_eq!(outcome, Err(Error::Inner("made up")));
    assert_eq!((log.count(), policy.handle().snapshot().counts.retries), (0, 2));
}
