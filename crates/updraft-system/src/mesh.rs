//! The wire: how calls travel along the edges of the graph, and the whole configuration of a
//! gateway. A gateway decides everything from one [`GatewayConfig`]: full state, no deltas.

mod calls;
mod gateway;
mod identity;
mod operation;
mod problems;
mod reader;
mod report;
mod settings;
mod span;
mod text;
mod traffic;

pub use calls::{
    Balance, BreakerPolicy, Calls, HashBy, Hop, InvalidBudget, InvalidRate, InvalidShare, Rate,
    RetryBudget, RetryOn, RetryPolicy, Share,
};
pub use gateway::{
    Authorization, ClusterConfig, EdgeConfig, EndpointConfig, EndpointTls, Framing, GatewayConfig,
    IdentityConfig, IngressConfig, IngressRoute, Limits, MeshListener, TelemetryConfig,
};
pub use identity::{
    BundleDocument, IdentityRequest, IdentityResponse, InvalidOctets, Octets, RotateAnswer,
    RotateRequest, Served,
};
pub use operation::{InvalidOperation, Operation, OperationPolicy, PathTemplate, Priority};
pub use problems::{GatewayProblem, Place, Severity};
pub use report::{
    BreakerState, CallCounts, CallRates, ClassCounts, ConnectionCounts, EdgeRates, EdgeReport,
    EdgeSide, EndpointReport, Latencies, OperationRates, OperationReport, TapEvent, TapHeader,
    Tapped, TunnelCounts, rate_between,
};
pub use settings::{MeshSettings, Mtls};
pub(crate) use text::{is_header, is_location, is_method, is_otlp_address};
pub use traffic::{
    Action, HeaderMatch, Matches, Mirror, Redirect, Rewrite, Split, Traffic, TrafficRule,
};

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// What is spoken on a port. It is declared, never guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1, with WebSocket and other declared upgrades.
    #[default]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    H2c,
    /// gRPC: HTTP/2 without TLS, whose outcome is in `grpc-status`.
    Grpc,
    /// Bytes in both directions.
    Tcp,
}

impl Protocol {
    /// Whether requests can be told apart.
    pub const fn is_http(self) -> bool {
        !matches!(self, Self::Tcp)
    }

    /// Its name in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}
