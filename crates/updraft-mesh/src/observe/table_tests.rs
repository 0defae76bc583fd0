//! The table of metrics keeps the conventions, and makes the page of the reference.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::observe::exposition::BOUNDS;
use crate::observe::{CodeClass, Limit, NoProxyHeader, Refused, RetryReason, Unrouted};

/// The page of the reference.
fn reference() -> String {
    let mut page = String::from(
        "# Metrics of a gateway

<!-- Made from crates/updraft-mesh/src/observe/table.rs: \
`UPDATE_DOCS=1 cargo nextest run -p updraft-mesh reference` writes it anew. -->

`GET /metrics` of a gateway's admin address answers in OpenMetrics 1.0 when it is asked to, else
in the Prometheus text format 0.0.4. Both have the same series.

Every label comes from the configuration or from a list below, so clients cannot add series.
Operations of an edge that had no request yet have no series. A call between two gateways is
counted by both: `updraft_mesh_edge_info` tells by `side` which of them is the client's.

| metric | type | labels | |
|---|---|---|---|
",
    );
    for family in FAMILIES {
        let (suffix, kind) = match family.kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
            Kind::Info => ("_info", "gauge"),
        };
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!(
            "| `{}{suffix}` | {kind} | {} | {} |\n",
            family.name,
            labels.join(", "),
            family.help
        ));
    }
    let bounds: Vec<&str> = BOUNDS.iter().map(|(_, text)| *text).collect();
    let list = |names: Vec<&str>| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    page.push_str("\n## Values of labels\n\n| label | values |\n|---|---|\n");
    let rows = [
        ("`code_class`", list(CodeClass::ALL.iter().map(|class| class.as_str()).collect())),
        ("`reason` of refusals", list(Refused::ALL.iter().map(|reason| reason.as_str()).collect())),
        (
            "`reason` of retries",
            list(RetryReason::ALL.iter().map(|reason| reason.as_str()).collect()),
        ),
        (
            "`reason` of PROXY headers",
            list(NoProxyHeader::ALL.iter().map(|why| why.as_str()).collect()),
        ),
        ("`reason` of unrouted", list(Unrouted::ALL.iter().map(|why| why.as_str()).collect())),
        ("`limit`", list(Limit::ALL.iter().map(|limit| limit.as_str()).collect())),
        ("`operation`", "method and path template of the configuration, or `other`".to_owned()),
        ("`direction`", "`to_endpoint`, `to_caller`".to_owned()),
        ("`state`", "`closed`, `open`, `half_open`".to_owned()),
        ("`side`", "`client`, `server`".to_owned()),
    ];
    for (label, values) in rows {
        page.push_str(&format!("| {label} | {values} |\n"));
    }
    page.push_str(&format!(
        "\nBoundaries of histograms, in seconds: {}. They are boundaries of the finer buckets\n\
         that requests are counted in, so what they tell is exact.\n",
        bounds.join(", ")
    ));
    page
}

#[test]
fn the_reference_in_the_repository_is_what_the_table_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/mesh-metrics.md");
    let made = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "{} is not what table.rs says; run the test with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for family in FAMILIES {
        let name = family.name;
        assert!(seen.insert(name), "{name} is there twice");
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(plain), "{name}");
        for reserved in ["_total", "_bucket", "_count", "_sum", "_info", "_created"] {
            assert!(!name.ends_with(reserved), "{name} ends in {reserved}");
        }
        if let Some(unit) = family.unit {
            assert!(name.ends_with(unit), "{name} has the unit {unit}");
        }
        for label in family.labels {
            assert!(label.chars().all(plain) && !label.starts_with("__"), "{name} {label}");
            assert!(*label != "le", "{name}");
        }
        assert!(family.help.ends_with('.'), "{name}");
        assert!(!family.help.contains(['\\', '\n', '"', '|']), "{name}");
    }
}
