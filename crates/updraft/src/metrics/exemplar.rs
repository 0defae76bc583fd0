//! Exemplars: one sampled trace beside a bucket, by which people find from a slow bucket to
//! a slow request.

use updraft_trace::{SpanId, TraceContext, TraceId};

/// A measured value and the trace it was measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    trace: TraceContext,
    value: f64,
}

impl Exemplar {
    /// The caller's trace, when it is sampled: an exemplar of a trace that nobody keeps
    /// leads nowhere. `header` is a `traceparent` of W3C Trace Context.
    pub(crate) fn of_traceparent(header: &[u8]) -> Option<Self> {
        TraceContext::parse(header).filter(|trace| trace.is_sampled()).map(Self::of_sampled)
    }

    /// A trace that is sampled.
    pub(crate) fn of_sampled(trace: TraceContext) -> Self {
        Self { trace, value: 0.0 }
    }

    /// The same trace, with what was measured.
    pub(super) fn of_value(self, value: f64) -> Self {
        Self { value, ..self }
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn ids(&self) -> (TraceId, SpanId) {
        (self.trace.trace_id, self.trace.span_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_and_sampled_trace_is_an_exemplar() {
        let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let exemplar = Exemplar::of_traceparent(sampled.as_bytes()).unwrap();
        let (trace, span) = exemplar.ids();
        let ids = (trace.to_string(), span.to_string());
        let expected = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert_eq!((&*ids.0, &*ids.1), expected);
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-0af7651916cd43dd8448eb211c80319c\"b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920",
        ] {
            assert_eq!(Exemplar::of_traceparent(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
