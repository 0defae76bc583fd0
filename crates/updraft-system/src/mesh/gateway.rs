//! The whole configuration of one gateway. `updraft up` makes it from the graph and the
//! board; `updraft gateway --config FILE` reads it from a file. It is always the full state.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Calls, Operation, OperationPolicy, Protocol, Traffic};
use crate::Name;

/// Everything a gateway knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// The system: the trust domain of all identities.
    pub system: Name,
    /// Which state this is; a greater one is newer.
    #[serde(default)]
    pub version: u64,
    /// Whether an undeclared call is refused, or only told of.
    #[serde(default)]
    pub authorization: Authorization,
    /// The edges this gateway carries: out of its services, and into them.
    #[serde(default)]
    pub edges: Vec<EdgeConfig>,
    /// What edges lead to, by name of service or resource.
    #[serde(default)]
    pub clusters: BTreeMap<Name, ClusterConfig>,
    /// Where the outside comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressConfig>,
    /// Where other gateways come in, by mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshListener>,
    /// Where certificates come from; needed for the mesh listener and endpoints with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityConfig>,
    /// Where `/metrics` and `/health/live`, `/health/ready` are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
    /// Where spans go, and what is logged.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// Bounds of connections and messages.
    #[serde(default)]
    pub limits: Limits,
}

/// What becomes of a call that nobody declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authorization {
    /// Refused with 403, counted and logged.
    #[default]
    Enforce,
    /// Let through, counted and logged.
    Audit,
}

/// One edge: what `from` may ask of `to`, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    /// The caller.
    pub from: Name,
    /// The cluster that is called.
    pub to: Name,
    /// Where the caller connects; `None`: its gateway is another one, and comes in by
    /// mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Only these operations; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Operation>,
    /// How.
    #[serde(default)]
    pub calls: Calls,
}

/// A service or resource, and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// What its endpoints speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// What the bytes of a `tcp` cluster are, so that instruments can tell its messages apart.
    #[serde(default, skip_serializing_if = "Framing::is_opaque")]
    pub framing: Framing,
    /// All endpoints that may receive work now.
    #[serde(default)]
    pub endpoints: Vec<EndpointConfig>,
    /// Its operations, with what holds for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<Operation, OperationPolicy>,
    /// Traffic control.
    #[serde(default)]
    pub traffic: Traffic,
}

/// What the bytes of a TCP connection are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Bytes.
    #[default]
    Opaque,
    /// PostgreSQL, version 3.
    Postgres,
    /// Redis, RESP2 or RESP3.
    Redis,
}

impl Framing {
    /// Whether they are just bytes.
    pub const fn is_opaque(&self) -> bool {
        matches!(self, Self::Opaque)
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Which life of it this is: another one shares no connection and no statistics with it.
    #[serde(default)]
    pub incarnation: u64,
    /// The release it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Name>,
    /// Its part of the work relative to others. 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether it is another gateway, reached by mutual TLS.
    #[serde(default, skip_serializing_if = "EndpointTls::is_off")]
    pub tls: EndpointTls,
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointTls {
    /// In plain: a program on this machine.
    #[default]
    Off,
    /// By mutual TLS 1.3; it must be the service `spiffe://SYSTEM/CLUSTER`.
    Mutual,
}

impl EndpointTls {
    /// Whether it is in plain.
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }
}

/// Where the outside comes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether a proxy stands in front of it, which begins each connection with a header of the
    /// PROXY protocol, version 1 or 2, that says who connected. Off. Whoever can connect past
    /// that proxy can claim any address.
    #[serde(default, skip_serializing_if = "is_off")]
    pub proxy_protocol: bool,
    /// What is public. The longest path that fits a request decides; the host
    /// `SERVICE.localhost` leads to that service alone.
    #[serde(default)]
    pub routes: Vec<IngressRoute>,
    /// How public services are called.
    #[serde(default)]
    pub calls: Calls,
}

/// A public service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressRoute {
    /// The prefix of whole segments under which it is public.
    pub path: String,
    /// The cluster.
    pub to: Name,
}

/// Where other gateways come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshListener {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The services whose endpoints are behind it; each has an identity of its own.
    pub services: Vec<Name>,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The control socket of the `updraft up` that signs. `None`: whoever started the gateway
    /// signs itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<PathBuf>,
    /// The services this gateway speaks for.
    pub services: Vec<Name>,
}

/// Where spans go, and what is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Base address of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// One event for each request on stdout. Off.
    pub access_log: bool,
}

/// Bounds of connections and messages. All have a metric that counts what they refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of one listener at once; further ones wait in the kernel. 10,000.
    pub connections: u32,
    /// The head of a request, in bytes. 16 KiB.
    pub head_bytes: u32,
    /// Fields in a head. 100.
    pub head_fields: u32,
    /// The longest until a head is complete. 10 s.
    #[serde(with = "super::span")]
    pub head_timeout: Duration,
    /// The longest that a connection waits for its next request. 60 s.
    #[serde(with = "super::span")]
    pub keep_alive: Duration,
    /// The longest that a connection to an endpoint waits for its next request. 3 s.
    #[serde(with = "super::span")]
    pub upstream_idle: Duration,
    /// The longest until a connection to an endpoint is open. 1 s.
    #[serde(with = "super::span")]
    pub connect_timeout: Duration,
    /// Streams of one HTTP/2 connection at once. 128.
    pub streams: u32,
    /// Bytes of a request's body that are kept for another attempt. 64 KiB.
    pub replay_bytes: u32,
    /// The longest without a byte in a TCP tunnel that is open on both sides. 1 h.
    #[serde(with = "super::span")]
    pub tunnel_idle: Duration,
    /// The same once one side has ended. 30 s.
    #[serde(with = "super::span")]
    pub tunnel_linger: Duration,
    /// The longest that a drain waits for what is under way. 10 s.
    #[serde(with = "super::span")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 16 * 1024,
            head_fields: 100,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            streams: 128,
            replay_bytes: 64 * 1024,
            tunnel_idle: Duration::from_secs(3600),
            tunnel_linger: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

fn is_off(flag: &bool) -> bool {
    !flag
}

fn one() -> u32 {
    1
}
