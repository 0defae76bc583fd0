//! What is recorded of requests, connections and tunnels is what is reported.

use proptest::prelude::*;
use std::time::Duration;

use super::super::{Outcome, Refused};
use super::*;

fn spec(operations: &[&str]) -> EdgeSpec {
    EdgeSpec {
        from: "cart".parse().unwrap(),
        to: "pricing".parse().unwrap(),
        protocol: Protocol::Http1,
        side: EdgeSide::Client,
        operations: operations.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn edge(operations: &[&str]) -> Arc<EdgeMetrics> {
    Arc::new(EdgeMetrics::new(&spec(operations)))
}

fn ended(outcome: Outcome) -> RequestEnd {
    RequestEnd {
        outcome,
        duration: Duration::from_millis(5),
        first_byte: Some(Duration::from_millis(3)),
        request_bytes: 10,
        response_bytes: 200,
    }
}

fn report(edge: &EdgeMetrics) -> EdgeReport {
    edge.report(1, 2, Vec::new())
}

fn calls(report: &EdgeReport, operation: &str) -> u64 {
    let found = report.operations.iter().find(|own| own.operation == operation);
    found.map_or(0, |own| own.calls.classes.all())
}

#[test]
fn a_request_is_counted_where_it_belongs() {
    let edge = edge(&["GET /a", "POST /b"]);
    let open = edge.begin(OperationId::new(1), Instant::now());
    assert_eq!(report(&edge).active_requests, 1);
    open.finish(&ended(Outcome::Status(204)));
    edge.retried(RetryReason::Reset);
    let report = report(&edge);
    assert_eq!((calls(&report, "GET /a"), calls(&report, "POST /b")), (0, 1));
    assert_eq!(report.totals.classes.success, 1);
    assert_eq!(report.totals.latencies.quantile(0.5).unwrap().as_millis(), 4);
    assert_eq!(report.first_byte.count(), 1);
    assert_eq!((report.request_bytes, report.response_bytes), (10, 200));
    assert_eq!(report.retries, [("reset".to_owned(), 1)].into());
    assert_eq!(report.active_requests, 0);
}

#[test]
fn a_refusal_is_counted_as_a_request_and_by_its_reason() {
    let edge = edge(&[]);
    for reason in Refused::ALL {
        let open = edge.begin(OperationId::OTHER, Instant::now());
        open.finish(&RequestEnd { first_byte: None, ..ended(Outcome::Refused(*reason)) });
    }
    let report = report(&edge);
    assert_eq!(report.totals.classes.refused, Refused::ALL.len() as u64);
    for reason in Refused::ALL {
        assert_eq!(report.refusals[reason.as_str()], 1, "{reason:?}");
    }
    assert_eq!(report.first_byte.count(), 0);
}

#[test]
fn a_request_whose_future_is_dropped_is_an_error_and_not_open_any_more() {
    let edge = edge(&["GET /a"]);
    drop(edge.begin(OperationId::new(0), Instant::now()));
    let report = report(&edge);
    assert_eq!(report.active_requests, 0);
    assert_eq!(report.totals.classes.error, 1);
    assert_eq!(calls(&report, "GET /a"), 1);
}

#[test]
fn what_no_operation_fits_is_counted_together() {
    let edge = edge(&["GET /a"]);
    for operation in [OperationId::OTHER, OperationId::new(1), OperationId::new(99)] {
        assert_eq!(edge.operation_name(operation), OTHER);
        edge.begin(operation, Instant::now()).finish(&ended(Outcome::Status(200)));
    }
    assert_eq!(calls(&report(&edge), OTHER), 3);
}

#[test]
fn there_are_never_more_series_than_the_bound() {
    let names: Vec<String> = (0..1000).map(|number| format!("GET /{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let edge = edge(&names);
    for number in 0..1000 {
        edge.begin(OperationId::new(number), Instant::now()).finish(&ended(Outcome::Status(200)));
    }
    let report = report(&edge);
    assert_eq!(report.operations.len(), EdgeSpec::OPERATIONS_MAX + 1);
    assert_eq!(calls(&report, OTHER), 1000 - EdgeSpec::OPERATIONS_MAX as u64);
}

#[test]
fn an_operation_that_is_known_later_counts() {
    let edge = edge(&["GET /a"]);
    let now = Instant::now();
    let mut open = edge.begin(OperationId::OTHER, now);
    open.set_operation(OperationId::new(0));
    assert_eq!((open.operation(), open.began()), (OperationId::new(0), now));
    open.finish(&ended(Outcome::Status(200)));
    assert_eq!(calls(&report(&edge), "GET /a"), 1);
}

#[test]
fn connections_and_tunnels_are_open_as_long_as_their_guards() {
    let edge = edge(&[]);
    let caller = edge.connection();
    let other = edge.connection();
    let tunnel = edge.tunnel();
    tunnel.to_endpoint(3);
    tunnel.to_caller(4);
    drop(caller);
    let now = report(&edge);
    assert_eq!(now.connections.caller, 1);
    assert_eq!((now.tunnels.active, now.tunnels.opened), (1, 1));
    assert_eq!((now.tunnels.bytes_to_endpoint, now.tunnels.bytes_to_caller), (3, 4));
    drop((other, tunnel));
    let now = report(&edge);
    assert_eq!((now.connections.caller, now.tunnels.active, now.tunnels.opened), (0, 0, 1));
    assert_eq!(edge.connections_opened(), 2);
}

#[test]
fn a_request_that_began_under_an_older_configuration_is_counted_in_the_newer_one() {
    let old = edge(&["GET /a", "GET /b"]);
    let open = old.begin(OperationId::new(1), Instant::now());
    let new = Arc::new(EdgeMetrics::after(&spec(&["GET /b", "GET /c"]), Some(&old)));
    assert_eq!(report(&new).active_requests, 1);
    open.finish(&ended(Outcome::Status(200)));
    let report = report(&new);
    assert_eq!(calls(&report, "GET /b"), 1);
    assert_eq!(report.active_requests, 0);
}

#[test]
fn counting_allocates_nothing() {
    let edge = edge(&["GET /a"]);
    let info = allocation_counter::measure(|| {
        for status in [200, 404, 503] {
            let open = edge.begin(OperationId::new(0), Instant::now());
            open.retried(RetryReason::Connect);
            open.finish(&ended(Outcome::Status(status)));
        }
        drop(edge.connection());
        edge.tunnel().to_caller(7);
    });
    assert_eq!(info.count_total, 0);
    assert_eq!(report(&edge).totals.classes.all(), 3);
}

#[test]
fn threads_that_count_at_once_lose_nothing() {
    let edge = edge(&["GET /a"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let open = edge.begin(OperationId::new(0), Instant::now());
                    open.finish(&ended(Outcome::Status(200)));
                }
            });
        }
    });
    let report = report(&edge);
    assert_eq!(report.totals.classes.success, 8000);
    assert_eq!(report.totals.latencies.count(), 8000);
    assert_eq!((report.active_requests, report.response_bytes), (0, 8000 * 200));
}

#[test]
fn the_operations_of_a_configured_edge_are_those_of_its_cluster_and_its_own() {
    let cluster: ClusterConfig = serde_json::from_value(serde_json::json!({
        "operations": { "GET /b": {}, "GET /a": {} },
    }))
    .unwrap();
    let edge: EdgeConfig = serde_json::from_value(serde_json::json!({
        "from": "cart", "to": "pricing", "only": ["GET /a", "POST /c"],
    }))
    .unwrap();
    let spec = EdgeSpec::of(&edge, &cluster);
    assert_eq!(spec.operations, ["GET /a", "GET /b", "POST /c"]);
    assert_eq!(spec.side, EdgeSide::Server);
}

proptest! {
    #[test]
    fn every_end_is_counted_in_exactly_one_class(
        ends in prop::collection::vec((0..3_usize, 0..1000_u16), 0..200),
    ) {
        let edge = edge(&["GET /a", "GET /b"]);
        let mut expected = [0_u64; 7];
        for (operation, status) in &ends {
            let outcome = Outcome::Status(*status);
            expected[match status { 100..600 => usize::from(status / 100) - 1, _ => 6 }] += 1;
            edge.begin(OperationId::new(*operation), Instant::now()).finish(&ended(outcome));
        }
        let classes = report(&edge).totals.classes;
        prop_assert_eq!(
            [
                classes.informational, classes.success, classes.redirect, classes.client_error,
                classes.server_error, classes.refused, classes.error,
            ],
            expected
        );
        prop_assert_eq!(classes.all(), ends.len() as u64);
    }
}
