//! A whole page of metrics is read back by strict readers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use updraft_system::mesh::{BreakerState, EdgeSide, Protocol};

use super::super::table::{FAMILIES, Family, Kind};
use super::super::{OperationId, Outcome, Refused, RequestEnd, RetryReason};
use super::*;

const RULES: &[&str] = &["duplicate_host", "bare_line_feed"];

fn spec(from: &str, to: &str, operations: &[&str]) -> EdgeSpec {
    EdgeSpec {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        protocol: Protocol::Http1,
        side: EdgeSide::Client,
        operations: operations.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn request(edge: &Arc<EdgeMetrics>, operation: usize, outcome: Outcome, millis: u64) {
    edge.begin(OperationId::new(operation), Instant::now()).finish(&RequestEnd {
        outcome,
        duration: Duration::from_millis(millis),
        first_byte: Some(Duration::from_millis(millis)),
        request_bytes: 1,
        response_bytes: 2,
    });
}

fn endpoint(address: &str, incarnation: u64, requests: u64) -> EndpointReport {
    EndpointReport {
        address: address.parse().unwrap(),
        incarnation,
        version: None,
        weight: 1,
        active_requests: 1,
        latency_nanos: Some(1_500_000),
        breaker: if incarnation > 1 { BreakerState::Open } else { BreakerState::Closed },
        ejected: incarnation > 1,
        requests,
        failures: 1,
    }
}

fn two_endpoints(_: &EdgeMetrics) -> Vec<EndpointReport> {
    vec![
        endpoint("127.0.0.1:1", 2, 10),
        endpoint("127.0.0.1:2", 1, 7),
        endpoint("127.0.0.1:1", 1, 5),
    ]
}

/// A gateway that has seen something of everything.
fn busy() -> Registry {
    let registry = Registry::new(RULES);
    let specs = [
        spec("cart", "pricing", &["GET /quotes/{id}", "POST /say/\"hi\\"]),
        spec("ingress", "cart", &["GET /"]),
    ];
    let edges = registry.set_edges(7, &specs);
    for millis in [1, 3, 30, 70, 20_000] {
        request(&edges[0], 0, Outcome::Status(200), millis);
    }
    request(&edges[0], 1, Outcome::Status(503), 2);
    request(&edges[0], 9, Outcome::Refused(Refused::Open), 0);
    edges[0].retried(RetryReason::Connect);
    edges[0].undeclared();
    registry.set_config_refused(true);
    drop(edges[0].connection());
    edges[0].tunnel().to_caller(11);
    registry.rule_broken(1);
    registry.rule_broken(99);
    registry.limit_hit(Limit::HeadBytes);
    registry.proxy_header_refused(NoProxyHeader::Late);
    registry.unrouted(Unrouted::NoRoute);
    registry.span_counts().add_exported(4);
    registry.span_counts().add_unreachable(2);
    registry.log_dropped().fetch_add(6, Ordering::Relaxed);
    registry.set_certificates([("cart".parse().unwrap(), 1_900_000_000)].into());
    registry
}

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

/// One sample by the grammar, or a reason why it is none.
fn sample(line: &str) -> Sample {
    let name: String = line.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    let mut rest = &line[name.len()..];
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").expect(line);
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().expect(line) {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().expect(line).1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        other => panic!("`\\{other}` in {line}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice: {line}");
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').expect(line);
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    assert!(!value.contains(' '), "{line}");
    Sample { name, labels, value: value.parse().expect(line) }
}

fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["_total"],
        Kind::Gauge => &[""],
        Kind::Info => &["_info"],
        Kind::Histogram => &["_bucket", "_sum", "_count"],
    }
}

/// Reads a whole answer, and fails where it breaks the specification or the table.
fn read(text: &str, format: Format) -> Vec<Sample> {
    let open = format == Format::OpenMetrics;
    let body = if open { text.strip_suffix("# EOF\n").unwrap() } else { text };
    assert!(body.ends_with('\n') && !body.contains("\n\n") && !body.contains("# EOF"));
    let mut lines = body.lines().peekable();
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for family in FAMILIES {
        head(family, open, &mut lines);
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample(line);
            let suffix = sample.name.strip_prefix(family.name).expect(line);
            assert!(suffixes(family.kind).contains(&suffix), "{line}");
            let mut expected: BTreeSet<&str> = family.labels.iter().copied().collect();
            if suffix == "_bucket" {
                expected.insert("le");
            }
            let labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
            assert_eq!(labels, expected, "{line}");
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
            all.push(sample);
        }
    }
    assert_eq!(lines.next(), None, "more than the table has");
    all
}

fn head<'t>(family: &Family, open: bool, lines: &mut impl Iterator<Item = &'t str>) {
    let (name, kind) = match (family.kind, open) {
        (Kind::Counter, false) => (format!("{}_total", family.name), "counter"),
        (Kind::Counter, true) => (family.name.to_owned(), "counter"),
        (Kind::Gauge, _) => (family.name.to_owned(), "gauge"),
        (Kind::Histogram, _) => (family.name.to_owned(), "histogram"),
        (Kind::Info, false) => (format!("{}_info", family.name), "gauge"),
        (Kind::Info, true) => (family.name.to_owned(), "info"),
    };
    assert_eq!(lines.next(), Some(&*format!("# HELP {name} {}", family.help)));
    assert_eq!(lines.next(), Some(&*format!("# TYPE {name} {kind}")));
    if let (true, Some(unit)) = (open, family.unit) {
        assert_eq!(lines.next(), Some(&*format!("# UNIT {name} {unit}")));
    }
}

fn value(all: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let same = |sample: &&Sample| sample.name == name && sample.labels == labels;
    all.iter().find(same).unwrap_or_else(|| panic!("no {name} {labels:?}")).value
}

fn is(all: &[Sample], name: &str, labels: &[(&str, &str)], expected: f64) {
    let found = value(all, name, labels);
    assert!((found - expected).abs() < 1e-9, "{name} {labels:?} is {found}, not {expected}");
}

#[test]
fn both_formats_are_valid_and_have_the_same_series() {
    let registry = busy();
    let mut both = Vec::new();
    for format in [Format::Text, Format::OpenMetrics] {
        let all = read(&registry.render(format, &two_endpoints), format);
        let mut plain: Vec<_> = all
            .into_iter()
            .map(|mut sample| {
                if let Some(bound) = sample.labels.get_mut("le") {
                    *bound = bound.trim_end_matches(".0").to_owned();
                }
                format!("{sample:?}")
            })
            .collect();
        plain.sort();
        both.push(plain);
    }
    assert_eq!(both[0], both[1]);
}

#[test]
fn every_family_of_the_table_has_a_series_once_something_happened() {
    let all = read(&busy().render(Format::Text, &two_endpoints), Format::Text);
    for family in FAMILIES {
        let own = |sample: &Sample| sample.name.starts_with(family.name);
        assert!(all.iter().any(own), "{} has none", family.name);
    }
}

#[test]
fn numbers_are_those_that_were_counted() {
    let all = read(&busy().render(Format::OpenMetrics, &two_endpoints), Format::OpenMetrics);
    let edge = [("from", "cart"), ("to", "pricing"), ("side", "client")];
    let with = |more: &[(&'static str, &'static str)]| [&edge[..], more].concat();
    let quotes = "GET /quotes/{id}";
    let requests = "updraft_mesh_requests_total";
    is(&all, requests, &with(&[("operation", quotes), ("code_class", "2xx")]), 5.0);
    is(&all, requests, &with(&[("operation", quotes), ("code_class", "5xx")]), 0.0);
    is(&all, requests, &with(&[("operation", "POST /say/\"hi\\"), ("code_class", "5xx")]), 1.0);
    is(&all, requests, &with(&[("operation", "other"), ("code_class", "refused")]), 1.0);
    let bucket = "updraft_mesh_request_duration_seconds_bucket";
    for (bound, count) in [
        ("0.0005", 0.0),
        ("0.001", 1.0),
        ("0.0025", 1.0),
        ("0.005", 2.0),
        ("0.025", 2.0),
        ("0.05", 3.0),
        ("0.075", 4.0),
        ("10.0", 4.0),
        ("+Inf", 5.0),
    ] {
        is(&all, bucket, &with(&[("operation", quotes), ("le", bound)]), count);
    }
    let duration = "updraft_mesh_request_duration_seconds";
    is(&all, &format!("{duration}_count"), &with(&[("operation", quotes)]), 5.0);
    is(&all, &format!("{duration}_sum"), &with(&[("operation", quotes)]), 20.104);
    is(&all, "updraft_mesh_refusals_total", &with(&[("reason", "open")]), 1.0);
    is(&all, "updraft_mesh_retries_total", &with(&[("reason", "connect")]), 1.0);
    is(&all, "updraft_mesh_undeclared_requests_total", &edge, 1.0);
    is(&all, "updraft_mesh_active_requests", &edge, 0.0);
    is(&all, "updraft_mesh_connections_total", &edge, 1.0);
    is(&all, "updraft_mesh_open_connections", &edge, 0.0);
    is(&all, "updraft_mesh_tunnel_bytes_total", &with(&[("direction", "to_caller")]), 11.0);
    is(&all, "updraft_mesh_gate_rules_broken_total", &[("rule", "bare_line_feed")], 1.0);
    is(&all, "updraft_mesh_gate_rules_broken_total", &[("rule", "duplicate_host")], 0.0);
    is(&all, "updraft_mesh_limits_hit_total", &[("limit", "head_bytes")], 1.0);
    is(&all, "updraft_mesh_config_version", &[], 7.0);
    is(&all, "updraft_mesh_config_refused", &[], 1.0);
    is(&all, "updraft_mesh_spans_exported_total", &[], 4.0);
    is(&all, "updraft_mesh_spans_dropped_total", &[("reason", "unreachable")], 2.0);
    is(&all, "updraft_mesh_access_log_events_dropped_total", &[], 6.0);
    let certificate = "updraft_mesh_certificate_not_after_timestamp_seconds";
    is(&all, certificate, &[("service", "cart")], 1_900_000_000.0);
}

#[test]
fn two_lives_of_one_endpoint_are_one_series() {
    let all = read(&busy().render(Format::Text, &two_endpoints), Format::Text);
    let first =
        [("from", "cart"), ("to", "pricing"), ("side", "client"), ("endpoint", "127.0.0.1:1")];
    is(&all, "updraft_mesh_endpoint_requests_total", &first, 15.0);
    is(&all, "updraft_mesh_endpoint_failures_total", &first, 2.0);
    is(&all, "updraft_mesh_endpoint_active_requests", &first, 2.0);
    is(&all, "updraft_mesh_endpoint_ejected", &first, 1.0);
    is(&all, "updraft_mesh_endpoint_latency_seconds", &first, 0.0015);
    let state = "updraft_mesh_endpoint_breaker_state";
    is(&all, state, &[&first[..], &[("state", "open")]].concat(), 1.0);
    is(&all, state, &[&first[..], &[("state", "closed")]].concat(), 0.0);
}

#[test]
fn a_histogram_never_falls_and_ends_in_its_count() {
    let all = read(&busy().render(Format::OpenMetrics, &two_endpoints), Format::OpenMetrics);
    let mut last: BTreeMap<(String, Labels), (f64, f64)> = BTreeMap::new();
    for sample in &all {
        let Some(name) = sample.name.strip_suffix("_bucket") else { continue };
        let mut labels = sample.labels.clone();
        let bound: f64 = labels.remove("le").unwrap().parse().unwrap();
        let before = last.entry((name.to_owned(), labels)).or_insert((-1.0, 0.0));
        assert!(before.0 < bound && before.1 <= sample.value, "{sample:?}");
        *before = (bound, sample.value);
    }
    assert!(!last.is_empty());
    for ((name, labels), (bound, count)) in last {
        assert!(bound.is_infinite(), "{name}");
        let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
        is(&all, &format!("{name}_count"), &labels, count);
    }
}

#[test]
fn counters_go_on_when_the_configuration_changes() {
    let registry = Registry::new(RULES);
    let before = registry.set_edges(1, &[spec("a", "b", &["GET /"]), spec("a", "c", &[])]);
    request(&before[0], 0, Outcome::Status(200), 1);
    let same = registry.set_edges(2, &[spec("a", "b", &["GET /"])]);
    assert!(Arc::ptr_eq(&before[0], &same[0]));
    assert!(registry.edge("a", "c").is_none());
    let more = registry.set_edges(3, &[spec("a", "b", &["POST /", "GET /"])]);
    request(&before[0], 0, Outcome::Status(200), 1);
    request(&more[0], 1, Outcome::Status(200), 1);
    let reports = registry.reports(&two_endpoints);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].totals.classes.success, 3);
    assert_eq!(reports[0].endpoints.len(), 3);
}

#[test]
fn an_edge_that_is_named_twice_is_one() {
    let registry = Registry::new(RULES);
    let edges = registry.set_edges(1, &[spec("a", "b", &["GET /"]), spec("a", "b", &[])]);
    assert!(Arc::ptr_eq(&edges[0], &edges[1]));
    read(&registry.render(Format::Text, &two_endpoints), Format::Text);
}

#[test]
fn what_nobody_has_asked_for_yet_has_no_series_of_operations() {
    let registry = Registry::new(RULES);
    registry.set_edges(1, &[spec("a", "b", &["GET /"])]);
    let all = read(&registry.render(Format::Text, &two_endpoints), Format::Text);
    assert!(!all.iter().any(|sample| sample.labels.contains_key("operation")));
    is(
        &all,
        "updraft_mesh_refusals_total",
        &[("from", "a"), ("to", "b"), ("side", "client"), ("reason", "shed")],
        0.0,
    );
}

#[test]
fn promtool_finds_nothing_where_it_is_installed() {
    let run = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // It is no package that the project asks for; the strict reader above is always there.
    let Ok(mut child) = run else { return };
    let text = busy().render(Format::Text, &two_endpoints);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
