//! What a gateway tells of its edges: the answer of the control API that `updraft top` and
//! `updraft graph` are made of. Everything is a counter or a state, so that a reader computes
//! rates and percentiles between any two reports by itself: [`rate_between`].

mod latency;
mod rates;
mod tap;

pub use latency::Latencies;
pub use rates::{CallRates, EdgeRates, OperationRates, rate_between};
pub use tap::{TapEvent, TapHeader, Tapped};

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Protocol;
use crate::Name;

/// One edge of the graph at one moment, as one gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// The caller.
    pub from: Name,
    /// What is called.
    pub to: Name,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whose gateway reports. A call between two gateways is in the reports of both.
    pub side: EdgeSide,
    /// When the gateway was started, in milliseconds since 1970: which life of it this is.
    /// Counters begin at zero with each life.
    pub started_unix_ms: u64,
    /// When the report was made, in milliseconds since that start. It never goes back.
    pub taken_ms: u64,
    /// All operations together.
    pub totals: CallCounts,
    /// Each operation that has been called; `other` is what no operation fits.
    pub operations: Vec<OperationReport>,
    /// How long it took until the head of the response.
    pub first_byte: Latencies,
    /// Attempts after a failed one, by reason.
    pub retries: BTreeMap<String, u64>,
    /// Requests that the gateway answered itself, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Undeclared calls that were let through, because authorization only audits.
    pub undeclared: u64,
    /// Bytes of bodies of requests.
    pub request_bytes: u64,
    /// Bytes of bodies of responses.
    pub response_bytes: u64,
    /// Requests under way.
    pub active_requests: u64,
    /// Open connections.
    pub connections: ConnectionCounts,
    /// Plain TCP and upgraded connections.
    pub tunnels: TunnelCounts,
    /// The endpoints.
    pub endpoints: Vec<EndpointReport>,
}

/// Whose gateway it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeSide {
    /// The caller's: the call is on its way out.
    #[default]
    Client,
    /// That of what is called: the call comes in from another gateway.
    Server,
}

impl EdgeSide {
    /// Its name in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// One operation of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationReport {
    /// Method and path template, or `other`.
    pub operation: String,
    /// Its calls.
    #[serde(flatten)]
    pub calls: CallCounts,
}

/// Calls by their end, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCounts {
    /// By class of status.
    pub classes: ClassCounts,
    /// From the head of the request to the end of the response.
    pub latencies: Latencies,
}

/// Calls by class of status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassCounts {
    /// Connections that were upgraded.
    #[serde(rename = "1xx")]
    pub informational: u64,
    /// Successes.
    #[serde(rename = "2xx")]
    pub success: u64,
    /// Redirects.
    #[serde(rename = "3xx")]
    pub redirect: u64,
    /// The caller's mistakes.
    #[serde(rename = "4xx")]
    pub client_error: u64,
    /// Failures of what is called.
    #[serde(rename = "5xx")]
    pub server_error: u64,
    /// Answered by the gateway itself.
    pub refused: u64,
    /// No answer came, or it broke off.
    pub error: u64,
}

impl ClassCounts {
    /// All calls.
    pub const fn all(&self) -> u64 {
        let good = self.informational.saturating_add(self.success).saturating_add(self.redirect);
        good.saturating_add(self.client_error).saturating_add(self.failed())
    }

    /// Calls that did not get what they asked for through no mistake of their own: 5xx,
    /// refused, error.
    pub const fn failed(&self) -> u64 {
        self.server_error.saturating_add(self.refused).saturating_add(self.error)
    }
}

/// Open connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// From callers to the gateway.
    pub caller: u64,
    /// From the gateway to endpoints.
    pub endpoint: u64,
}

/// Plain TCP and upgraded connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelCounts {
    /// Open ones.
    pub active: u64,
    /// All there have been.
    pub opened: u64,
    /// Bytes from callers to endpoints.
    pub bytes_to_endpoint: u64,
    /// Bytes from endpoints to callers.
    pub bytes_to_caller: u64,
}

/// One endpoint of an edge, as the balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Where it listens.
    pub address: SocketAddr,
    /// Which life of it this is.
    pub incarnation: u64,
    /// The release it runs.
    pub version: Option<Name>,
    /// Its part of the work.
    pub weight: u32,
    /// Attempts under way.
    pub active_requests: u64,
    /// The moving average of its latency, in nanoseconds, once there is one.
    pub latency_nanos: Option<u64>,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// It is left alone now.
    pub ejected: bool,
    /// Attempts that ended.
    pub requests: u64,
    /// Of these, those that failed.
    pub failures: u64,
}

/// Where a circuit breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    #[default]
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls find out whether it is well again.
    HalfOpen,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Its name in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
