//! What the outcome of an attempt means: for the breaker of its address, and for the question
//! whether there may be another one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, StatusCode, header};
use updraft_resilience::retry::hint;
use updraft_resilience::{Classify, Verdict};

use super::CallError;
use super::attempt::{Answer, Failure};

/// Reads the meaning that an attempt has found itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning;

impl Classify<Answer, Failure> for Meaning {
    fn classify(&self, outcome: Result<&Answer, &Failure>) -> Verdict {
        match outcome {
            Ok(answer) => answer.verdict,
            Err(failure) => failure.verdict,
        }
    }

    /// An attempt bounds its own time, because it knows whether it may be repeated; what the
    /// policy cuts off is over for good.
    fn timed_out(&self) -> Verdict {
        Verdict::Fail
    }
}

/// Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE]
        .contains(method)
}

/// What an answer means. 502, 503 and 504 come from a service that is away behind somebody who
/// is not, or not ready; another attempt may find one that is. A 500 is a fault that would be
/// found again.
pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, repeatable: bool) -> Verdict {
    match status.as_u16() {
        // Another attempt is being answered still (draft-ietf-httpapi-idempotency-key-header).
        409 if repeatable => match retry_after(headers) {
            Some(wait) => Verdict::Throttled(Some(wait)),
            None => Verdict::Success,
        },
        429 if repeatable => Verdict::Throttled(retry_after(headers)),
        // It was refused, which says nothing of how well the service is.
        429 => Verdict::Ignore,
        502..=504 if repeatable => match retry_after(headers) {
            Some(wait) => Verdict::Throttled(Some(wait)),
            None => Verdict::Retry,
        },
        500..=599 => Verdict::Fail,
        _ => Verdict::Success,
    }
}

/// What a failure means. What never reached the service may always be sent again.
pub(super) fn of_error(error: &CallError, repeatable: bool) -> Verdict {
    match error {
        CallError::Connect(_) => Verdict::Retry,
        CallError::Broken(_) | CallError::Timeout(_) if repeatable => Verdict::Retry,
        CallError::Broken(_) | CallError::Timeout(_) => Verdict::Fail,
        _ => Verdict::Ignore,
    }
}

/// `Retry-After` of the answer.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
    hint::parse_retry_after(value, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_repeated_is() {
        let methods = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "X"];
        let idempotent = methods.map(|it| is_idempotent(&it.parse().unwrap()));
        assert_eq!(idempotent, [true, true, true, true, true, true, false, false, false]);
    }

    #[test]
    fn statuses_mean_this() {
        use Verdict::{Fail, Ignore, Retry, Success, Throttled};
        let second = Some(Duration::from_secs(1));
        let table = [
            (200, None, Success, Success),
            (304, None, Success, Success),
            (400, None, Success, Success),
            (404, Some("1"), Success, Success),
            (409, None, Success, Success),
            (409, Some("1"), Throttled(second), Success),
            (429, Some("1"), Throttled(second), Ignore),
            (429, None, Throttled(None), Ignore),
            (500, Some("1"), Fail, Fail),
            (501, None, Fail, Fail),
            (502, None, Retry, Fail),
            (503, None, Retry, Fail),
            (503, Some("1"), Throttled(second), Fail),
            (503, Some("soon"), Retry, Fail),
            (504, None, Retry, Fail),
            (505, None, Fail, Fail),
        ];
        for (status, after, repeatable, once) in table {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(header::RETRY_AFTER, after.parse().unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            let found = [true, false].map(|it| of_answer(status, &headers, it));
            assert_eq!(found, [repeatable, once], "{status} {after:?}");
        }
    }
}
