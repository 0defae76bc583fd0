//! W3C Trace Context (<https://www.w3.org/TR/trace-context-2/>): which trace a request belongs
//! to, and the span of this hop in it. B3 and others are not read.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Sampling, state};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;
/// The caller may have recorded the trace.
const SAMPLED: u8 = 0x01;
/// The last seven bytes of the trace's id are random.
const RANDOM: u8 = 0x02;
/// The flags that there are. All others are zero in what goes on (level 2, 3.2.2.5.3): nobody can
/// know what a caller means by them.
const KNOWN: u8 = SAMPLED | RANDOM;

/// The id of a trace, never zero. It is shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of a span, never zero. It is shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that whoever receives this is caused by.
    pub span_id: SpanId,
    /// The flags, of those that there are.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`. None comes of an invalid one, as §3.2.2 defines it: the receiver
    /// starts a trace of its own.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let version = hex(head.get(..2)?)?;
        let dashes = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
        let ends = match version {
            0 => rest.is_empty(),
            // §4.3: a later version may append fields.
            1..=0xfe => rest.is_empty() || rest.starts_with(b"-"),
            _ => false,
        };
        if !dashes || !ends {
            return None;
        }
        let trace_id = NonZeroU128::new(hex(head.get(3..35)?)?)?;
        let span_id = NonZeroU64::new(u64::try_from(hex(head.get(36..52)?)?).ok()?)?;
        let flags = u8::try_from(hex(head.get(53..)?)?).ok()?;
        Some(Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), flags: flags & KNOWN })
    }

    /// The first span of a new trace.
    #[must_use]
    pub fn start(sampling: Sampling, rng: &mut fastrand::Rng) -> Self {
        let trace_id = TraceId::random(rng);
        let sampled = if sampling.records(trace_id) { SAMPLED } else { 0 };
        Self { trace_id, span_id: SpanId::random(rng), flags: sampled | RANDOM }
    }

    /// A further span of the same trace.
    #[must_use]
    pub fn child(self, rng: &mut fastrand::Rng) -> Self {
        Self { span_id: SpanId::random(rng), ..self }
    }

    /// The same span, of a trace that is recorded, or is not.
    #[must_use]
    pub const fn recorded(self, is_sampled: bool) -> Self {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// Whether spans of the trace are recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of a `traceparent`, in version 00.
    #[must_use]
    pub fn format(self) -> [u8; LENGTH] {
        let mut text = [b'-'; LENGTH];
        digits(&mut text[..2], [0]);
        digits(&mut text[3..35], self.trace_id.0.get().to_be_bytes());
        digits(&mut text[36..52], self.span_id.0.get().to_be_bytes());
        digits(&mut text[53..], [self.flags]);
        text
    }
}

/// One request where it passes: the span that it is here, and what caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The span of this hop.
    pub context: TraceContext,
    /// The span that the request came with; none where the trace begins here.
    pub parent: Option<SpanId>,
    keeps_state: bool,
}

impl Hop {
    /// Goes on with the trace that the request belongs to, or starts one.
    #[must_use]
    pub fn of(headers: &HeaderMap, sampling: Sampling, rng: &mut fastrand::Rng) -> Self {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let only = all.next().filter(|_| all.next().is_none());
        match only.and_then(|value| TraceContext::parse(value.as_bytes())) {
            Some(caller) => Self {
                context: caller.child(rng),
                parent: Some(caller.span_id),
                keeps_state: state::is_valid(headers.get_all(TRACESTATE).iter()),
            },
            None => Self::first(sampling, rng),
        }
    }

    /// The `tracestate` that goes on with the trace, of the headers that the request came with:
    /// as it is, or none where it is invalid or belongs to no valid `traceparent` (§3.3).
    #[must_use]
    pub fn state(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if !self.keeps_state {
            return None;
        }
        let mut fields = headers.get_all(TRACESTATE).iter();
        let first = fields.next()?;
        let Some(second) = fields.next() else { return Some(first.clone()) };
        let all: Vec<&[u8]> =
            [first, second].into_iter().chain(fields).map(HeaderValue::as_bytes).collect();
        HeaderValue::from_bytes(&all.join(&b',')).ok()
    }

    /// The first hop of a new trace: of a request that says nothing of any.
    #[must_use]
    pub fn first(sampling: Sampling, rng: &mut fastrand::Rng) -> Self {
        let context = TraceContext::start(sampling, rng);
        Self { context, parent: None, keeps_state: false }
    }

    /// Writes it into the request on its way on. A `tracestate` stays as it is, unless it is
    /// invalid or belongs to no valid `traceparent` (§3.3).
    pub fn write(&self, headers: &mut HeaderMap) {
        self.write_with(headers, |text| HeaderValue::from_bytes(text).ok());
    }

    /// Does the same with a value that the caller makes of the text, by a cheaper way than an
    /// allocation for each.
    pub fn write_with(
        &self,
        headers: &mut HeaderMap,
        make: impl FnOnce(&[u8]) -> Option<HeaderValue>,
    ) {
        if !self.keeps_state {
            headers.remove(TRACESTATE);
        }
        if let Some(value) = make(&self.context.format()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

impl TraceId {
    fn random(rng: &mut fastrand::Rng) -> Self {
        // Every number is as likely as any other, but the one that stands in for zero.
        Self(NonZeroU128::new(rng.u128(..)).unwrap_or(NonZeroU128::MIN))
    }

    /// The 16 bytes of the id, the first digit first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The last eight bytes, as a number.
    pub(crate) const fn low(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl SpanId {
    fn random(rng: &mut fastrand::Rng) -> Self {
        Self(NonZeroU64::new(rng.u64(..)).unwrap_or(NonZeroU64::MIN))
    }

    /// The 8 bytes of the id, the first digit first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

/// Small letters only (§3.2.1). At most 32 digits.
fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Writes bytes in hexadecimal, two digits for each.
pub(crate) fn digits<const BYTES: usize>(text: &mut [u8], bytes: [u8; BYTES]) {
    let (places, _rest) = text.as_chunks_mut::<2>();
    for (place, byte) in places.iter_mut().zip(bytes) {
        *place = PAIRS[usize::from(byte)];
    }
}

/// Both digits of each byte: one look for a byte instead of two.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    pairs
};

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
