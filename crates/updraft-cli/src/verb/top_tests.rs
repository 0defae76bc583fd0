//! The tables of `top`, from reports made by hand.

use serde_json::json;
use updraft_system::mesh::{BreakerState, EndpointReport, Latencies, rate_between};

use super::*;

/// A report with nothing in it.
pub(in crate::verb) fn report(from: &str, to: &str) -> EdgeReport {
    serde_json::from_value(json!({
        "from": from, "to": to, "protocol": "http1", "side": "client",
        "started_unix_ms": 1, "taken_ms": 0,
        "totals": { "classes": {}, "latencies": { "buckets": [], "sum_nanos": 0 } },
        "operations": [], "first_byte": { "buckets": [], "sum_nanos": 0 },
        "retries": {}, "refusals": {}, "undeclared": 0, "request_bytes": 0, "response_bytes": 0,
        "active_requests": 0, "connections": { "caller": 0, "endpoint": 0 },
        "tunnels": { "active": 0, "opened": 0, "bytes_to_endpoint": 0, "bytes_to_caller": 0 },
        "endpoints": [],
    }))
    .unwrap()
}

/// The same after calls of one operation, `failed` of them with 500, in one second.
pub(in crate::verb) fn busy(from: &str, to: &str, calls: u64, failed: u64, nanos: u64) -> Edge {
    let older = report(from, to);
    let mut newer = EdgeReport { taken_ms: 1000, ..older.clone() };
    let bucket = u16::try_from(Latencies::bucket_of(nanos)).unwrap();
    let latencies = Latencies { buckets: vec![(bucket, calls)], sum_nanos: calls * nanos };
    newer.totals.classes.success = calls - failed;
    newer.totals.classes.server_error = failed;
    newer.totals.latencies = latencies;
    newer.operations = vec![updraft_system::mesh::OperationReport {
        operation: "GET /hello/{name}".to_owned(),
        calls: newer.totals.clone(),
    }];
    newer.retries.insert("connect".to_owned(), failed);
    newer.response_bytes = calls * 100;
    newer.connections.caller = 2;
    newer.connections.endpoint = 1;
    newer.active_requests = 1;
    newer.endpoints = vec![endpoint(BreakerState::Closed), endpoint(BreakerState::Closed)];
    let rates = rate_between(&older, &newer);
    Edge { report: newer, rates }
}

fn endpoint(breaker: BreakerState) -> EndpointReport {
    EndpointReport {
        address: "127.0.0.1:1".parse().unwrap(),
        incarnation: 1,
        version: None,
        weight: 1,
        active_requests: 0,
        latency_nanos: None,
        breaker,
        ejected: false,
        requests: 0,
        failures: 0,
    }
}

fn some() -> Vec<Edge> {
    let mut bad = busy("cart", "pricing", 20, 15, 450_000_000);
    bad.report.endpoints = vec![endpoint(BreakerState::Closed), endpoint(BreakerState::Open)];
    let quiet = Edge { report: report("cart", "db"), rates: Default::default() };
    sorted(vec![quiet, bad, busy("ingress", "cart", 1500, 1, 1_200_000)])
}

#[test]
fn the_busiest_edge_comes_first_and_the_columns_line_up() {
    let text = by_edge(&some()).to_string();
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    assert!(text.contains("\u{1b}[1m\u{1b}[31m75.0"), "{text:?}");
}

#[test]
fn each_operation_has_a_row() {
    let text = by_operation(&some()).to_string();
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
}

#[test]
fn scripts_get_numbers() {
    let edge = busy("cart", "pricing", 20, 5, 1_000_000);
    let edge = serde_json::to_value(EdgeLine::of(&edge)).unwrap();
    assert_eq!((edge["rps"].as_f64(), edge["error_share"].as_f64()), (Some(20.0), Some(0.25)));
    assert_eq!(edge["operations"][0]["operation"], "GET /hello/{name}");
    assert_eq!(edge["bytes_per_s"], 2000.0);
    let p99 = edge["p99_ms"].as_f64().unwrap();
    assert!((0.9..1.1).contains(&p99), "{p99}");
}

#[test]
fn a_call_that_passes_one_gateway_twice_is_shown_once() {
    let client = report("cart", "pricing");
    let server = EdgeReport { side: EdgeSide::Server, ..client.clone() };
    let far = EdgeReport { side: EdgeSide::Server, ..report("web", "pricing") };
    let edges = wire_rates::between(&[], vec![client, server, far]);
    let sides: Vec<_> =
        edges.iter().map(|edge| (edge.report.from.as_str(), edge.report.side)).collect();
    assert_eq!(sides, [("cart", EdgeSide::Client), ("web", EdgeSide::Server)]);
}
