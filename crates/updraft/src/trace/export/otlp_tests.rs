//! What is exported, read by the types that are generated from the specification.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use prost::Message as _;

use super::*;
use crate::log::Value;
use crate::trace::record::{SpanEvent, SpanKind, SpanRecord};

const OWN: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

fn span() -> FinishedSpan {
    let mut record = SpanRecord::begin("GET", SpanKind::Server);
    record.set("http.response.status_code", 503_i64);
    record.field("ratio", Value::Float(0.5));
    record.field("cached", Value::Bool(true));
    record.field("large", Value::Unsigned(u64::MAX));
    record.field("negative", Value::Signed(-7));
    record.field("password", Value::Text("canary"));
    record.field("db", Value::Text("postgres://u:canary@h/db?sslkey=canary"));
    record.field("otel.name", Value::Text("GET /orders/{id}"));
    record.field("otel.status_message", Value::Text("token=canary"));
    record.link(TraceContext::parse(OTHER).unwrap());
    record.event(|nanos| {
        let mut attributes = Attributes::default();
        attributes.set("error", "Authorization: Bearer canary".into());
        SpanEvent { name: "failed at http://u:canary@h/".to_owned(), nanos, attributes }
    });
    let context = TraceContext::parse(OWN).unwrap();
    let parent = Some(TraceContext::parse(OTHER).unwrap().span_id);
    let end_nanos = record.start_nanos + 5;
    let state = Some("a=1".parse().unwrap());
    FinishedSpan { context, parent, state, record, end_nanos }
}

fn sent(resource: &Resource, spans: &[FinishedSpan]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&*request(resource, spans)).unwrap()
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> &'a Any {
    let found = attributes.iter().find(|attribute| attribute.key == name).expect(name);
    found.value.as_ref().unwrap().value.as_ref().unwrap()
}

#[test]
fn every_part_of_a_span_is_where_the_specification_has_it() {
    let mut resource = Resource::default();
    resource.set("service.name", "cart");
    resource.set("service.name", "orders");
    let request = sent(&resource, &[span(), span()]);
    let [of_resource] = &request.resource_spans[..] else { panic!("{request:?}") };
    let attributes = &of_resource.resource.as_ref().unwrap().attributes;
    assert_eq!(attributes.len(), 1);
    assert_eq!(value(attributes, "service.name"), &Any::StringValue("orders".to_owned()));
    let [of_scope] = &of_resource.scope_spans[..] else { panic!("{request:?}") };
    assert_eq!(of_scope.scope.as_ref().unwrap().name, "updraft");
    let [span, _] = &of_scope.spans[..] else { panic!("{request:?}") };

    assert_eq!(span.trace_id, 0x4bf92f35_77b34da6_a3ce929d_0e0e4736_u128.to_be_bytes());
    assert_eq!(span.span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!((span.trace_state.as_str(), span.flags, span.kind), ("a=1", 1, 2));
    assert_eq!(span.name, "GET /orders/{id}");
    assert_eq!(span.end_time_unix_nano, span.start_time_unix_nano + 5);
    for (name, expected) in [
        ("http.response.status_code", Any::IntValue(503)),
        ("ratio", Any::DoubleValue(0.5)),
        ("cached", Any::BoolValue(true)),
        ("large", Any::StringValue(u64::MAX.to_string())),
        ("negative", Any::IntValue(-7)),
        ("password", Any::StringValue("[redacted]".to_owned())),
    ] {
        assert_eq!(value(&span.attributes, name), &expected, "{name}");
    }
    assert_eq!((span.links.len(), span.links[0].flags), (1, 3));
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "token=[redacted]"));
    assert_eq!(span.events[0].name, "failed at http://[redacted]@h/");
}

#[test]
fn no_secret_is_sent() {
    let mut resource = Resource::default();
    resource.set("api.key", "canary");
    resource.set("db", "redis://:canary@h");
    let bytes = request(&resource, &[span()]);
    assert!(!bytes.windows(6).any(|part| part == b"canary"));
}

#[test]
fn what_a_span_has_too_much_of_is_counted() {
    let mut span = span();
    let context = span.context;
    for _ in 0..200 {
        span.record.link(context);
        span.record.event(|nanos| SpanEvent {
            name: String::new(),
            nanos,
            attributes: Attributes::default(),
        });
    }
    for number in 0..200 {
        span.record.set(Box::leak(format!("n{number}").into_boxed_str()), 1);
    }
    let request = sent(&Resource::default(), &[span]);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let kept = (span.attributes.len(), span.events.len(), span.links.len());
    assert_eq!(kept, (128, 128, 128));
    let lost = (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count);
    assert_eq!(lost, (79, 73, 73));
}

#[test]
fn what_a_collector_does_not_take_is_read() {
    for (rejected_spans, error_message) in [(0, ""), (3, "too old"), (1, "token=canary")] {
        let error_message = error_message.to_owned();
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: error_message.clone(),
        });
        let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let clean = error_message.replace("canary", "[redacted]");
        assert_eq!(rejected(&answer), (u64::try_from(rejected_spans).unwrap(), clean));
    }
    assert_eq!(rejected(b""), (0, String::new()));
    assert_eq!(rejected(b"<html>"), (0, String::new()));
}
