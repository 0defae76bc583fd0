//! What a response means to its endpoint's breaker and to retries.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use updraft_system::mesh::{Protocol, RetryOn};

use crate::balance::Outcome;
use crate::observe::Outcome as Counted;
use crate::policy;

/// Statuses of gRPC that say something about the endpoint (grpc/doc/statuscodes.md).
const DEADLINE_EXCEEDED: u16 = 4;
const RESOURCE_EXHAUSTED: u16 = 8;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

/// The meaning of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// For the endpoint.
    pub(crate) outcome: Outcome,
    /// What might be tried again.
    pub(crate) failure: Option<RetryOn>,
    /// When the endpoint wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl Meaning {
    /// That of the head of a response. A gRPC status in trailers comes too late for it.
    pub(crate) fn of<B>(response: &Response<B>, protocol: Protocol) -> Self {
        let status = response.status();
        let failure = policy::failed_status(status);
        let retry_after = failure.and_then(|_| policy::retry_after(response.headers()));
        if protocol == Protocol::Grpc
            && let Some(code) = grpc_status(response.headers())
        {
            return Self::of_grpc(code);
        }
        let outcome = match (status, retry_after) {
            (StatusCode::TOO_MANY_REQUESTS, _) => {
                Outcome::Overloaded { retry_after, failed: false }
            }
            (StatusCode::SERVICE_UNAVAILABLE, Some(_)) => {
                Outcome::Overloaded { retry_after, failed: true }
            }
            // The endpoint is well, it only cannot do this.
            (StatusCode::NOT_IMPLEMENTED, _) => Outcome::Success,
            (status, _) if status.is_server_error() => Outcome::Failure,
            _ => Outcome::Success,
        };
        Self { outcome, failure, retry_after }
    }

    fn of_grpc(code: u16) -> Self {
        let (outcome, failure) = match code {
            UNAVAILABLE => (Outcome::Failure, Some(RetryOn::GrpcUnavailable)),
            DEADLINE_EXCEEDED | INTERNAL => (Outcome::Failure, None),
            RESOURCE_EXHAUSTED => (Outcome::Overloaded { retry_after: None, failed: false }, None),
            _ => (Outcome::Success, None),
        };
        Self { outcome, failure, retry_after: None }
    }
}

/// How a response is counted, as far as its head tells.
pub(crate) fn outcome<B>(response: &Response<B>, protocol: Protocol) -> Counted {
    if protocol == Protocol::Grpc
        && let Some(code) = grpc_status(response.headers())
    {
        return Counted::Grpc(u32::from(code));
    }
    Counted::Status(response.status().as_u16())
}

/// The status of gRPC, in a head or in trailers.
pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, headers: &[(&'static str, &str)], protocol: Protocol) -> Meaning {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        Meaning::of(&response, protocol)
    }

    #[test]
    fn what_a_response_means_depends_on_status_and_hint() {
        use Outcome::{Failure, Overloaded, Success};
        let second = Some(Duration::from_secs(1));
        for (status, headers, outcome, failure) in [
            (200, vec![], Success, None),
            (404, vec![], Success, None),
            (403, vec![], Success, None),
            (500, vec![], Failure, Some(RetryOn::Status(500))),
            (501, vec![], Success, Some(RetryOn::Status(501))),
            (503, vec![], Failure, Some(RetryOn::Status(503))),
            (
                503,
                vec![("retry-after", "1")],
                Overloaded { retry_after: second, failed: true },
                Some(RetryOn::Status(503)),
            ),
            (
                429,
                vec![("retry-after", "1")],
                Overloaded { retry_after: second, failed: false },
                Some(RetryOn::Status(429)),
            ),
        ] {
            let meaning = meaning(status, &headers, Protocol::Http1);
            assert_eq!((meaning.outcome, meaning.failure), (outcome, failure), "{status}");
        }
    }

    #[test]
    fn grpc_hides_failures_behind_200() {
        use Outcome::{Failure, Success};
        for (code, outcome, failure) in [
            ("0", Success, None),
            ("7", Success, None),
            ("14", Failure, Some(RetryOn::GrpcUnavailable)),
            ("13", Failure, None),
        ] {
            let meaning = meaning(200, &[("grpc-status", code)], Protocol::Grpc);
            assert_eq!((meaning.outcome, meaning.failure), (outcome, failure), "{code}");
        }
        assert_eq!(meaning(200, &[("grpc-status", "14")], Protocol::Http1).outcome, Success);
    }
}
