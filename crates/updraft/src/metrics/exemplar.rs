//! Exemplars: one sampled trace beside a bucket, by which people find from a slow bucket to
//! a slow request.

/// A measured value and the trace it was measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    trace_id: [u8; 32],
    span_id: [u8; 16],
    value: f64,
}

impl Exemplar {
    /// The caller's trace, when it is sampled: an exemplar of a trace that nobody keeps
    /// leads nowhere. `header` is a `traceparent` of W3C Trace Context.
    pub(crate) fn of_traceparent(header: &[u8]) -> Option<Self> {
        // version "-" trace-id "-" parent-id "-" flags; later versions may append more.
        let (version, trace, span, flags) =
            (header.get(..3)?, header.get(3..36)?, header.get(36..53)?, header.get(53..55)?);
        let hex = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let ends = [version, trace, span].iter().all(|part| part.last() == Some(&b'-'));
        let trace_id: [u8; 32] = trace.get(..32)?.try_into().ok()?;
        let span_id: [u8; 16] = span.get(..16)?.try_into().ok()?;
        let sound = ends
            && hex(&trace_id)
            && hex(&span_id)
            && hex(flags)
            && !version.starts_with(b"ff")
            && trace_id != [b'0'; 32]
            && span_id != [b'0'; 16]
            && matches!(header.get(55), None | Some(b'-'));
        let sampled =
            matches!(flags.get(1)?, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
        (sound && sampled).then_some(Self { trace_id, span_id, value: 0.0 })
    }

    /// The same trace, with what was measured.
    pub(super) fn of_value(self, value: f64) -> Self {
        Self { value, ..self }
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Trace and span id in hexadecimal.
    pub(super) fn ids(&self) -> (&str, &str) {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        (text(&self.trace_id), text(&self.span_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_and_sampled_trace_is_an_exemplar() {
        let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let exemplar = Exemplar::of_traceparent(sampled.as_bytes()).unwrap();
        assert_eq!(exemplar.ids(), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
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
