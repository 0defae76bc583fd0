//! How the gateway says no: a problem document (RFC 9457), or what gRPC has in its place.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body_util::Full;
use serde::Serialize;

use super::request::ALLOWED;
use super::rule::Rule;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A message that the gate does not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", rule.title())]
pub(crate) struct Refusal {
    /// What is answered.
    pub(crate) status: StatusCode,
    /// What it broke.
    pub(crate) rule: Rule,
    /// What exactly, for whoever sent it; the rule's own sentence if empty.
    pub(crate) detail: Cow<'static, str>,
}

impl From<Rule> for Refusal {
    fn from(rule: Rule) -> Self {
        Self { status: rule.status(), rule, detail: Cow::Borrowed("") }
    }
}

impl Refusal {
    /// Tells of a rule with more than its own sentence.
    pub(super) fn detailed(rule: Rule, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::from(rule) }
    }

    /// The answer to a request of this version; `grpc` where it [`is_grpc`]. A connection of
    /// HTTP/1 ends with a 400: who sends one such request may mean something else by the next.
    #[must_use]
    pub(crate) fn response(
        &self,
        version: Version,
        request_id: Option<&str>,
        grpc: bool,
    ) -> Response<Full<Bytes>> {
        let detail = if self.detail.is_empty() { self.rule.title() } else { &self.detail };
        let mut response = match self.status {
            StatusCode::NO_CONTENT => empty(),
            status if grpc => trailers_only(status, detail),
            status => problem(status, self.rule.name(), detail, request_id),
        };
        if self.status == StatusCode::BAD_REQUEST && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // RFC 9110, 15.5.6 demands it of every 405.
        if matches!(self.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NO_CONTENT) {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
        }
        response
    }
}

fn empty() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The members of the document.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Which rule or policy it was: the same word as in metrics.
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

fn document(status: StatusCode, kind: &str, detail: &str, request_id: Option<&str>) -> Vec<u8> {
    let title = status.canonical_reason().unwrap_or("Unknown");
    let document = Document { title, status: status.as_u16(), detail, kind, request_id };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// A problem document. `kind` is the stable word for what refused, `detail` says what would
/// be right. Its type is `about:blank`, so the title is the status's own reason.
#[must_use]
pub(crate) fn problem(
    status: StatusCode,
    kind: &str,
    detail: &str,
    request_id: Option<&str>,
) -> Response<Full<Bytes>> {
    let text = document(status, kind, detail, request_id);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    response
}

/// The whole answer of a connection that ends with it, as hyper would write it.
pub(super) fn http1(rule: Rule) -> Vec<u8> {
    let status = rule.status();
    let body = document(status, rule.name(), rule.title(), None);
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let allow = if status == StatusCode::METHOD_NOT_ALLOWED {
        format!("allow: {ALLOWED}\r\n")
    } else {
        String::new()
    };
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\n\
         content-length: {length}\r\n{allow}connection: close\r\n\r\n",
        status.as_u16(),
    )
    .into_bytes();
    text.extend_from_slice(&body);
    text
}

/// Whether a request is one of gRPC: `application/grpc`, with `+proto` and the like or
/// parameters, but not gRPC-Web, whose trailers are in its body.
#[must_use]
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = value.get(..16).filter(|start| start.eq_ignore_ascii_case(b"application/grpc"));
    rest.is_some() && matches!(value.get(16), None | Some(b'+' | b';' | b' '))
}

/// An answer of gRPC without messages: all is in the one head ("gRPC over HTTP2",
/// Trailers-Only).
#[must_use]
pub(crate) fn trailers_only(status: StatusCode, detail: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert("grpc-status", HeaderValue::from(grpc_status(status)));
    if let Ok(message) = HeaderValue::from_maybe_shared(grpc_message(detail)) {
        headers.insert("grpc-message", message);
    }
    response
}

/// gRPC's `http-grpc-status-mapping`, which says what a client makes of a status without
/// `grpc-status`, with finer codes where the gateway knows more than such a client.
#[must_use]
pub(crate) fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        499 => 1,                    // CANCELLED
        408 | 504 => 4,              // DEADLINE_EXCEEDED
        403 => 7,                    // PERMISSION_DENIED
        413 | 429 | 431 => 8,        // RESOURCE_EXHAUSTED
        412 => 9,                    // FAILED_PRECONDITION
        409 => 10,                   // ABORTED
        404 | 405 | 501 | 505 => 12, // UNIMPLEMENTED
        400 | 500 => 13,             // INTERNAL
        502 | 503 => 14,             // UNAVAILABLE
        401 => 16,                   // UNAUTHENTICATED
        _ => 2,                      // UNKNOWN
    }
}

/// Percent-encodes as gRPC's `Percent-Encoded` says: all but visible ASCII and space, and `%`.
fn grpc_message(text: &str) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    Bytes::from(out)
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
