//! How many of the traces that begin here are recorded. The decision follows from the trace's id
//! alone (`TraceIdRatioBased` of OpenTelemetry), so that whoever asks twice, or elsewhere with
//! the same share, gets the same answer.

use crate::TraceId;

/// A share of all traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Ids whose last 63 bits are below this are recorded.
    below: u64,
}

/// The ids that the decision is made of: the last 63 bits of them.
const IDS: u64 = 1 << 63;

impl Sampling {
    /// Each of them.
    pub const ALL: Self = Self { below: IDS };

    /// None of them.
    pub const NONE: Self = Self { below: 0 };

    /// So many of a million, at most all.
    ///
    /// ```
    /// use updraft_trace::Sampling;
    ///
    /// assert_eq!(Sampling::per_million(1_000_000), Sampling::ALL);
    /// assert_eq!(Sampling::per_million(0), Sampling::NONE);
    /// ```
    #[must_use]
    pub const fn per_million(parts: u32) -> Self {
        const WHOLE: u64 = 1_000_000;
        if parts as u64 >= WHOLE {
            return Self::ALL;
        }
        Self { below: IDS / WHOLE * parts as u64 }
    }

    /// Whether the trace of this id is recorded.
    #[must_use]
    pub const fn records(self, trace: TraceId) -> bool {
        trace.low() >> 1 < self.below
    }
}
