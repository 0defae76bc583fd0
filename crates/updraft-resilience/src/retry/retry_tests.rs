//! The laws of the decision: what stops it, and what no wait may do.

use proptest::prelude::*;

use super::*;
use crate::backoff::Jitter;

const START: Instant = Instant::from_nanos(1_000_000_000_000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn plain() -> RetryConfig {
    RetryConfig {
        attempts: 10,
        backoff: Backoff::exponential(ms(100), ms(1000)).jitter(Jitter::None),
        ..RetryConfig::default()
    }
}

fn after(retry: &mut Retry, config: &RetryConfig, verdict: Verdict) -> Next {
    retry.after(config, verdict, START, None, &mut fastrand::Rng::with_seed(1))
}

#[test]
fn only_what_is_safe_is_tried_again() {
    let table = [
        (Verdict::Success, false),
        (Verdict::Fail, false),
        (Verdict::Ignore, false),
        (Verdict::Retry, true),
        (Verdict::Throttled(None), true),
        (Verdict::Throttled(Some(ms(1))), true),
    ];
    for (verdict, again) in table {
        let next = after(&mut Retry::begin(START), &plain(), verdict);
        assert_eq!(matches!(next, Next::Retry { attempt: 2, .. }), again, "{verdict:?}: {next:?}");
        assert_eq!(next == Next::Stop(StopReason::NotRetryable), !again, "{verdict:?}");
    }
}

#[test]
fn one_attempt_is_no_retry() {
    let config = RetryConfig { attempts: 1, ..plain() };
    let next = after(&mut Retry::begin(START), &config, Verdict::Retry);
    assert_eq!(next, Next::Stop(StopReason::Attempts));
}

#[test]
fn the_hint_of_a_server_replaces_the_wait_up_to_its_cap() {
    let hint = |hint_max, hint| {
        let config = RetryConfig { hint_max, ..plain() };
        match after(&mut Retry::begin(START), &config, Verdict::Throttled(hint)) {
            Next::Retry { wait, .. } => wait,
            Next::Stop(reason) => panic!("stopped: {reason:?}"),
        }
    };
    assert_eq!(hint(ms(5000), Some(ms(2000))), ms(2000));
    assert_eq!(hint(ms(5000), Some(ms(0))), ms(0));
    assert_eq!(hint(ms(5000), Some(Duration::MAX)), ms(5000));
    assert_eq!(hint(ms(5000), None), ms(100), "without a hint the backoff holds");
    assert_eq!(hint(ms(0), Some(ms(2000))), ms(100), "hints are ignored");
}

#[test]
fn the_backoff_grows_with_the_attempts_through_hints() {
    let (mut retry, config) = (Retry::begin(START), plain());
    let mut waits = Vec::new();
    for verdict in [Verdict::Retry, Verdict::Throttled(Some(ms(7))), Verdict::Retry] {
        match after(&mut retry, &config, verdict) {
            Next::Retry { wait, .. } => waits.push(wait),
            Next::Stop(reason) => panic!("stopped: {reason:?}"),
        }
    }
    assert_eq!(waits, [ms(100), ms(7), ms(400)]);
    assert_eq!(retry.attempts(), 3);
}

#[test]
fn a_wait_that_would_reach_the_deadline_stops_at_once() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut decide = |left, verdict| {
        Retry::begin(START).after(&plain(), verdict, START, Some(START + left), &mut random)
    };
    let stop = Next::Stop(StopReason::Deadline);
    assert_eq!(decide(ms(100), Verdict::Retry), stop, "no time would be left for the attempt");
    assert_eq!(decide(ms(101), Verdict::Retry), Next::Retry { wait: ms(100), attempt: 2 });
    assert_eq!(decide(ms(1999), Verdict::Throttled(Some(ms(2000)))), stop);
    assert_eq!(decide(ms(0), Verdict::Throttled(Some(ms(0)))), stop);
}

#[test]
fn time_spent_in_attempts_and_waits_counts_against_elapsed() {
    let config = RetryConfig { elapsed: Some(ms(500)), ..plain() };
    let mut random = fastrand::Rng::with_seed(1);
    let mut decide = |spent| {
        let now = START + spent;
        Retry::begin(START).after(&config, Verdict::Retry, now, None, &mut random)
    };
    assert_eq!(decide(ms(399)), Next::Retry { wait: ms(100), attempt: 2 });
    assert_eq!(decide(ms(400)), Next::Stop(StopReason::Elapsed));
    assert_eq!(decide(ms(u64::MAX)), Next::Stop(StopReason::Elapsed));
}

#[test]
fn only_a_retry_is_paid_for() {
    let config = BudgetConfig { share: 0.5, per_second: 0.0, burst: 1 };
    let budget = Budget::new(config, START).unwrap();
    let stop = Next::Stop(StopReason::Attempts);
    let retry = Next::Retry { wait: ms(1), attempt: 2 };
    assert_eq!(stop.paid_from(Some(&budget), START), stop);
    assert_eq!(retry.paid_from(Some(&budget), START), retry, "the stop has cost nothing");
    assert_eq!(retry.paid_from(Some(&budget), START), Next::Stop(StopReason::Budget));
    assert_eq!(retry.paid_from(None, START), retry);
}

#[test]
fn every_bad_field_is_found() {
    let config = RetryConfig {
        attempts: 0,
        elapsed: Some(ms(0)),
        backoff: Backoff::exponential(ms(1), ms(2)).factor(f64::NAN),
        budget: Some(BudgetConfig { share: -1.0, per_second: f64::INFINITY, burst: 0 }),
        hint_max: ms(0),
    };
    let invalid = config.validate().unwrap_err();
    let fields: Vec<_> =
        invalid.problems().iter().map(|problem| problem.split(' ').next().unwrap()).collect();
    let expected = [
        "attempts",
        "elapsed",
        "backoff.factor",
        "budget.share",
        "budget.per_second",
        "budget.burst",
    ];
    assert_eq!(fields, expected);
    assert!(RetryConfig::default().validate().is_ok());
    assert!(RetryConfig { budget: None, ..RetryConfig::default() }.validate().is_ok());
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Retry),
        1 => Just(Verdict::Fail),
        1 => Just(Verdict::Throttled(None)),
        3 => any::<u64>().prop_map(|nanos| Verdict::Throttled(Some(Duration::from_nanos(nanos)))),
        3 => (0_u64..5_000).prop_map(|millis| Verdict::Throttled(Some(ms(millis)))),
    ]
}

proptest! {
    /// Whatever targets answer and however long attempts take: attempts are bounded and
    /// counted, and each begins before the deadline and before the time is over.
    #[test]
    fn no_attempt_begins_too_late_or_too_often(
        attempts in 1_u32..20,
        elapsed in proptest::option::of(1_u64..20_000),
        deadline in proptest::option::of(0_u64..20_000),
        hint_max in 0_u64..10_000,
        jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Decorrelated)],
        course in proptest::collection::vec((any_verdict(), 0_u64..2_000), 1..30),
        seed in any::<u64>(),
    ) {
        let config = RetryConfig {
            attempts,
            elapsed: elapsed.map(ms),
            backoff: Backoff::exponential(ms(10), ms(3000)).jitter(jitter),
            hint_max: ms(hint_max),
            ..RetryConfig::default()
        };
        let deadline = deadline.map(|millis| START + ms(millis));
        let mut random = fastrand::Rng::with_seed(seed);
        let mut now = START;
        let mut retry = Retry::begin(now);
        for (made, (verdict, took)) in (1..).zip(course) {
            now = now + ms(took);
            prop_assert!(made <= attempts);
            match retry.after(&config, verdict, now, deadline, &mut random) {
                Next::Stop(_) => break,
                Next::Retry { wait, attempt } => {
                    now = now + wait;
                    prop_assert_eq!(attempt, made + 1);
                    prop_assert!(verdict.is_retryable());
                    prop_assert!(wait <= ms(hint_max.max(3000)));
                    prop_assert!(deadline.is_none_or(|deadline| now < deadline));
                    prop_assert!(elapsed.is_none_or(|elapsed| now < START + ms(elapsed)));
                }
            }
        }
    }

    /// It never stops for time while there would have been time for the longest wait.
    #[test]
    fn it_does_not_stop_early(took in 0_u64..5_000, spare in 1_u64..5_000) {
        let wait = 100;
        let config = RetryConfig { elapsed: Some(ms(took + wait + spare)), ..plain() };
        let (now, end) = (START + ms(took), START + ms(took + wait + spare));
        let mut random = fastrand::Rng::with_seed(1);
        let next = Retry::begin(START).after(&config, Verdict::Retry, now, Some(end), &mut random);
        prop_assert_eq!(next, Next::Retry { wait: ms(wait), attempt: 2 });
    }
}

/// Read from values in memory; one kind of value in each.
#[cfg(feature = "serde")]
mod data {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};

    use super::*;

    fn read<'de, T: IntoDeserializer<'de, Error>>(
        field: &'static str,
        value: T,
    ) -> Result<RetryConfig, Error> {
        RetryConfig::deserialize(MapDeserializer::new([(field, value)].into_iter()))
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let config = read("attempts", 7_u32).unwrap();
        assert_eq!(config, RetryConfig { attempts: 7, ..RetryConfig::default() });
        let config = read("hint_max", "1m 30s").unwrap();
        assert_eq!(config.hint_max, ms(90_000));
    }

    #[test]
    fn a_budget_can_be_switched_off_as_data() {
        assert_eq!(read("budget", false).unwrap().budget, None);
        assert_eq!(read("budget", ()).unwrap().budget, None);
        assert_eq!(read("budget", true).unwrap().budget, Some(BudgetConfig::default()));
        assert!(read("budget", 3_u32).unwrap_err().to_string().contains("`false` for none"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(read("attempt", 7_u32).unwrap_err().to_string().contains("`attempts`"));
    }
}
