//! A policy as data: files, and variables of the environment.

use std::time::Duration;

use updraft_resilience::adaptive::AdaptiveConfig;
use updraft_resilience::backoff::{Backoff, Jitter};
use updraft_resilience::breaker::{BreakerConfig, HalfOpen, OpenFor, Trip, Window};
use updraft_resilience::chaos::{ChaosConfig, LatencyFault};
use updraft_resilience::hedge::{HedgeAfter, HedgeConfig, Percentile};
use updraft_resilience::policy::{Policy, PolicyBuilder, PolicyConfig};
use updraft_resilience::rate_limit::RateLimitConfig;
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::shed::ShedConfig;
use updraft_resilience::throttle::ThrottleConfig;
use updraft_resilience::{Invalid, ManualClock};

use crate::rig::{ms, places, policy, tries};

fn set(policy: PolicyBuilder, variables: &[(&str, &str)]) -> Result<PolicyConfig, Invalid> {
    let owned = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Ok(policy.variables(owned)?.build()?.handle().config())
}

fn orders() -> PolicyBuilder {
    Policy::named("orders").retry(tries(3, 10)).deadline(ms(500))
}

#[test]
fn a_variable_sets_the_field_at_its_path() {
    let config = set(
        orders(),
        &[
            ("RESILIENCE_ORDERS_RETRY_ATTEMPTS", "5"),
            ("RESILIENCE_ORDERS_DEADLINE", "1m 30s"),
            ("RESILIENCE_ORDERS_IDEMPOTENT", "true"),
            ("RESILIENCE_ORDERS_RETRY_HINT_MAX", "7s"),
            ("RESILIENCE_ORDERS_RETRY_ELAPSED", "8s"),
            ("RESILIENCE_ORDERS_RETRY_BUDGET_SHARE", "0.5"),
            ("RESILIENCE_OTHERS_RETRY_ATTEMPTS", "no number"),
            ("RESILIENCE_ORDERSRETRY_ATTEMPTS", "no number"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    let retry = config.retry.unwrap();
    assert_eq!((retry.attempts, retry.hint_max), (5, Duration::from_secs(7)));
    assert_eq!(retry.elapsed, Some(Duration::from_secs(8)));
    assert_eq!(retry.backoff, Backoff::constant(ms(10)), "what is not named stays");
    assert_eq!(retry.budget.unwrap().share, 0.5);
    assert_eq!((config.deadline, config.idempotent), (Some(Duration::from_secs(90)), true));
}

#[test]
fn a_part_is_made_when_one_of_its_fields_is_named() {
    let config = set(
        Policy::named("the orders-api"),
        &[
            ("RESILIENCE_THE_ORDERS_API_BULKHEAD_MAX", "7"),
            ("RESILIENCE_THE_ORDERS_API_BREAKER_OPEN_FOR_FIRST", "2s"),
            ("RESILIENCE_THE_ORDERS_API_BREAKER_HALF_OPEN_PERMITS_CALLS", "3"),
            ("RESILIENCE_THE_ORDERS_API_RATE_LIMIT_CALLS", "50"),
            ("RESILIENCE_THE_ORDERS_API_CHAOS_LATENCY_ADD", "250ms"),
            ("RESILIENCE_THE_ORDERS_API_CHAOS_LATENCY_RATE", "0.25"),
            ("RESILIENCE_THE_ORDERS_API_RETRY_BACKOFF_EXPONENTIAL_FIRST", "20ms"),
            ("RESILIENCE_THE_ORDERS_API_ATTEMPT_TIMEOUT", "90ms"),
        ],
    )
    .unwrap();
    assert_eq!(config.bulkhead, Some(places(7, 0, 1000)));
    let breaker = config.breaker.unwrap();
    assert_eq!(breaker.open_for, OpenFor { first: Duration::from_secs(2), ..OpenFor::default() });
    assert_eq!(breaker.trips, BreakerConfig::default().trips);
    assert!(matches!(breaker.half_open, HalfOpen::Permits { calls: 3, .. }));
    assert_eq!(config.rate_limit.unwrap().calls, 50);
    let latency = config.chaos.unwrap().latency.unwrap();
    assert_eq!((latency.add, latency.rate), (ms(250), 0.25));
    let backoff = Backoff::exponential(ms(20), Duration::from_secs(10));
    assert_eq!(config.retry, Some(RetryConfig { backoff, ..RetryConfig::default() }));
    assert_eq!(config.attempt_timeout, Some(ms(90)));
    assert!(config.hedge.is_none() && config.shed.is_none() && config.adaptive.is_none());
}

#[test]
fn lists_choices_and_whole_parts_are_json() {
    let config = set(
        orders(),
        &[
            (
                "RESILIENCE_ORDERS_BREAKER_TRIPS",
                r#"[{"consecutive":{"failures":4}},{"failure_rate":{"at_least":0.3,"window":{"count":50}}}]"#,
            ),
            ("RESILIENCE_ORDERS_RETRY_BACKOFF", r#"{"linear":{"first":"1s","step":"2s"}}"#),
            ("RESILIENCE_ORDERS_HEDGE_AFTER", r#"{"fixed":"30ms"}"#),
            ("RESILIENCE_ORDERS_IDEMPOTENT", "true"),
            ("RESILIENCE_ORDERS_BULKHEAD", r#"{"max":3,"queue":4,"order":"lifo"}"#),
            ("RESILIENCE_ORDERS_RETRY_BUDGET", "false"),
        ],
    )
    .unwrap();
    let rate = Trip::failure_rate(0.3).over(Window::Count(50));
    assert_eq!(config.breaker.unwrap().trips, [Trip::consecutive(4), rate]);
    let retry = config.retry.unwrap();
    assert_eq!(retry.backoff, Backoff::linear(Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(retry.budget, None);
    assert_eq!(config.hedge.unwrap().after, HedgeAfter::Fixed(ms(30)));
    assert_eq!(config.bulkhead.unwrap().queue, 4);
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_the_names_of_the_variables() {
    let wrong = [
        ("RESILIENCE_ORDERS_RETRY_ATTEMPTS", "many"),
        ("RESILIENCE_ORDERS_RETRY_ATTEMPS", "3"),
        ("RESILIENCE_ORDERS_RETRY_ATTEMPTS_MORE", "3"),
        ("RESILIENCE_ORDERS_RETRY_HINT_MAX", "3 parsecs"),
        ("RESILIENCE_ORDERS_DEADLINE_", "3s"),
        ("RESILIENCE_ORDERS_IDEMPOTENT", "yes"),
        ("RESILIENCE_ORDERS_BULKHEAD_MAX", "-1"),
        ("RESILIENCE_ORDERS_BULKHEAD_QUEUE", "1.5"),
        ("RESILIENCE_ORDERS_BULKHEAD_ORDER", "random"),
        ("RESILIENCE_ORDERS_BREAKER_TRIPS", "consecutive"),
        ("RESILIENCE_ORDERS_", "3"),
        ("RESILIENCE_ORDERS_SHED_START", ""),
    ];
    let invalid = set(orders(), &wrong).unwrap_err();
    assert_eq!(invalid.problems().len(), wrong.len(), "{invalid}");
    for (variable, _) in wrong {
        let named = |it: &&String| it.starts_with(&format!("{variable}: "));
        assert_eq!(invalid.problems().iter().filter(named).count(), 1, "{variable}: {invalid}");
    }
    let known = invalid.problems().iter().find(|it| it.contains("ATTEMPS:")).unwrap();
    assert!(known.contains("HINT_MAX") && known.contains("ATTEMPTS"), "{known}");
}

#[test]
fn values_that_make_no_sense_are_found_when_the_policy_is_built() {
    let zero = [("RESILIENCE_ORDERS_RETRY_ATTEMPTS", "0"), ("RESILIENCE_ORDERS_BULKHEAD_MAX", "0")];
    assert_eq!(set(orders(), &zero).unwrap_err().problems().len(), 2);
}

#[test]
fn a_policy_that_is_no_data_is_left_alone_unless_a_variable_names_it() {
    let function = || {
        let backoff = Backoff::function(|_| ms(3));
        Policy::named("orders").retry(RetryConfig { backoff, ..tries(4, 0) })
    };
    let config = set(function(), &[("RESILIENCE_OTHER_DEADLINE", "1s")]).unwrap();
    assert_eq!(config.retry.unwrap().attempts, 4);
    let invalid = set(function(), &[("RESILIENCE_ORDERS_DEADLINE", "1s")]).unwrap_err();
    assert!(invalid.to_string().contains("RESILIENCE_ORDERS_"), "{invalid}");
}

fn everything() -> PolicyConfig {
    let latency = LatencyFault { rate: 0.1, add: ms(3), jitter: ms(2) };
    let percentile = Percentile { fallback: Some(ms(80)), ..Percentile::default() };
    let slow = Trip::slow_rate(0.8).slower_than(ms(800)).over(Window::Time(ms(9_500)));
    PolicyConfig {
        idempotent: true,
        shed: Some(ShedConfig::default()),
        deadline: Some(ms(2500)),
        hedge: Some(HedgeConfig {
            after: HedgeAfter::Percentile(percentile),
            ..HedgeConfig::default()
        }),
        retry: Some(RetryConfig {
            elapsed: Some(ms(1234)),
            backoff: Backoff::fibonacci(ms(10)).jitter(Jitter::Equal),
            ..RetryConfig::default()
        }),
        rate_limit: Some(RateLimitConfig::per_second(7).burst(3)),
        throttle: Some(ThrottleConfig::default()),
        breaker: Some(
            BreakerConfig::any_of([Trip::failure_rate(0.5), slow, Trip::consecutive(8)])
                .half_open(HalfOpen::ramp([0.01, 0.5])),
        ),
        bulkhead: Some(places(9, 9, 99)),
        adaptive: Some(AdaptiveConfig::default()),
        attempt_timeout: Some(Duration::from_nanos(1_000_001)),
        chaos: Some(ChaosConfig {
            enabled: false,
            seed: u64::MAX,
            latency: Some(latency),
            error_rate: 0.1,
            cancel_rate: 0.2,
            result_rate: 0.3,
        }),
    }
}

#[test]
fn a_configuration_survives_being_written_and_read() {
    for config in [everything(), PolicyConfig::default()] {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<PolicyConfig>(&text).unwrap(), config, "{text}");
        assert_eq!(
            policy(&ManualClock::new()).config(config.clone()).build().unwrap().handle().config(),
            config
        );
    }
    let partly = r#"{"deadline":"2s","retry":{"attempts":9},"breaker":{}}"#;
    let config: PolicyConfig = serde_json::from_str(partly).unwrap();
    assert_eq!(config.deadline, Some(Duration::from_secs(2)));
    assert_eq!(config.retry, Some(RetryConfig { attempts: 9, ..RetryConfig::default() }));
    assert_eq!(config.breaker, Some(BreakerConfig::default()));
    assert!(serde_json::from_str::<PolicyConfig>(r#"{"retries":3}"#).is_err());
    assert!(serde_json::from_str::<PolicyConfig>(r#"{"retry":{"attempt":3}}"#).is_err());
}

#[test]
fn a_configuration_is_read_from_toml() {
    let text = r#"
        deadline = "2s"
        idempotent = true

        [retry]
        attempts = 4
        budget = false
        backoff = { constant = { wait = "50ms" } }

        [breaker]
        trips = [{ consecutive = { failures = 5 } }]

        [bulkhead]
        max = 32
        queue = 8
        max_wait = "100ms"

        [hedge.after]
        fixed = "40ms"
    "#;
    let config: PolicyConfig = toml::from_str(text).unwrap();
    let expected = PolicyConfig {
        idempotent: true,
        deadline: Some(Duration::from_secs(2)),
        hedge: Some(HedgeConfig { after: HedgeAfter::Fixed(ms(40)), ..HedgeConfig::default() }),
        retry: Some(tries(4, 50)),
        breaker: Some(BreakerConfig::any_of([Trip::consecutive(5)])),
        bulkhead: Some(places(32, 8, 100)),
        ..PolicyConfig::default()
    };
    assert_eq!(config, expected);
    assert!(config.validate().is_ok());
}

#[test]
fn a_snapshot_can_be_written() {
    let policy = policy(&ManualClock::new()).config(everything()).build().unwrap();
    let snapshot = serde_json::to_value(policy.handle().snapshot()).unwrap();
    assert_eq!(snapshot["name"], "target");
    assert_eq!(snapshot["bulkhead"]["in_use"], 0);
    assert_eq!(snapshot["counts"]["retries"], 0);
}
