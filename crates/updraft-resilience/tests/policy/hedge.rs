//! Another attempt beside a slow one: when, how many, and who wins.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use updraft_resilience::hedge::{HedgeAfter, HedgeConfig, Percentile};
use updraft_resilience::policy::{Attempt, CallOptions, PolicyBuilder};
use updraft_resilience::{Error, ManualClock, Rejection, Scope, Verdict};

use crate::rig::{Answer, Driven, Log, finish, ms, places, policy, to_next_timer, tries};

fn hedge(after: u64, max: u32) -> HedgeConfig {
    let budget_share = f64::from(max);
    HedgeConfig { after: HedgeAfter::Fixed(ms(after)), max, budget_share, budget_burst: 100 }
}

fn hedged(hand: &ManualClock, config: HedgeConfig) -> PolicyBuilder {
    policy(hand).idempotent().hedge(config)
}

/// Takes so long, by the order of the start, to give that.
type Script = &'static [(u64, Result<u32, &'static str>)];

/// An operation whose attempts end as the script says; counts those that are still there.
fn scripted(
    log: &Log,
    hand: &ManualClock,
    script: Script,
) -> impl FnMut(Attempt) -> Answer<u32, &'static str> {
    let (log, hand) = (log.clone(), hand.clone());
    move |attempt| {
        let (span, outcome) = script[log.count()];
        log.note(attempt);
        let clock = hand.clock();
        let end = clock.now() + ms(span);
        Box::pin(async move {
            clock.sleep_until(end).await;
            outcome
        })
    }
}

#[test]
fn a_slow_attempt_gets_another_one_beside_it_and_the_first_answer_wins() {
    let cases: [(Script, _, u128, &[u128]); 7] = [
        (&[(50, Ok(1))], Ok(1), 50, &[0]),
        (&[(300, Ok(1)), (30, Ok(2))], Ok(2), 130, &[0, 100]),
        (&[(120, Ok(1)), (30, Ok(2))], Ok(1), 120, &[0, 100]),
        // Neither failure ends it while the other one runs.
        (&[(120, Err("a")), (90, Ok(2))], Ok(2), 190, &[0, 100]),
        (&[(300, Ok(1)), (30, Err("b"))], Ok(1), 300, &[0, 100]),
        (&[(120, Err("a")), (90, Err("b"))], Err("b"), 190, &[0, 100]),
        (&[(300, Err("a")), (30, Err("b"))], Err("a"), 300, &[0, 100]),
    ];
    for (script, outcome, took, starts) in cases {
        let hand = ManualClock::new();
        let policy = hedged(&hand, hedge(100, 1)).build().unwrap();
        let log = Log::new(&hand);
        let result = finish(&hand, policy.call(scripted(&log, &hand, script)));
        assert_eq!(result, outcome.map_err(Error::Inner), "{script:?}");
        assert_eq!((log.passed().as_millis(), &*log.starts()), (took, starts), "{script:?}");
        let counts = policy.handle().snapshot().counts;
        assert_eq!(counts.hedges, starts.len() as u64 - 1);
        assert_eq!(counts.hedges_won, u64::from(result == Ok(2)), "{script:?}");
        let flags: Vec<_> = log.attempts().iter().map(|it| it.is_hedge()).collect();
        assert_eq!(flags, [false, true][..starts.len()]);
    }
}

#[test]
fn the_loser_is_dropped_at_once() {
    for first_wins in [true, false] {
        let hand = ManualClock::new();
        let policy = hedged(&hand, hedge(10, 1)).bulkhead(places(9, 0, 0)).build().unwrap();
        let running = Rc::new(Cell::new(0));
        struct Running(Rc<Cell<i32>>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let mut call = Driven::new(policy.call(|attempt: Attempt| {
            running.set(running.get() + 1);
            let running = Running(Rc::clone(&running));
            let (clock, end) = (hand.clock(), hand.now() + ms(50));
            async move {
                let _running = running;
                if attempt.is_hedge() == first_wins {
                    std::future::pending::<()>().await;
                }
                clock.sleep_until(end).await;
                Ok::<_, &str>(1)
            }
        }));
        assert!(call.run().is_pending());
        hand.advance(ms(10));
        assert!(call.run().is_pending());
        assert_eq!((running.get(), policy.handle().bulkhead().unwrap().in_use()), (2, 2));
        assert_eq!(call.finish(&hand), Ok(1));
        // The call itself is still there.
        assert_eq!((running.get(), policy.handle().bulkhead().unwrap().in_use()), (0, 0));
    }
}

#[test]
fn the_budget_refuses_the_extra_attempt_and_leaves_the_running_one_alone() {
    let hand = ManualClock::new();
    let config = HedgeConfig { budget_share: 0.0, budget_burst: 2, ..hedge(10, 1) };
    let policy = hedged(&hand, config).build().unwrap();
    let log = Log::new(&hand);
    for _ in 0..5 {
        assert_eq!(finish(&hand, policy.call(log.taking(ms(30), |_| Ok::<_, &str>(1)))), Ok(1));
    }
    assert_eq!(log.count(), 5 + 2);
    assert_eq!(policy.handle().hedge().unwrap().snapshot(hand.now()).refused, 3);
}

#[test]
fn a_call_that_may_run_once_is_neither_hedged_nor_tried_again() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(10, 3)).retry(tries(5, 10)).build().unwrap();
    let log = Log::new(&hand);
    let slow = log.taking(ms(50), |_| Err::<u32, _>("down"));
    let outcome = finish(&hand, policy.call_with(CallOptions::new().once(), slow));
    assert_eq!((outcome, log.starts()), (Err(Error::Inner("down")), vec![0]));
}

#[test]
fn hedges_start_one_after_the_other_up_to_their_number() {
    for (after, starts) in [(10, vec![0, 10, 20, 30]), (0, vec![0, 0, 0, 0])] {
        let hand = ManualClock::new();
        let policy = hedged(&hand, hedge(after, 3)).deadline(ms(1000)).build().unwrap();
        let log = Log::new(&hand);
        let outcome = finish(&hand, policy.call(log.hanging()));
        assert_eq!(outcome, Err(Error::Rejected(Rejection::Deadline(Scope::Total))));
        assert_eq!(log.starts(), starts);
    }
}

#[test]
fn each_row_tries_again_and_the_number_of_attempts_is_bounded() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(10, 2)).retry(tries(3, 5)).build().unwrap();
    let log = Log::new(&hand);
    let outcome = finish(&hand, policy.call(log.taking(ms(40), |_| Err::<u32, _>("down"))));
    assert_eq!(outcome, Err(Error::Inner("down")));
    let attempts = log.attempts();
    assert_eq!(attempts.len(), (1 + 2) * 3);
    assert_eq!(attempts.iter().filter(|it| it.is_hedge()).count(), 6);
    assert!(attempts.iter().all(|it| it.number() <= 3));
}

#[test]
fn waiting_for_a_place_or_a_retry_is_not_hedged() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(30, 1))
        .bulkhead(places(1, 9, 9000))
        .retry(tries(2, 200))
        .build()
        .unwrap();
    let log = Log::new(&hand);
    let mut first = Driven::new(policy.call(log.taking(ms(25), |_| Err::<u32, _>("down"))));
    assert!(first.run().is_pending());
    let mut queued = Driven::new(policy.call(log.taking(ms(25), |_| Ok::<_, &str>(1))));
    assert!(queued.run().is_pending());
    hand.advance(ms(25));
    assert!(first.run().is_pending());
    assert_eq!(queued.finish(&hand), Ok(1));
    assert_eq!(first.finish(&hand), Err(Error::Inner("down")));
    assert_eq!(log.starts(), [0, 25, 225]);
    assert_eq!(policy.handle().snapshot().counts.hedges, 0);
}

#[test]
fn the_time_before_a_hedge_is_that_of_the_attempt() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(100, 1)).retry(tries(2, 70)).build().unwrap();
    let log = Log::new(&hand);
    // Fails at 60, tries again at 130; that attempt is slow at 230.
    let script: Script = &[(60, Err("a")), (500, Ok(1)), (20, Ok(2))];
    assert_eq!(finish(&hand, policy.call(scripted(&log, &hand, script))), Ok(2));
    assert_eq!(log.starts(), [0, 130, 230]);
}

#[test]
fn a_refused_hedge_does_not_end_the_attempt_that_runs() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(10, 1)).bulkhead(places(1, 0, 0)).build().unwrap();
    let log = Log::new(&hand);
    assert_eq!(finish(&hand, policy.call(log.taking(ms(50), |_| Ok::<_, &str>(1)))), Ok(1));
    assert_eq!(
        finish(&hand, policy.call(log.taking(ms(50), |_| Err::<u32, _>("a")))),
        Err(Error::Inner("a"))
    );
    assert_eq!(log.count(), 2);
}

#[test]
fn a_value_that_is_a_failure_does_not_win() {
    let hand = ManualClock::new();
    let policy = hedged(&hand, hedge(10, 1))
        .classify(|outcome: Result<&u32, &&'static str>| match outcome {
            Ok(503) | Err(_) => Verdict::Fail,
            Ok(_) => Verdict::Success,
        })
        .build()
        .unwrap();
    let cases: [(Script, u32); 3] = [
        (&[(20, Ok(503)), (40, Ok(200))], 200),
        (&[(60, Ok(200)), (20, Ok(503))], 200),
        (&[(20, Ok(503)), (40, Ok(503))], 503),
    ];
    for (script, value) in cases {
        let log = Log::new(&hand);
        assert_eq!(finish(&hand, policy.call(scripted(&log, &hand, script))), Ok(value));
    }
    assert_eq!(policy.handle().snapshot().counts.hedges_won, 1);
}

#[test]
fn the_losers_time_counts_so_that_the_percentile_does_not_sink() {
    let hand = ManualClock::new();
    let percentile = Percentile {
        quantile: 0.5,
        min_samples: 1,
        fallback: Some(ms(100)),
        window: Duration::from_secs(3600),
        ..Percentile::default()
    };
    let config = HedgeConfig { after: HedgeAfter::Percentile(percentile), ..hedge(0, 1) };
    let policy = hedged(&hand, config).build().unwrap();
    for _ in 0..20 {
        // The first hangs, the second answers at once: only losers could tell.
        let mut call = Driven::new(policy.call(|attempt: Attempt| async move {
            if !attempt.is_hedge() {
                std::future::pending::<()>().await;
            }
            Ok::<_, &str>(1)
        }));
        while call.run().is_pending() {
            to_next_timer(&hand);
        }
    }
    let snapshot = policy.handle().hedge().unwrap().snapshot(hand.now());
    assert_eq!(snapshot.samples, 20);
    assert!(snapshot.delay.unwrap() >= ms(90), "{snapshot:?}");
}
