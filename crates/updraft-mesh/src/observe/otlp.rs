//! Spans as OTLP/HTTP JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids are hexadecimal,
//! enums are numbers, 64-bit integers are text. Attributes follow the semantic conventions for
//! HTTP spans (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use updraft_system::Name;

use super::outcome::Outcome;
use super::span::{Span, SpanKind};

/// `SpanFlags` of the protocol: it is known whether the parent is in another process, and it is.
const PARENT_IS_REMOTE: u32 = 0x100 | 0x200;
/// `STATUS_CODE_ERROR`.
const ERROR: u32 = 2;
/// What stands for an unknown method or error.
const OTHER: &str = "_OTHER";

/// The methods that the conventions know.
const METHODS: &[&str] =
    &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// An `ExportTraceServiceRequest` of these spans.
pub(super) fn request(system: &Name, spans: &[Span]) -> Value {
    let mut by_service: BTreeMap<&Name, Vec<Value>> = BTreeMap::new();
    for span in spans {
        by_service.entry(span.service()).or_default().push(encoded(span));
    }
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let resources = by_service.into_iter().map(|(service, spans)| {
        json!({
            "resource": { "attributes": [
                text("service.name", service.as_str()),
                text("service.namespace", system.as_str()),
            ] },
            "scopeSpans": [{ "scope": &scope, "spans": spans }],
        })
    });
    json!({ "resourceSpans": resources.collect::<Vec<_>>() })
}

fn encoded(span: &Span) -> Value {
    let mut flags = u32::from(span.context.flags);
    if span.parent.is_some() {
        flags |= PARENT_IS_REMOTE;
    }
    let mut value = json!({
        "traceId": span.context.trace_id.to_string(),
        "spanId": span.context.span_id.to_string(),
        "flags": flags,
        "name": name(span),
        "kind": match span.kind {
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        "startTimeUnixNano": span.start_unix_nanos.to_string(),
        // Clocks can be set back; a span cannot end before it begins.
        "endTimeUnixNano": span.end_unix_nanos.max(span.start_unix_nanos).to_string(),
        "attributes": attributes(span),
    });
    if let Some(parent) = span.parent {
        value["parentSpanId"] = parent.to_string().into();
    }
    if error_type(span).is_some() {
        value["status"] = json!({ "code": ERROR });
    }
    value
}

fn name(span: &Span) -> String {
    let method = if is_known(&span.method) { &span.method } else { "HTTP" };
    match route(span) {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}

/// The path template of the operation.
fn route(span: &Span) -> Option<&str> {
    span.operation.as_deref()?.split_once(' ').map(|(_, path)| path)
}

fn is_known(method: &str) -> bool {
    METHODS.contains(&method)
}

fn attributes(span: &Span) -> Vec<Value> {
    let mut all = Vec::with_capacity(16);
    if is_known(&span.method) {
        all.push(text("http.request.method", &span.method));
    } else {
        all.push(text("http.request.method", OTHER));
        all.push(text("http.request.method_original", &span.method));
    }
    if let Some(status) = span.status {
        all.push(number("http.response.status_code", status.into()));
    }
    if let Some(route) = route(span) {
        all.push(text("http.route", route));
    }
    all.push(text("server.address", span.to.as_str()));
    all.push(text("network.protocol.name", "http"));
    all.push(text("network.protocol.version", span.protocol_version));
    if let Some(endpoint) = span.endpoint {
        all.push(text("network.peer.address", &endpoint.ip().to_string()));
        all.push(number("network.peer.port", endpoint.port().into()));
    }
    if span.attempts > 1 {
        all.push(number("http.request.resend_count", i64::from(span.attempts) - 1));
    }
    if let Outcome::Grpc(status) = span.outcome {
        all.push(text("rpc.system", "grpc"));
        all.push(number("rpc.grpc.status_code", status.into()));
    }
    if let Outcome::Refused(reason) = span.outcome {
        all.push(text("updraft.refused", reason.as_str()));
    }
    if let Some(error) = error_type(span) {
        all.push(text("error.type", &error));
    }
    all.push(text("updraft.edge.from", span.from.as_str()));
    all.push(text("updraft.edge.to", span.to.as_str()));
    all
}

/// What `error.type` says, where the span is an error at all: a 4xx is one to the client only.
fn error_type(span: &Span) -> Option<String> {
    let least = match span.kind {
        SpanKind::Server => 500,
        SpanKind::Client => 400,
    };
    match span.outcome {
        Outcome::Status(status) => (status >= least).then(|| status.to_string()),
        Outcome::Grpc(status) => {
            let is_error = match span.kind {
                SpanKind::Server => matches!(status, 2 | 4 | 12..=15 | 17..),
                SpanKind::Client => status != 0,
            };
            is_error.then(|| status.to_string())
        }
        Outcome::Refused(reason) => Some(reason.as_str().to_owned()),
        Outcome::Error => Some(OTHER.to_owned()),
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
pub(super) mod tests;
