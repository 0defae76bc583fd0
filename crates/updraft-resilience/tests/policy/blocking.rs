//! Calls that hold their thread: the same laws, with threads on a clock turned by hand.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use updraft_resilience::breaker::State;
use updraft_resilience::chaos::ChaosConfig;
use updraft_resilience::deadline;
use updraft_resilience::policy::{Attempt, Event, PolicyBuilder, PolicyConfig};
use updraft_resilience::retry::{BudgetConfig, RetryConfig};
use updraft_resilience::{Error, ManualClock, Rejection, Scope};

use crate::rig::{after_failures, ms, places, policy, tries};

/// Lets time pass in small steps, until `work` on another thread is over.
fn while_time_passes<T: Send>(hand: &ManualClock, work: impl FnOnce() -> T + Send) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let value = work();
            is_over.store(true, Ordering::SeqCst);
            value
        });
        while !is_over.load(Ordering::SeqCst) && !working.is_finished() {
            hand.advance(ms(1));
            std::thread::yield_now();
        }
        working.join().expect("the work does not panic")
    })
}

#[test]
fn a_blocking_call_is_tried_again_after_its_waits() {
    let hand = ManualClock::new();
    let (told, waits) = mpsc::channel();
    let policy = policy(&hand)
        .retry(tries(3, 100))
        .on_event(move |_, event| {
            if let Event::Retrying { wait, .. } = event {
                told.send(*wait).unwrap();
            }
        })
        .build()
        .unwrap();
    let begin = hand.now();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let mut starts = Vec::new();
            let outcome = policy.call_blocking(|attempt| {
                starts.push(hand.now().saturating_duration_since(begin));
                if attempt.number() < 3 { Err("down") } else { Ok(attempt.number()) }
            });
            (outcome, starts)
        });
        for _ in 0..2 {
            // Told once the end of the wait is settled.
            let wait = waits.recv().unwrap();
            hand.advance(wait - ms(1));
            hand.advance(ms(1));
        }
        assert_eq!(call.join().unwrap(), (Ok(3), vec![ms(0), ms(100), ms(200)]));
    });
}

#[test]
fn the_budget_and_the_breaker_hear_of_blocking_calls() {
    let hand = ManualClock::new();
    let budget = BudgetConfig { share: 0.5, per_second: 0.0, burst: 4 };
    let retry = RetryConfig { budget: Some(budget), ..tries(100, 0) };
    let policy = policy(&hand).retry(retry).build().unwrap();
    let attempts = AtomicU32::new(0);
    let failing = |_: Attempt| {
        attempts.fetch_add(1, Ordering::SeqCst);
        Err::<u32, _>("down")
    };
    for _ in 0..100 {
        assert_eq!(policy.call_blocking(failing), Err(Error::Inner("down")));
    }
    let made = attempts.load(Ordering::SeqCst);
    assert!((153..=154).contains(&made), "{made}");

    let policy = self::policy(&hand).retry(tries(9, 0)).breaker(after_failures(3)).build().unwrap();
    let refused = policy.call_blocking(failing);
    assert!(matches!(refused, Err(Error::Rejected(Rejection::Open { .. }))), "{refused:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), made + 3);
    assert_eq!(policy.handle().breaker().unwrap().state(hand.now()), State::Open);
}

#[test]
fn threads_wait_for_a_place_and_never_are_more_than_it_has() {
    let hand = ManualClock::new();
    let policy = policy(&hand).bulkhead(places(3, 64, 600_000)).build().unwrap();
    let (running, most, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let clock = hand.clock();
    while_time_passes(&hand, || {
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let outcome = policy.call_blocking(|_| {
                            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            clock.block_until(clock.now() + ms(2));
                            running.fetch_sub(1, Ordering::SeqCst);
                            Ok::<_, &str>(())
                        });
                        assert_eq!(outcome, Ok(()));
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
    });
    assert_eq!(done.load(Ordering::SeqCst), 120);
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let bulkhead = policy.handle().bulkhead().unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
}

/// What a thread gets that waits for a place which never comes.
fn waits_in_vain(build: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Option<Rejection> {
    let hand = ManualClock::new();
    let policy = build(policy(&hand)).build().unwrap();
    let bulkhead = policy.handle().bulkhead().unwrap();
    let place = bulkhead.try_acquire().unwrap();
    let outcome = while_time_passes(&hand, || policy.call_blocking(|_| Ok::<_, &str>(1)));
    assert_eq!(bulkhead.queued(), 0);
    bulkhead.release(place);
    assert_eq!(bulkhead.in_use(), 0);
    if let Some(breaker) = policy.handle().breaker() {
        assert_eq!(breaker.snapshot(hand.now()).consecutive_failures, 0);
    }
    outcome.unwrap_err().rejection()
}

#[test]
fn a_thread_waits_no_longer_than_it_may() {
    let full = waits_in_vain(|it| it.bulkhead(places(1, 1, 50)).breaker(after_failures(1)));
    assert_eq!(full, Some(Rejection::Full));
    let over = waits_in_vain(|it| it.bulkhead(places(1, 1, 9000)).deadline(ms(50)));
    assert_eq!(over, Some(Rejection::Deadline(Scope::Total)));
}

#[test]
fn no_attempt_begins_when_the_time_is_over() {
    let hand = ManualClock::new();
    let policy = policy(&hand).deadline(ms(100)).retry(tries(9, 10)).build().unwrap();
    let mut seen = Vec::new();
    let outcome = while_time_passes(&hand, || {
        policy.call_blocking(|attempt| {
            seen.push(attempt.remaining().unwrap());
            // It takes all the time that there is.
            let clock = hand.clock();
            clock.block_until(clock.now() + ms(100));
            Err::<u32, _>("late")
        })
    });
    assert_eq!(outcome, Err(Error::Inner("late")));
    assert!(seen.len() == 1 && seen[0] <= ms(100), "{seen:?}");
}

#[test]
fn the_operation_sees_its_deadline_and_calls_within_have_no_more_time() {
    let hand = ManualClock::new();
    let outer = policy(&hand).deadline(ms(300)).attempt_timeout(ms(200)).build().unwrap();
    let inner = policy(&hand).deadline(Duration::from_secs(60)).build().unwrap();
    assert_eq!(deadline::current(), None);
    let seen = outer.call_blocking(|attempt| {
        let ambient = deadline::current().unwrap().remaining(hand.now());
        assert_eq!((ambient, attempt.remaining()), (ms(200), Some(ms(200))));
        inner.call_blocking(|attempt| Ok::<_, &str>(attempt.remaining()))
    });
    assert_eq!(seen, Ok(Some(ms(200))));
    assert_eq!(deadline::current(), None);
}

#[test]
fn faults_on_purpose_reach_blocking_calls() {
    let hand = ManualClock::new();
    let chaos = ChaosConfig { enabled: true, cancel_rate: 1.0, ..ChaosConfig::default() };
    let policy = policy(&hand).chaos(chaos).attempt_timeout(ms(40)).breaker(after_failures(9));
    let policy = policy.build().unwrap();
    let begin = hand.now();
    let outcome = while_time_passes(&hand, || policy.call_blocking(|_| Ok::<_, &str>(1)));
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert!(hand.now() >= begin + ms(40), "it hung until its time was over");
    assert_eq!(policy.handle().snapshot().breaker.unwrap().consecutive_failures, 1);
    policy.handle().update(|config| config.deadline = Some(ms(30))).unwrap();
    let outcome = while_time_passes(&hand, || policy.call_blocking(|_| Ok::<_, &str>(1)));
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Total)));
    assert_eq!(policy.handle().snapshot().breaker.unwrap().consecutive_failures, 1);
    let unbounded = |config: &mut PolicyConfig| {
        (config.attempt_timeout, config.deadline) = (None, None);
    };
    policy.handle().update(unbounded).unwrap();
    let outcome = policy.call_blocking(|_| Ok::<_, &str>(1));
    assert_eq!(
        outcome.unwrap_err().rejection(),
        Some(Rejection::Injected),
        "nobody hangs for ever"
    );
}

#[test]
fn both_kinds_of_fallback_hold_for_blocking_calls() {
    let hand = ManualClock::new();
    let now = policy(&hand).fallback(|_: Error<&str>| Ok(7)).build().unwrap();
    assert_eq!(now.call_blocking(|_| Err("down")), Ok(7));
    let clock = hand.clock();
    let later = policy(&hand).fallback_async(move |error: Error<&'static str>| {
        let clock = clock.clone();
        async move {
            clock.sleep_until(clock.now() + ms(5)).await;
            assert_eq!(error, Error::Inner("down"));
            Ok(8)
        }
    });
    let later = later.build().unwrap();
    assert_eq!(while_time_passes(&hand, || later.call_blocking(|_| Err("down"))), Ok(8));
    assert_eq!(later.handle().snapshot().counts.fallbacks, 1);
}
