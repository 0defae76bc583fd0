//! What a test sees of its service: log, spans, metrics.

use updraft::testing::{SpanValue, TestApp};

use crate::depot::{Depot, NewParcel, take_in};

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_request_is_seen_from_all_sides(t: TestApp<Depot>) {
    t.call::<take_in>().json(&NewParcel { id: 3, weight: 1 }).await.status(201);
    let line = t.logged("taken in");
    assert_eq!((line.level(), line.field("id")), ("INFO", Some(&3.into())));

    let spans = t.spans();
    let request = spans.iter().find(|span| span.name == "POST /v1/parcels").unwrap();
    assert_eq!(line.trace_id(), Some(&*request.trace_id.to_string()));
    let route = request.attribute("http.route").unwrap();
    assert_eq!(route, &SpanValue::Text("/v1/parcels".to_owned()));
    assert_eq!(request.error, None);

    let labels = [("http_route", "/v1/parcels"), ("http_response_status_code", "201")];
    let count = t.metric("http_server_request_duration_seconds_count", &labels);
    assert!((count - 1.0).abs() < f64::EPSILON, "{count}");
}

#[updraft::test]
async fn secrets_are_kept_out_of_the_log_of_a_test_too(t: TestApp<Depot>) {
    tracing::warn!(password = "canary", "signed in");
    assert_eq!(t.logged("signed in").field("password").unwrap(), "[redacted]");
    assert!(!t.logs().to_string().contains("canary"));
}
