//! Both text formats of metrics, held to their specifications.

use super::super::table;
use super::*;

#[test]
fn boundaries_are_boundaries_of_buckets_and_their_text_is_their_value() {
    for (nanos, text) in BOUNDS {
        let bucket = Latencies::bucket_of(*nanos);
        assert_eq!(Latencies::bounds(bucket).1, *nanos, "{text}");
        let seconds: f64 = text.parse().unwrap();
        assert!((seconds * 1e9 - *nanos as f64).abs() < 0.5, "{text}");
    }
    assert!(BOUNDS.windows(2).all(|two| two[0].0 < two[1].0));
}

#[test]
fn the_format_is_what_was_asked_for() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                      application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                      text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    for (accept, expected) in [
        (None, Format::Text),
        (Some(""), Format::Text),
        (Some("*/*"), Format::Text),
        (Some("text/html"), Format::Text),
        (Some("text/plain"), Format::Text),
        (Some(prometheus), Format::OpenMetrics),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
        (Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=1"), Format::OpenMetrics),
        (Some("application/openmetrics-text; version=0.0.1"), Format::Text),
        (Some("application/openmetrics-text; version=2.0.0"), Format::Text),
        (Some("application/openmetrics-text;q=0"), Format::Text),
        (Some("application/openmetrics-text;q=0.000"), Format::Text),
        (Some("application/openmetrics-text;q=0.001"), Format::OpenMetrics),
        (Some("application/openmetrics-text;q=nonsense"), Format::Text),
        (Some("text/plain, application/openmetrics-text"), Format::OpenMetrics),
        (Some("text/plain;q=0.9, application/openmetrics-text;q=0.8"), Format::Text),
        (Some("text/plain;q=0.8, application/openmetrics-text;q=0.9"), Format::OpenMetrics),
    ] {
        assert_eq!(Format::negotiate(accept), expected, "{accept:?}");
    }
}

#[test]
fn the_content_type_asks_for_itself() {
    for format in [Format::Text, Format::OpenMetrics] {
        assert_eq!(Format::negotiate(Some(format.content_type())), format);
    }
}

#[test]
fn label_values_are_escaped() {
    let mut out = Exposition::new(Format::Text);
    out.family(&table::GATE_RULES, |samples| samples.count(&["a\\b\"c\nd"], 1));
    assert!(out.end().ends_with("{rule=\"a\\\\b\\\"c\\nd\"} 1\n"));
}

#[test]
fn the_two_formats_differ_as_their_specifications_say() {
    let one = Latencies { buckets: vec![(0, 2)], sum_nanos: 1_500 };
    let write = |format| {
        let mut out = Exposition::new(format);
        out.family(&table::FIRST_BYTE, |samples| samples.latencies(&["a", "b", "client"], &one));
        out.family(&table::REQUEST_BYTES, |samples| samples.count(&["a", "b", "client"], 3));
        out.end()
    };
    let text = write(Format::Text);
    assert!(text.contains("le=\"1\"} 2\n") && text.contains("le=\"+Inf\"} 2\n"), "{text}");
    assert!(text.contains("# TYPE updraft_mesh_request_body_bytes_total counter\n"), "{text}");
    assert!(text.contains("_sum{from=\"a\",to=\"b\",side=\"client\"} 0.0000015\n"), "{text}");
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    let open = write(Format::OpenMetrics);
    assert!(open.contains("le=\"1.0\"} 2\n"), "{open}");
    assert!(open.contains("# TYPE updraft_mesh_request_body_bytes counter\n"), "{open}");
    assert!(open.contains("# UNIT updraft_mesh_request_body_bytes bytes\n"), "{open}");
    assert!(open.contains(
        "\nupdraft_mesh_request_body_bytes_total{from=\"a\",to=\"b\",side=\"client\"} 3\n"
    ));
    assert!(open.ends_with("\n# EOF\n"), "{open}");
}
