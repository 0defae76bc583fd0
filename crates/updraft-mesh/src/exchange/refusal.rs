//! Why a request gets an answer of the gateway itself, and that answer: it says who refused,
//! why, and what would help.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, Version, header};
use updraft_resilience::{Error, Rejection};
use updraft_system::Name;
use updraft_system::mesh::Redirect;

use super::attempt::{Cause, Failed};
use super::body::ResponseBody;
use crate::balance::NoEndpoint;
use crate::connection::Borrowed;
use crate::edge::Edge;
use crate::gate;
use crate::observe::{Outcome, Refused};
use crate::pool::SendError;

/// An answer of the gateway itself.
#[derive(Debug)]
pub(crate) struct Stop {
    status: StatusCode,
    /// The stable word for it.
    kind: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    location: Option<String>,
    /// How it is counted.
    pub(crate) outcome: Outcome,
    /// Whether the caller's connection ends instead.
    pub(crate) severs: bool,
    /// What the gate refused, if it was the gate.
    pub(crate) refusal: Option<Box<gate::Refusal>>,
}

impl Stop {
    fn new(status: StatusCode, kind: &'static str, detail: String, outcome: Outcome) -> Self {
        Self {
            status,
            kind,
            detail,
            retry_after: None,
            location: None,
            outcome,
            severs: false,
            refusal: None,
        }
    }

    fn refused(status: StatusCode, refused: Refused, detail: String) -> Self {
        Self::new(status, refused.as_str(), detail, Outcome::Refused(refused))
    }

    /// Nobody declared that this caller may ask for this.
    pub(crate) fn undeclared(edge: &Edge, method: &str, path: &str) -> Self {
        let (from, to) = (&edge.caller, &edge.key.to);
        let detail = format!(
            "`{from}` may not ask `{to}` for `{method} {path}`: add `\"{to}:{method} {path}\"` to \
             `needs` of `[service.{from}]` in updraft.toml"
        );
        Self::refused(StatusCode::FORBIDDEN, Refused::Unauthorized, detail)
    }

    /// There is no edge between these two.
    pub(crate) fn no_edge(from: &Name, to: &Name) -> Self {
        let detail = format!(
            "`{from}` may not call `{to}`: add `\"{to}\"` to `needs` of `[service.{from}]` in \
             updraft.toml"
        );
        Self::refused(StatusCode::FORBIDDEN, Refused::Unauthorized, detail)
    }

    /// Whoever connected is not the caller whose port it is.
    pub(crate) fn borrowed(edge: &Edge, borrowed: &Borrowed) -> Self {
        let (from, to) = (&edge.caller, &edge.key.to);
        let who = match borrowed {
            Borrowed::Process { uid: Some(uid) } => format!("a process of user {uid}"),
            Borrowed::Process { uid: None } => "a process that is gone".to_owned(),
        };
        let detail = format!(
            "this port carries calls of `{from}` to `{to}`, and {who} that is not of `{from}` \
             connected: a service that calls `{to}` has it in its `needs` and gets a port of its \
             own"
        );
        Self::refused(StatusCode::FORBIDDEN, Refused::Unauthorized, detail)
    }

    /// The edge was withdrawn while its connection lived.
    pub(crate) fn withdrawn() -> Self {
        let detail = "this call is not declared any more".to_owned();
        Self::refused(StatusCode::FORBIDDEN, Refused::Unauthorized, detail)
    }

    /// Nothing is public there.
    pub(crate) fn no_route(path: &str) -> Self {
        let detail = format!(
            "nothing is public under `{path}`: a service is public where its `route` in \
             updraft.toml says"
        );
        Self::refused(StatusCode::NOT_FOUND, Refused::NoRoute, detail)
    }

    /// The body of the request took longer than the whole call may.
    pub(crate) fn slow_request() -> Self {
        let detail = "the body of the request did not come in time".to_owned();
        Self::refused(StatusCode::REQUEST_TIMEOUT, Refused::Deadline, detail)
    }

    /// A fault on purpose.
    pub(crate) fn aborted(status: u16, rule: Option<&Name>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let rule = rule.map_or(String::new(), |rule| format!(" by the rule `{rule}`"));
        Self::refused(status, Refused::Injected, format!("a fault on purpose{rule}"))
    }

    /// Elsewhere.
    pub(crate) fn redirect(redirect: &Redirect) -> Self {
        let status =
            StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT);
        let detail = format!("it is at {}", redirect.to);
        let outcome = Outcome::Status(status.as_u16());
        Self {
            location: Some(redirect.to.clone()),
            ..Self::new(status, "redirect", detail, outcome)
        }
    }

    /// What the policy of the edge refused, or its last attempt failed with.
    pub(crate) fn failed(edge: &Edge, error: Error<Failed>) -> Self {
        match error {
            Error::Rejected(rejection) => Self::rejected(edge, rejection),
            Error::Inner(failed) => Self::cause(edge, failed.cause),
        }
    }

    fn rejected(edge: &Edge, rejection: Rejection) -> Self {
        let (from, to) = (&edge.caller, &edge.key.to);
        let status = match rejection {
            Rejection::Deadline(_) => StatusCode::GATEWAY_TIMEOUT,
            Rejection::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let detail = format!("the gateway between `{from}` and `{to}`: {rejection}");
        let stop = Self::refused(status, rejection.into(), detail);
        Self { retry_after: rejection.retry_after(), ..stop }
    }

    fn cause(edge: &Edge, cause: Cause) -> Self {
        let to = &edge.key.to;
        match cause {
            Cause::NoEndpoint(none) => {
                let (refused, retry_after) = match &none {
                    NoEndpoint::Open { retry_after } => (Refused::Open, Some(*retry_after)),
                    NoEndpoint::Empty | NoEndpoint::NoVersion(_) => (Refused::NoEndpoint, None),
                };
                let detail = format!("`{to}` cannot be asked: {none}");
                let stop = Self::refused(StatusCode::SERVICE_UNAVAILABLE, refused, detail);
                Self { retry_after, ..stop }
            }
            Cause::Timeout(_) => {
                let detail = format!("`{to}`: {cause}");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail, Outcome::Error)
            }
            // Its status does not reach anybody when the client has gone.
            Cause::Send(SendError::Request(_)) => {
                let detail = "the body of the request broke off".to_owned();
                Self::new(StatusCode::BAD_REQUEST, "broken_request", detail, Outcome::Error)
            }
            Cause::Send(error) => {
                let detail = format!("`{to}` did not answer: {}", chain(&error));
                Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", detail, Outcome::Error)
            }
            Cause::Cut => {
                let detail = format!("the call of `{to}` was cut on purpose");
                let stop = Self::refused(StatusCode::BAD_GATEWAY, Refused::Injected, detail);
                Self { severs: true, ..stop }
            }
        }
    }

    /// The endpoint's answer broke a rule.
    pub(crate) fn bad_response(refusal: gate::Refusal) -> Self {
        let outcome = Outcome::Refused(Refused::BadResponse);
        Self { outcome, ..Self::from(refusal) }
    }

    /// The answer; `grpc` where the request is one of gRPC.
    pub(crate) fn response(
        self,
        version: Version,
        request_id: Option<&str>,
        grpc: bool,
    ) -> Response<ResponseBody> {
        if let Some(refusal) = &self.refusal {
            return refusal.response(version, request_id, grpc).map(ResponseBody::own);
        }
        let response = if grpc {
            gate::trailers_only(self.status, &self.detail)
        } else {
            gate::problem(self.status, self.kind, &self.detail, request_id)
        };
        let mut response = response.map(ResponseBody::own);
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: sooner would be refused again.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(location) = self.location.and_then(|to| HeaderValue::try_from(to).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

impl From<gate::Refusal> for Stop {
    fn from(refusal: gate::Refusal) -> Self {
        let outcome = Outcome::Refused(Refused::GateRule);
        let stop = Self::new(refusal.status, refusal.rule.name(), String::new(), outcome);
        Self { refusal: Some(Box::new(refusal)), ..stop }
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}
