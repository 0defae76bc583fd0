//! Whatever the configuration, the target and the moment at which the caller leaves: the
//! bounds hold, and nothing is left behind.

use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use updraft_resilience::breaker::State;
use updraft_resilience::hedge::{HedgeAfter, HedgeConfig};
use updraft_resilience::policy::{Attempt, PolicyConfig};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Error, ManualClock, Rejection, Scope};

use crate::rig::{Answer, Driven, Log, after_failures, ms, places, policy, to_next_timer, tries};

fn span(most: u64) -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((1..most).prop_map(ms))
}

prop_compose! {
    fn any_config()(
        deadline in span(300),
        attempt_timeout in span(60),
        retry in proptest::option::of((1_u32..5, 0_u64..50)),
        hedge in proptest::option::of((0_u64..40, 1_u32..4)),
        bulkhead in proptest::option::of((1_u32..3, 0_u32..3, 1_u64..80)),
        breaker in proptest::option::of(1_u32..6),
    ) -> PolicyConfig {
        PolicyConfig {
            idempotent: true,
            deadline,
            attempt_timeout,
            retry: retry.map(|(attempts, wait)| tries(attempts, wait)),
            hedge: hedge.map(|(after, max)| HedgeConfig {
                after: HedgeAfter::Fixed(ms(after)),
                max,
                budget_share: f64::from(max),
                budget_burst: 9,
            }),
            bulkhead: bulkhead.map(|(max, queue, wait)| places(max, queue, wait)),
            breaker: breaker.map(after_failures),
            ..PolicyConfig::default()
        }
    }
}

/// How long each attempt takes, and whether it succeeds.
type Target = Vec<(u64, bool)>;

fn operation(
    log: &Log,
    hand: &ManualClock,
    target: &Target,
) -> impl FnMut(Attempt) -> Answer<u32, u32> + use<> {
    let (log, hand, target) = (log.clone(), hand.clone(), target.clone());
    move |attempt| {
        let (takes, succeeds) = target[log.count() % target.len()];
        log.note(attempt);
        let clock = hand.clock();
        let end = clock.now() + ms(takes);
        Box::pin(async move {
            clock.sleep_until(end).await;
            if succeeds { Ok(1) } else { Err(2) }
        })
    }
}

fn attempts_at_most(config: &PolicyConfig) -> usize {
    let rows = 1 + config.hedge.map_or(0, |hedge| hedge.max);
    let each = config.retry.as_ref().map_or(1, |RetryConfig { attempts, .. }| *attempts);
    usize::try_from(rows * each).unwrap()
}

proptest! {
    #[test]
    fn a_call_keeps_its_bounds_and_leaves_nothing_behind(
        config in any_config(),
        target in proptest::collection::vec((0_u64..90, any::<bool>()), 1..6),
        leaves_after in proptest::option::of(0_usize..30),
        busy in any::<bool>(),
    ) {
        let hand = ManualClock::new();
        let policy = policy(&hand).config(config.clone()).build().unwrap();
        let handle = policy.handle();
        // Another caller takes a place, and goes halfway.
        let other_log = Log::new(&hand);
        let mut other = busy.then(|| {
            let mut other = Driven::new(policy.call(operation(&other_log, &hand, &vec![(35, true)])));
            let _ = other.run();
            other
        });
        let log = Log::new(&hand);
        let mut call = Driven::new(policy.call(operation(&log, &hand, &target)));
        let mut outcome = None;
        for step in 0.. {
            if leaves_after == Some(step) {
                break;
            }
            prop_assert!(step < 2000, "it never ends");
            if other.as_mut().is_some_and(|it| it.is_woken() && it.run().is_ready()) {
                other = None;
            }
            match call.poll_if_woken() {
                Some(Poll::Ready(ended)) => {
                    outcome = Some(ended);
                    break;
                }
                Some(Poll::Pending) => {}
                None => to_next_timer(&hand),
            }
        }
        if let (Some(_), Some(deadline)) = (&outcome, config.deadline) {
            prop_assert!(log.passed() <= deadline, "{:?} of {deadline:?}", log.passed());
        }
        drop((call, other));
        prop_assert!(log.count() <= attempts_at_most(&config));
        if let Some(bulkhead) = handle.bulkhead() {
            prop_assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
        }
        match outcome {
            Some(Err(Error::Rejected(rejection))) => {
                let has_its_part = match rejection {
                    Rejection::Full => config.bulkhead.is_some(),
                    Rejection::Open { .. } => config.breaker.is_some(),
                    Rejection::Deadline(Scope::Total) => config.deadline == Some(log.passed()),
                    Rejection::Deadline(Scope::Attempt) => config.attempt_timeout.is_some(),
                    _ => false,
                };
                prop_assert!(has_its_part, "{rejection:?} after {:?}", log.passed());
            }
            Some(Ok(value)) => prop_assert_eq!(value, 1),
            Some(Err(Error::Inner(error))) => prop_assert_eq!(error, 2),
            None => {}
        }
        // Whatever happened, a healthy target is called again in the end.
        if let Some(breaker) = handle.breaker() {
            hand.advance(Duration::from_secs(600));
            let mut next = Driven::new(policy.call(async |_: Attempt| Ok::<u32, u32>(1)));
            prop_assert_eq!(next.run(), Poll::Ready(Ok(1)));
            prop_assert_eq!(breaker.state(hand.now()), State::Closed);
        }
        prop_assert_eq!(hand.next_deadline().filter(|it| *it <= hand.now()), None);
    }
}
