//! What holds for the wire of a whole system: `[mesh]` of the manifest.

use serde::{Deserialize, Serialize};

use super::{Authorization, Limits, TelemetryConfig};

/// The settings that all gateways of a system share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshSettings {
    /// Whether an undeclared call is refused, or only told of.
    pub authorization: Authorization,
    /// Where calls travel by mutual TLS.
    pub mtls: Mtls,
    /// Where spans go, and what is logged.
    pub telemetry: TelemetryConfig,
    /// Bounds of connections and messages.
    pub limits: Limits,
    /// The port at which the outside comes in. `None`: one that is promised to the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<u16>,
    /// Whether each connection from outside begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The port of `/metrics` and `/health/…`. `None`: one that is promised to the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<u16>,
}

/// Where calls travel by mutual TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mtls {
    /// From one gateway to another; a gateway and its programs share a machine and speak in
    /// plain.
    #[default]
    BetweenGateways,
    /// On one machine too: every call takes two hops, as between machines.
    Always,
}
