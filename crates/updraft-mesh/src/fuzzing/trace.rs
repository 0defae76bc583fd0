//! Trace context in the fields of a request.

use http::HeaderMap;

use crate::observe::{Hop, Sampling, TraceContext};

/// What a `traceparent` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace, 32 digits.
    pub trace_id: String,
    /// The span, 16 digits.
    pub span_id: String,
    /// The flags.
    pub flags: u8,
    /// It written anew.
    pub text: Vec<u8>,
}

/// Reads a `traceparent`.
#[must_use]
pub fn parse_traceparent(value: &[u8]) -> Option<Trace> {
    TraceContext::parse(value).map(told)
}

fn told(context: TraceContext) -> Trace {
    let TraceContext { trace_id, span_id, flags } = context;
    let (trace_id, span_id) = (trace_id.to_string(), span_id.to_string());
    Trace { trace_id, span_id, flags, text: context.format().to_vec() }
}

/// Goes on with the trace that these fields tell of, and writes it into them. The span that it is
/// here, and the one that the request came with.
pub fn go_on(headers: &mut HeaderMap) -> (Trace, Option<String>) {
    let tenth = Sampling::per_million(100_000);
    let hop = Hop::of(headers, tenth, &mut fastrand::Rng::with_seed(7));
    hop.write(headers);
    (told(hop.context), hop.parent.map(|span| span.to_string()))
}
