//! A deadline on the wire: the time that is left, because clocks of two machines agree about
//! spans but not about moments.
//!
//! gRPC has [`grpc-timeout`](GRPC_TIMEOUT). HTTP has no standard header for it; the most
//! widely understood one is Envoy's [`x-envoy-expected-rq-timeout-ms`](EXPECTED_TIMEOUT_MS),
//! which Envoy sets for what is behind it, and obeys from what is before it
//! (`respect_expected_rq_timeout`). So that is what is written here; a header of another name
//! that counts milliseconds, such as `connect-timeout-ms` of the Connect protocol, is read
//! and written by the same functions.
//!
//! What is written is rounded down, so that a callee never believes it has more time than its
//! caller. What is read is a wish of the caller: pass it through [`received`],
//! which never exceeds the ambient one.
//!
//! ```
//! use std::time::Duration;
//! use updraft_resilience::ManualClock;
//! use updraft_resilience::deadline::header;
//!
//! let now = ManualClock::new().now();
//! let left = header::parse_grpc_timeout("1500m");
//! assert_eq!(left, Some(Duration::from_millis(1500)));
//! let deadline = header::received(left.unwrap_or_default(), now);
//! assert_eq!(header::format_timeout_ms(deadline.remaining(now)), "1500");
//! ```

use std::time::Duration;

use super::Deadline;
use crate::Instant;

/// The header of gRPC over HTTP/2.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Envoy's header with the time in which a request is expected to be complete.
pub const EXPECTED_TIMEOUT_MS: &str = "x-envoy-expected-rq-timeout-ms";

/// The deadline of a request that arrived now with so much time left: never later than the
/// ambient one.
#[must_use]
pub fn received(remaining: Duration, now: Instant) -> Deadline {
    Deadline::after(now, remaining).within_current()
}

/// The units of `grpc-timeout`, in nanoseconds, the finest first.
const UNITS: [(char, u64); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

/// The most that the eight digits of `grpc-timeout` can say.
const MOST: u128 = 99_999_999;

/// Writes the value of `grpc-timeout` ("gRPC over HTTP2", `Timeout`): at most eight digits of
/// the finest unit that they are enough for, rounded down.
#[must_use]
pub fn format_grpc_timeout(remaining: Duration) -> String {
    let nanos = remaining.as_nanos();
    UNITS
        .into_iter()
        .map(|(unit, size)| (nanos / u128::from(size), unit))
        .find(|(count, _)| *count <= MOST)
        .map_or_else(|| format!("{MOST}H"), |(count, unit)| format!("{count}{unit}"))
}

/// Reads the value of `grpc-timeout`: one to eight digits and a unit of `H M S m u n`.
/// Nothing comes of anything else.
pub fn parse_grpc_timeout(value: &str) -> Option<Duration> {
    let unit = value.chars().next_back()?;
    let digits = value.strip_suffix(unit)?;
    let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    if digits.len() > 8 {
        return None;
    }
    // Ninety-nine million hours are more nanoseconds than 64 bits can count.
    let nanos = u128::from(digits_only(digits)?) * u128::from(size);
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

/// Writes whole milliseconds, rounded down, but at least one, as Envoy does: zero means "no
/// limit" to it. A call without any time left is better not sent.
#[must_use]
pub fn format_timeout_ms(remaining: Duration) -> String {
    remaining.as_millis().clamp(1, u128::from(u64::MAX)).to_string()
}

/// Reads whole milliseconds. Nothing comes of what is no number, of zero, which means "no
/// limit" to Envoy, and of numbers that are none of a sane clock (beyond 64 bits).
pub fn parse_timeout_ms(value: &str) -> Option<Duration> {
    digits_only(value).filter(|millis| *millis > 0).map(Duration::from_millis)
}

/// Unlike `parse`, takes no sign.
fn digits_only(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
