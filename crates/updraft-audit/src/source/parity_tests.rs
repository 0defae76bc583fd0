//! Manifests as people write them, and what is attached beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::source::trees::Folder;
use crate::verdict::Verdict;

const MANIFEST: &str = r#"
system = "shop"

[resource]
db = { kind = "sql" }
files = { kind = "blob" }
store = { kind = "postgres" }

[service.orders]
path = "orders"
run = "true"
needs = ["db", "files", "store"]

[service.orders.config]
GREETING = { type = "string", default = "hello" }

[service.plain]
path = "plain"
run = "true"
"#;

fn tree(service: &str, attached: &[(&str, &str)]) -> Tree {
    let (system, problems) = match updraft_system::parse_manifest(MANIFEST) {
        Ok(system) => (Some(system), Vec::new()),
        Err(problems) => (None, problems),
    };
    let system = system.unwrap_or_else(|| panic!("{problems:?}"));
    let attached: BTreeMap<_, _> = attached
        .iter()
        .map(|(name, scheme)| (name.parse().unwrap(), (*scheme).to_owned()))
        .collect();
    let service = service.parse().unwrap();
    let (system, deploys) = (Arc::new(system), Arc::new(Ok(Vec::new())));
    let declared = Declared { system, service, attached, deploys };
    Folder::with(&[]).tree().declared(declared)
}

#[test]
fn another_kind_than_the_embedded_one_is_a_warning_that_names_both() {
    type Attached = &'static [(&'static str, &'static str)];
    let cases: &[(&str, Attached, Verdict)] = &[
        ("orders", &[], Verdict::NotApplicable),
        ("orders", &[("db", "sqlite")], Verdict::NotApplicable),
        ("orders", &[("db", "postgresql")], Verdict::Warn),
        ("orders", &[("files", "s3")], Verdict::Warn),
        ("orders", &[("files", "file")], Verdict::NotApplicable),
        ("orders", &[("store", "postgresql")], Verdict::NotApplicable),
        ("plain", &[("db", "postgresql")], Verdict::NotApplicable),
    ];
    for (service, attached, verdict) in cases {
        let seen = kinds(&tree(service, attached));
        assert_eq!(seen.verdict, *verdict, "{service} {attached:?}: {seen:?}");
    }
    let seen = kinds(&tree("orders", &[("db", "postgresql")]));
    assert!(
        seen.evidence.contains("SQLite") && seen.evidence.contains("`postgresql:`"),
        "{seen:?}"
    );
}

#[test]
fn a_server_of_any_version_is_named() {
    let seen = kinds(&tree("orders", &[]));
    assert!(seen.evidence.contains("store"), "{seen:?}");
}

#[test]
fn nothing_is_passed_that_could_not_be_compared() {
    let bare = Folder::with(&[]).tree();
    let seen = kinds(&bare);
    assert_eq!(seen.verdict, Verdict::Unknown, "{seen:?}");
}
