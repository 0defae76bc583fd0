//! What a tap shows of one request: what the access log has, and the names of headers. A
//! value is shown only where it is on a list of harmless ones.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Protocol, Share};
use crate::Name;

/// One request that went along an edge, or was refused there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapEvent {
    /// When its head had come.
    pub time: Timestamp,
    /// The trace, in 32 hexadecimal digits.
    pub trace_id: String,
    /// The span of this hop, in 16 hexadecimal digits.
    pub span_id: String,
    /// Its `x-request-id`.
    pub request_id: String,
    /// The caller.
    pub from: Name,
    /// What is called.
    pub to: Name,
    /// Method and path template, or `other`.
    pub operation: String,
    /// The method.
    pub method: String,
    /// The path without query.
    pub path: String,
    /// The status; none where no response came.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// The endpoint of the last attempt.
    pub endpoint: Option<SocketAddr>,
    /// Why the gateway answered itself.
    pub refused: Option<String>,
    /// What is spoken.
    pub protocol: Protocol,
    /// Headers of the request, in order.
    pub request_headers: Vec<TapHeader>,
    /// Headers of the response, in order.
    pub response_headers: Vec<TapHeader>,
}

/// One header. Its value may be [`REDACTED`](TapHeader::REDACTED).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapHeader {
    /// The name, in small letters.
    pub name: String,
    /// The value.
    pub value: String,
}

impl TapHeader {
    /// What stands for a value that is not shown.
    pub const REDACTED: &'static str = "<redacted>";
}

/// A line of a tap's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tapped {
    /// The share of requests that this tap asked for.
    pub share: Share,
    /// Events that this tap has lost so far because its reader was slow.
    pub dropped: u64,
    /// The event.
    #[serde(flatten)]
    pub event: TapEvent,
}
