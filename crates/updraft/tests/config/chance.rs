//! Environments that chance makes, given to the built service.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{Run, run};

/// Names that the service reads, and some that are nearly so.
const NAMES: [&str; 14] = [
    "OVERDUE_DAYS",
    "CURRENCY",
    "MAIL_KEY",
    "REGION",
    "DOCUMENT_SIZE",
    "PATIENCE",
    "REPORT_URL",
    "PRICING_URL",
    "LOG_LEVEL",
    "DRAIN_DELAY",
    "OVERDUEDAYS",
    "mail_key",
    "PRICING",
    "REGION_",
];

/// Some are sound for some; what may be a secret has the canary in it.
const VALUES: [&str; 8] = [
    "",
    "5",
    "EUR",
    "us-east",
    "canary",
    "https://canary:canary@host/?canary",
    "/dev/null/canary",
    "{\"canary\": \u{1b}[31m\n}",
];

/// The variables that a report names, in its order.
fn named(report: &str) -> Vec<&str> {
    let of_problem = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let lines = report.lines().filter(of_problem).filter(|line| !line.contains("nothing reads it"));
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

fn check(words: &[&str], variables: &[(String, &str)]) -> Run {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    run(words, &variables)
}

#[test]
fn no_environment_is_too_odd_to_be_judged() {
    let file = prop_oneof![3 => Just(""), 1 => Just("_FILE")];
    let variable =
        (prop::sample::select(NAMES.to_vec()), file, prop::sample::select(VALUES.to_vec()));
    let cases = prop::collection::btree_map(
        variable.clone().prop_map(|(name, file, _)| format!("{name}{file}")),
        variable.prop_map(|(_, _, value)| value),
        0..10,
    );
    let config =
        ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let law = |variables: std::collections::BTreeMap<String, &str>| {
        let variables: Vec<_> = variables.into_iter().collect();
        let checked = check(&["config", "check"], &variables);
        let explained = check(&["config", "explain", "--json"], &variables);
        let told = check(&["task", "tell"], &variables);
        let version = check(&["version", "--json"], &variables);
        let code = checked.code;
        let named = named(&checked.stderr);
        prop_assert_eq!(code, Some(if named.is_empty() { 0 } else { 78 }), "{:?}", checked);
        prop_assert!(explained.code == code && told.code == code, "{:?} {:?}", explained, told);
        let each: std::collections::BTreeSet<_> = named.iter().collect();
        prop_assert_eq!(each.len(), named.len(), "{:?}", checked);
        prop_assert_eq!(version.code, Some(0));
        prop_assert_eq!(version.json()["release"].is_null(), code == Some(78));
        prop_assert!(explained.json()["variables"].is_array());
        for run in [&checked, &explained, &told, &version] {
            let shown = format!("{}{}", run.stdout, run.stderr);
            prop_assert!(!shown.contains("canary") && !shown.contains('\u{1b}'), "{:?}", run);
        }
        Ok(())
    };
    TestRunner::new(config).run(&cases, law).unwrap();
}
