//! The reference of a gateway's configuration says what the types say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use serde_json::Value;
use updraft_system::mesh::{Calls, GatewayConfig, Limits};

const PAGE: &str = include_str!("../../../docs/reference/gateway.md");

#[test]
fn the_example_of_the_page_is_a_configuration() {
    let block = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = GatewayConfig::from_toml(block).unwrap();
    assert_eq!(config.edges.len(), 1);
    assert_eq!(config.clusters.len(), 2);
}

#[test]
fn every_key_of_the_types_is_on_the_page_with_its_default() {
    let limits = serde_json::to_value(Limits::default()).unwrap();
    let calls = serde_json::to_value(Calls::default()).unwrap();
    let mut missing = Vec::new();
    for (prefix, value) in [("", &limits), ("", &calls)] {
        rows(prefix, value, &mut missing);
    }
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    for (key, default) in [("attempt_timeout", "none"), ("rate", "none")] {
        assert!(PAGE.contains(&format!("| `{key}` | {default} |")), "{key}");
    }
}

/// The keys of a table, those of tables within with a dot.
fn rows(prefix: &str, value: &Value, missing: &mut Vec<String>) {
    for (key, value) in value.as_object().unwrap() {
        let key = format!("{prefix}{key}");
        let row = match value {
            Value::Object(_) => {
                rows(&format!("{key}."), value, missing);
                continue;
            }
            Value::String(text) => format!("| `{key}` | `{text}` |"),
            // The order of a set means nothing to a reader.
            Value::Array(_) => format!("| `{key}` | "),
            other => format!("| `{key}` | `{other}` |"),
        };
        if !PAGE.contains(&row) {
            missing.push(row);
        }
    }
}
