//! The span of a call of another service, by the semantic conventions for HTTP clients. It is
//! there only where it is exported: the log has no use for it.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};
use tracing::Span;

use super::layer::{Entry, enter, is_recording, nearest, recorded, with_random};
use super::record::SpanKind;
use super::{ENTRY, around, here, request, with_span};

/// The span of one attempt at a call.
#[derive(Clone, Debug)]
pub(crate) struct CallSpan {
    /// None where it is not recorded.
    span: Option<Span>,
}

impl CallSpan {
    /// Begins inside of the current span. Of the URI only scheme, host and port are told.
    pub(crate) fn begin(method: &Method, uri: &Uri) -> Self {
        if !is_recording() {
            return Self { span: None };
        }
        let outer = with_span(&Span::current(), |_, span| nearest(Some(span))).flatten();
        let Some((outer, state)) = outer else { return Self { span: None } };
        let span = tracing::info_span!(target: ENTRY, "call");
        enter(&span, |_| Entry {
            context: with_random(|rng| outer.child(rng)),
            parent: Some(outer.span_id),
            state,
            kind: SpanKind::Client,
        });
        recorded(&span, |record| {
            let known = request::known(method);
            record.name = Cow::Borrowed(known.unwrap_or("HTTP"));
            record.set("http.request.method", known.unwrap_or("_OTHER"));
            if let Some(host) = uri.host() {
                record.set("server.address", host.to_owned());
            }
            let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
            record.set("server.port", i64::from(uri.port_u16().unwrap_or(usual)));
        });
        Self { span: Some(span) }
    }

    /// Puts the trace into the headers of the call: with this span where it is recorded, else
    /// with the one around it.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        let found = match &self.span {
            Some(span) => around(span),
            None => here(),
        };
        if let Some(found) = found {
            found.write(headers);
        }
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&self, status: u16) {
        let Some(span) = &self.span else { return };
        recorded(span, |record| {
            record.set("http.response.status_code", i64::from(status));
            if 400 <= status {
                record.set("error.type", status.to_string());
                record.fail("");
            }
        });
    }

    /// There is no answer, for a reason of this name, such as `timeout`.
    pub(crate) fn failed(&self, reason: &'static str) {
        let Some(span) = &self.span else { return };
        recorded(span, |record| {
            record.set("error.type", reason);
            record.fail("");
        });
    }
}
