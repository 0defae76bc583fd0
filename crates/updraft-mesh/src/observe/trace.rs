//! W3C Trace Context (<https://www.w3.org/TR/trace-context-2/>): which trace a request belongs
//! to, and the span of this hop in it. B3 and others are not read.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, HeaderName};
use updraft_system::mesh::Share;

use super::trace_state;
use crate::values;

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
pub(crate) struct TraceId(NonZeroU128);

/// The id of a span, never zero. It is shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SpanId(NonZeroU64);

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace.
    pub(crate) trace_id: TraceId,
    /// The span that whoever receives this is caused by.
    pub(crate) span_id: SpanId,
    /// The flags, of those that there are.
    pub(crate) flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`. None comes of an invalid one, as §3.2.2 defines it: the receiver
    /// starts a trace of its own.
    #[must_use]
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
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
    pub(crate) fn start(sampling: Sampling, rng: &mut fastrand::Rng) -> Self {
        let sampled = if sampling.decide(rng) { SAMPLED } else { 0 };
        Self {
            trace_id: TraceId::random(rng),
            span_id: SpanId::random(rng),
            flags: sampled | RANDOM,
        }
    }

    /// Whether spans of the trace are recorded.
    #[must_use]
    pub(crate) const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of a `traceparent`, in version 00.
    #[must_use]
    pub(crate) fn format(self) -> [u8; LENGTH] {
        let mut text = [b'-'; LENGTH];
        digits(&mut text[..2], [0]);
        digits(&mut text[3..35], self.trace_id.0.get().to_be_bytes());
        digits(&mut text[36..52], self.span_id.0.get().to_be_bytes());
        digits(&mut text[53..], [self.flags]);
        text
    }
}

/// How many of the traces that begin here are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampling(Share);

impl Default for Sampling {
    /// 10 %.
    fn default() -> Self {
        Self(Share::percent(10))
    }
}

impl Sampling {
    /// This share of them.
    #[cfg(test)]
    #[must_use]
    pub(crate) const fn new(share: Share) -> Self {
        Self(share)
    }

    fn decide(self, rng: &mut fastrand::Rng) -> bool {
        rng.u32(..Share::WHOLE) < self.0.parts()
    }
}

/// One request at one gateway: the span that it is here, and what caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The span of this hop.
    pub(crate) context: TraceContext,
    /// The span that the request came with; none where the trace begins here.
    pub(crate) parent: Option<SpanId>,
    keeps_state: bool,
}

impl Hop {
    /// Goes on with the trace that the request belongs to, or starts one.
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap, sampling: Sampling, rng: &mut fastrand::Rng) -> Self {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let only = all.next().filter(|_| all.next().is_none());
        match only.and_then(|value| TraceContext::parse(value.as_bytes())) {
            Some(caller) => Self {
                context: TraceContext { span_id: SpanId::random(rng), ..caller },
                parent: Some(caller.span_id),
                keeps_state: trace_state::is_valid(headers.get_all(TRACESTATE).iter()),
            },
            None => Self {
                context: TraceContext::start(sampling, rng),
                parent: None,
                keeps_state: false,
            },
        }
    }

    /// Writes it into the request on its way on. A `tracestate` stays as it is, unless it is
    /// invalid or belongs to no valid `traceparent` (§3.3).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if !self.keeps_state {
            headers.remove(TRACESTATE);
        }
        if let Some(value) = values::joined(&[&self.context.format()]) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

impl TraceId {
    fn random(rng: &mut fastrand::Rng) -> Self {
        Self(NonZeroU128::new(rng.u128(1..)).unwrap_or(NonZeroU128::MIN))
    }
}

impl SpanId {
    fn random(rng: &mut fastrand::Rng) -> Self {
        Self(NonZeroU64::new(rng.u64(1..)).unwrap_or(NonZeroU64::MIN))
    }
}

/// A source of ids, seeded by the operating system: one for each data thread.
#[must_use]
pub(crate) fn random() -> fastrand::Rng {
    let mut seed = [0; 8];
    match rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => fastrand::Rng::with_seed(u64::from_ne_bytes(seed)),
        // An old kernel in its first seconds: time and thread have to do.
        _ => fastrand::Rng::new(),
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

fn digits<const BYTES: usize>(text: &mut [u8], bytes: [u8; BYTES]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (places, byte) in text.chunks_exact_mut(2).zip(bytes) {
        let of = |half: u8| DIGITS[usize::from(half)];
        places.copy_from_slice(&[of(byte >> 4), of(byte & 0xf)]);
    }
}

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
#[path = "trace_tests.rs"]
mod tests;
