//! Spans as OTLP (`opentelemetry/proto/collector/trace/v1/trace_service.proto`). What leaves the
//! process is cleaned of secrets here, and nowhere else, so that nothing can leave around it.

use updraft_trace::TraceContext;

use super::protobuf::{Field, Message, fields};
use crate::log::{REDACTED, is_secret, scrubbed};
use crate::trace::record::{Attribute, Attributes, FinishedSpan, Status};

/// The context of the parent came from another process (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`
/// and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`), which is not told: nobody needs it.
const TRACE_FLAGS: u32 = 0xff;

/// Who sends.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    pub(super) attributes: Vec<(String, String)>,
}

impl Resource {
    /// Sets an attribute, in place of an earlier one of its name.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let known = self.attributes.iter_mut().find(|(known, _)| known == name);
        match known {
            Some((_, old)) => value.clone_into(old),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }
}

/// An `ExportTraceServiceRequest`.
pub(super) fn request(resource: &Resource, spans: &[FinishedSpan]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |out| {
            for (name, value) in &resource.attributes {
                let clean = if is_secret(name) { REDACTED } else { value };
                out.message(1, |out| {
                    out.text(1, name);
                    out.message(2, |out| out.text(1, &scrubbed(clean)));
                });
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, env!("CARGO_PKG_NAME"));
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            for span in spans {
                scope_spans.message(2, |out| write_span(out, span));
            }
        });
    });
    request.into_bytes()
}

fn write_span(out: &mut Message, span: &FinishedSpan) {
    let FinishedSpan { context, parent, state, record, end_nanos } = span;
    out.bytes(1, &context.trace_id.to_bytes());
    out.bytes(2, &context.span_id.to_bytes());
    if let Some(Ok(state)) = state.as_ref().map(|state| state.to_str()) {
        out.text(3, state);
    }
    if let Some(parent) = parent {
        out.bytes(4, &parent.to_bytes());
    }
    out.text(5, &scrubbed(&record.name));
    out.number(6, record.kind as u64);
    out.fixed64(7, record.start_nanos);
    out.fixed64(8, *end_nanos);
    write_attributes(out, 9, &record.attributes);
    lost(out, 10, record.attributes.lost);
    for event in &record.events {
        out.message(11, |out| {
            out.fixed64(1, event.nanos);
            out.text(2, &scrubbed(&event.name));
            write_attributes(out, 3, &event.attributes);
            lost(out, 4, event.attributes.lost);
        });
    }
    lost(out, 12, record.events_lost);
    for link in &record.links {
        out.message(13, |out| {
            out.bytes(1, &link.trace_id.to_bytes());
            out.bytes(2, &link.span_id.to_bytes());
            out.fixed32(6, flags(*link));
        });
    }
    lost(out, 14, record.links_lost);
    match &record.status {
        Status::Unset => {}
        Status::Ok => out.message(15, |out| out.number(3, 1)),
        Status::Error(why) => out.message(15, |out| {
            if !why.is_empty() {
                out.text(2, &scrubbed(why));
            }
            out.number(3, 2);
        }),
    }
    out.fixed32(16, flags(*context));
}

fn flags(context: TraceContext) -> u32 {
    u32::from(context.flags) & TRACE_FLAGS
}

fn lost(out: &mut Message, field: u32, count: u32) {
    if 0 < count {
        out.number(field, u64::from(count));
    }
}

fn write_attributes(out: &mut Message, field: u32, attributes: &Attributes) {
    for (name, value) in &attributes.list {
        out.message(field, |out| {
            out.text(1, name);
            out.message(2, |out| match value {
                _ if is_secret(name) => out.text(1, REDACTED),
                Attribute::Text(text) => out.text(1, &scrubbed(text)),
                Attribute::Bool(value) => out.number(2, u64::from(*value)),
                Attribute::Int(value) => out.signed(3, *value),
                Attribute::Double(value) => out.fixed64(4, value.to_bits()),
            });
        });
    }
}

/// What an `ExportTraceServiceResponse` says of spans that were not taken: how many, and why.
pub(super) fn rejected(response: &[u8]) -> (u64, String) {
    let (mut spans, mut why) = (0, String::new());
    let partial = fields(response).filter_map(|field| match field {
        (1, Field::Bytes(partial)) => Some(partial),
        _ => None,
    });
    for field in partial.flat_map(fields) {
        match field {
            (1, Field::Number(number)) => spans = number,
            (2, Field::Bytes(text)) => why = scrubbed(&String::from_utf8_lossy(text)).into_owned(),
            _ => {}
        }
    }
    (spans, why)
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
