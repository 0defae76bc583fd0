//! Spans as OTLP has them in JSON, read strictly.

use super::super::{Refused, TraceContext};
use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(in crate::observe) fn span(kind: SpanKind) -> Span {
    let caller = TraceContext::parse(PARENT.as_bytes()).unwrap();
    let own = b"00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-03";
    Span {
        context: TraceContext::parse(own).unwrap(),
        parent: Some(caller.span_id),
        kind,
        from: "cart".parse().unwrap(),
        to: "pricing".parse().unwrap(),
        method: "GET".to_owned(),
        operation: Some("GET /quotes/{id}".to_owned()),
        start_unix_nanos: 1_700_000_000_000_000_001,
        end_unix_nanos: 1_700_000_000_000_005_000,
        status: Some(200),
        outcome: Outcome::Status(200),
        attempts: 1,
        endpoint: Some("127.0.0.1:9000".parse().unwrap()),
        protocol_version: "1.1",
    }
}

fn is_hex(value: &Value, length: usize) -> bool {
    let small = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    value.as_str().is_some_and(|text| text.len() == length && text.bytes().all(small))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The message by its definition in `opentelemetry/proto/trace/v1/trace.proto` and the JSON
/// mapping: no key that it does not have, each value of its type. Gives the spans.
pub(in crate::observe) fn check(message: &Value) -> Vec<Value> {
    assert_eq!(keys(message), ["resourceSpans"]);
    let mut all = Vec::new();
    for resource in message["resourceSpans"].as_array().unwrap() {
        assert_eq!(keys(resource), ["resource", "scopeSpans"]);
        check_attributes(&resource["resource"]["attributes"]);
        for scope in resource["scopeSpans"].as_array().unwrap() {
            assert_eq!(keys(scope), ["scope", "spans"]);
            assert_eq!(scope["scope"]["name"], "updraft-mesh");
            for span in scope["spans"].as_array().unwrap() {
                check_span(span);
                all.push(span.clone());
            }
        }
    }
    all
}

fn check_span(span: &Value) {
    for key in keys(span) {
        let value = &span[key];
        let is_right = match key {
            "traceId" => is_hex(value, 32),
            "spanId" | "parentSpanId" => is_hex(value, 16),
            "flags" => value.as_u64().is_some_and(|flags| flags <= u32::MAX.into()),
            "name" => value.as_str().is_some_and(|name| !name.is_empty()),
            "kind" => matches!(value.as_u64(), Some(2 | 3)),
            "startTimeUnixNano" | "endTimeUnixNano" => {
                value.as_str().is_some_and(|time| time.parse::<u64>().is_ok())
            }
            "attributes" => {
                check_attributes(value);
                true
            }
            "status" => value.get("code") == Some(&2.into()),
            _ => false,
        };
        assert!(is_right, "{key}: {value}");
    }
    for key in ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"] {
        assert!(span.get(key).is_some(), "{key} is missing");
    }
    let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
}

fn check_attributes(attributes: &Value) {
    let mut seen = std::collections::BTreeSet::new();
    for attribute in attributes.as_array().unwrap() {
        assert_eq!(keys(attribute), ["key", "value"]);
        assert!(seen.insert(attribute["key"].as_str().unwrap()), "twice: {attribute}");
        let value = attribute["value"].as_object().unwrap();
        assert_eq!(value.len(), 1);
        match value.iter().next().unwrap() {
            (kind, Value::String(_)) if kind == "stringValue" => {}
            (kind, Value::String(number)) if kind == "intValue" => {
                number.parse::<i64>().unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == key)?;
    Some(found["value"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned())
}

fn only(span: Span) -> Value {
    let mut all = check(&request(&"shop".parse().unwrap(), &[span]));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_span_is_told_as_the_protocol_has_it() {
    let span = only(span(SpanKind::Server));
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["spanId"], "1111111111111111");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(span["flags"], 0x303);
    assert_eq!(span["name"], "GET /quotes/{id}");
    assert_eq!(span["kind"], 2);
    assert_eq!(span["startTimeUnixNano"], "1700000000000000001");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/quotes/{id}"),
        ("server.address", "pricing"),
        ("network.protocol.version", "1.1"),
        ("network.peer.address", "127.0.0.1"),
        ("network.peer.port", "9000"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    for key in ["error.type", "http.request.resend_count", "url.path", "url.query"] {
        assert_eq!(attribute(&span, key), None, "{key}");
    }
    assert_eq!(span.get("status"), None);
}

#[test]
fn each_service_is_a_resource_of_its_own() {
    let spans = [span(SpanKind::Server), span(SpanKind::Client), span(SpanKind::Server)];
    let message = request(&"shop".parse().unwrap(), &spans);
    assert_eq!(check(&message).len(), 3);
    let resources = message["resourceSpans"].as_array().unwrap();
    let names: Vec<String> = resources
        .iter()
        .map(|resource| attribute(&resource["resource"], "service.name").unwrap())
        .collect();
    assert_eq!(names, ["cart", "pricing"]);
    assert_eq!(resources[1]["scopeSpans"][0]["spans"].as_array().unwrap().len(), 2);
}

#[test]
fn a_client_error_is_an_error_of_the_client_only() {
    use Outcome::{Error, Grpc, Status};
    for (outcome, server, client) in [
        (Status(200), None, None),
        (Status(399), None, None),
        (Status(404), None, Some("404")),
        (Status(503), Some("503"), Some("503")),
        (Grpc(0), None, None),
        (Grpc(5), None, Some("5")),
        (Grpc(14), Some("14"), Some("14")),
        (Outcome::Refused(Refused::Open), Some("open"), Some("open")),
        (Error, Some("_OTHER"), Some("_OTHER")),
    ] {
        for (kind, expected) in [(SpanKind::Server, server), (SpanKind::Client, client)] {
            let span = only(Span { outcome, ..span(kind) });
            assert_eq!(attribute(&span, "error.type").as_deref(), expected, "{outcome:?} {kind:?}");
            assert_eq!(span.get("status").is_some(), expected.is_some(), "{outcome:?} {kind:?}");
        }
    }
}

#[test]
fn retries_are_told_as_resends() {
    let span = only(Span { attempts: 3, ..span(SpanKind::Client) });
    assert_eq!(attribute(&span, "http.request.resend_count").as_deref(), Some("2"));
}

#[test]
fn a_method_or_path_that_a_client_invented_is_no_name_of_a_span() {
    let span = only(Span {
        method: "BREW".to_owned(),
        operation: None,
        parent: None,
        end_unix_nanos: 5,
        ..span(SpanKind::Server)
    });
    assert_eq!(span["name"], "HTTP");
    assert_eq!(attribute(&span, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(attribute(&span, "http.request.method_original").as_deref(), Some("BREW"));
    assert_eq!(attribute(&span, "http.route"), None);
    assert_eq!(span.get("parentSpanId"), None);
    assert_eq!(span["flags"], 3);
}
