//! The tables of the guide and of the reference agree with the code.

use std::collections::BTreeSet;

const METRICS: &str = include_str!("../../../docs/reference/resilience-metrics.md");

/// The text between backticks or quotes that begins with `start`.
fn quoted<'a>(text: &'a str, quote: char, start: &str) -> BTreeSet<&'a str> {
    text.split(quote).filter(|part| part.starts_with(start) && !part.contains(' ')).collect()
}

#[test]
fn the_reference_lists_every_metric_and_no_other() {
    let source = include_str!("../src/policy/tally.rs");
    let names = quoted(source, '"', "resilience.");
    assert!(names.len() > 5);
    assert_eq!(quoted(METRICS, '`', "resilience."), names);
}

#[cfg(feature = "serde")]
mod with_data {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use updraft_resilience::Policy;
    use updraft_resilience::adaptive::AdaptiveConfig;
    use updraft_resilience::breaker::{BreakerConfig, Trip};
    use updraft_resilience::bulkhead::BulkheadConfig;
    use updraft_resilience::policy::PolicyConfig;
    use updraft_resilience::retry::RetryConfig;

    const GUIDE: &str = include_str!("../../../docs/guide/resilience.md");

    /// The variables of the table, such as `("RESILIENCE_ORDERS_DEADLINE", "2s")`.
    fn variables() -> Vec<(String, String)> {
        let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `RESILIENCE_ORDERS_"));
        let cells = rows.map(|row| row.split('`').next().unwrap_or_default());
        let pairs = cells.filter_map(|cell| cell.split_once('='));
        pairs.map(|(key, value)| (format!("RESILIENCE_ORDERS_{key}"), value.to_owned())).collect()
    }

    fn parts() -> PolicyConfig {
        PolicyConfig {
            retry: Some(RetryConfig::default()),
            breaker: Some(BreakerConfig::default()),
            bulkhead: Some(BulkheadConfig::default()),
            adaptive: Some(AdaptiveConfig::default()),
            ..PolicyConfig::default()
        }
    }

    #[test]
    fn every_variable_of_the_guide_changes_something() {
        let variables = variables();
        assert!(variables.len() > 10, "{variables:?}");
        for variable in variables {
            let policy = Policy::named("orders").config(parts()).variables([variable.clone()]);
            let policy = policy.unwrap_or_else(|invalid| panic!("{variable:?}: {invalid}"));
            let policy = policy.build().unwrap();
            assert_ne!(policy.handle().config(), parts(), "{variable:?}");
        }
    }

    fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                paths(value, &below, found);
            }),
            _ => drop(found.insert(path.to_owned())),
        }
    }

    #[test]
    fn the_reference_lists_every_field_of_a_snapshot() {
        let trips = [Trip::consecutive(1), Trip::failure_rate(0.5)];
        let config = PolicyConfig { breaker: Some(BreakerConfig::any_of(trips)), ..parts() };
        let policy = Policy::named("fields").config(config).build().unwrap();
        let snapshot = serde_json::to_value(policy.handle().snapshot()).unwrap();
        let mut found = BTreeSet::new();
        paths(&snapshot, "", &mut found);
        let page = super::METRICS;
        let missing: Vec<_> =
            found.iter().filter(|path| !page.contains(&format!("`{path}`"))).collect();
        assert!(missing.is_empty(), "not on the page: {missing:?}");
    }
}
