//! The variables of a client.

use super::*;

const SPEC: FieldSpec = FieldSpec::new("ledger", "LEDGER", "LEDGER_URL", "The ledger");

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let mut config = Config::from_variables(owned);
    let url = ServiceUrl::parse("http://ledger").unwrap();
    let read = Settings::read(&mut config, &SPEC, url);
    match config.report() {
        Some(report) => {
            assert!(read.is_err());
            Err(report.to_string())
        }
        None => Ok(read.unwrap()),
    }
}

#[test]
fn the_policy_of_the_documentation_is_sound() {
    assert!(policy().validate().is_ok());
    assert_eq!(read(&[]).unwrap().policy, policy());
}

#[test]
fn variables_reach_every_part_of_the_policy() {
    let settings = read(&[
        ("LEDGER_TIMEOUT", "9s"),
        ("LEDGER_ATTEMPT_TIMEOUT", "3s"),
        ("LEDGER_RETRY_ATTEMPTS", "7"),
        ("LEDGER_RETRY_BUDGET_SHARE", "0.5"),
        ("LEDGER_BULKHEAD_MAX", "11"),
        ("LEDGER_BULKHEAD_QUEUE", "0"),
        ("LEDGER_BULKHEAD_MAX_WAIT", "2s"),
        ("LEDGER_BREAKER_OPEN_FOR_FIRST", "100ms"),
        ("LEDGER_RATE_LIMIT_CALLS", "5"),
        ("LEDGER_ANSWER_MOST", "1KiB"),
        ("LEDGER_PING", "/livez"),
        // What Kubernetes says of a service called ledger, and what belongs to others.
        ("LEDGER_PORT", "tcp://10.0.0.1:80"),
        ("LEDGER_SERVICE_HOST", "10.0.0.1"),
        ("OTHER_RETRY_ATTEMPTS", "x"),
    ]);
    let settings = match settings {
        Ok(settings) => settings,
        Err(report) => panic!("{report}"),
    };
    let policy = settings.policy;
    assert_eq!(policy.deadline, Some(Duration::from_secs(9)));
    assert_eq!(policy.attempt_timeout, Some(Duration::from_secs(3)));
    let retry = policy.retry.unwrap();
    assert_eq!((retry.attempts, retry.budget.unwrap().share), (7, 0.5));
    let bulkhead = policy.bulkhead.unwrap();
    assert_eq!((bulkhead.max, bulkhead.queue), (11, 0));
    assert_eq!(bulkhead.max_wait, Duration::from_secs(2));
    assert_eq!(policy.breaker.unwrap().open_for.first, Duration::from_millis(100));
    assert!(policy.rate_limit.is_some());
    assert_eq!(settings.answer_most, 1024);
    assert_eq!(settings.ping.as_deref(), Some("/livez"));
}

#[test]
fn every_wrong_variable_is_named_and_no_value_is() {
    let report = read(&[
        ("LEDGER_TIMEOUT", "canary"),
        ("LEDGER_RETRY_ATTEMPTS", "0"),
        ("LEDGER_PING", "canary"),
    ])
    .unwrap_err();
    for variable in ["LEDGER_TIMEOUT", "LEDGER_RETRY_ATTEMPTS", "LEDGER_PING"] {
        assert!(report.contains(variable), "{variable}: {report}");
    }
    let further = read(&[
        ("LEDGER_RETRY_CANARY", "5"),
        ("LEDGER_BREAKER_OPEN_FOR_FIRST", "canary"),
        ("LEDGER_BULKHEAD_MAX_WAIT", "0s"),
    ])
    .unwrap_err();
    for variable in
        ["LEDGER_RETRY_CANARY", "LEDGER_BREAKER_OPEN_FOR_FIRST", "LEDGER_BULKHEAD_MAX_WAIT"]
    {
        assert!(further.contains(variable), "{variable}: {further}");
    }
    assert!(!report.contains("canary") && !further.contains("canary"), "{report}{further}");
}
