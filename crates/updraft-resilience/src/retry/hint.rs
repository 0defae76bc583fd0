//! When a server asks to come back: `Retry-After` of HTTP and the pushback of gRPC, read into
//! what a [`Verdict`] carries.
//!
//! What servers send is not to be trusted: every text gives an answer, and the answer is
//! capped by [`RetryConfig::hint_max`](super::RetryConfig::hint_max).

mod date;

use std::time::Duration;

use crate::Verdict;

/// Reads the value of `Retry-After` (RFC 9110 §10.2.3): a number of seconds, or a date in any
/// of the three forms that receivers have to accept (§5.6.7). A date in the past gives zero.
///
/// This crate reads no wall clock: `now_unix` is the present date in seconds since 1970, and
/// without it no date can be read. Nothing comes of what is in neither form.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::retry::hint::parse_retry_after;
///
/// assert_eq!(parse_retry_after("120", None), Some(Duration::from_secs(120)));
/// let date = "Sun, 06 Nov 1994 08:49:37 GMT";
/// assert_eq!(parse_retry_after(date, Some(784_111_770)), Some(Duration::from_secs(7)));
/// assert_eq!(parse_retry_after("soon", None), None);
/// ```
pub fn parse_retry_after(value: &str, now_unix: Option<u64>) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits only fail to be a number by being too many.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let now = now_unix?;
    Some(Duration::from_secs(date::parse(value, now)?.saturating_sub(now)))
}

/// What `grpc-retry-pushback-ms` says (gRFC A6, "Pushback").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Come back after this time.
    After(Duration),
    /// Do not come back at all.
    Never,
}

impl Pushback {
    /// What it means to every policy: throttled with a hint, or a failure that is not tried
    /// again.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::After(wait) => Verdict::Throttled(Some(wait)),
            Self::Never => Verdict::Fail,
        }
    }
}

/// Reads the value of `grpc-retry-pushback-ms`: milliseconds. A negative number, or what is
/// no number, is a server that wants no retry at all (gRFC A6).
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::retry::hint::{Pushback, parse_grpc_pushback};
///
/// assert_eq!(parse_grpc_pushback("250"), Pushback::After(Duration::from_millis(250)));
/// assert_eq!(parse_grpc_pushback("-1"), Pushback::Never);
/// ```
pub fn parse_grpc_pushback(value: &str) -> Pushback {
    match value.trim_matches([' ', '\t']).parse::<i64>().map(u64::try_from) {
        Ok(Ok(millis)) => Pushback::After(Duration::from_millis(millis)),
        _ => Pushback::Never,
    }
}

#[cfg(test)]
#[path = "hint/hint_tests.rs"]
mod tests;
