//! Redis's protocol, RESP2 and RESP3, as far as a bystander must know it: where messages begin
//! and end, and which reply belongs to which command.
//!
//! Source: "Redis serialization protocol specification" (redis.io) and `networking.c` of
//! Redis 7.0. Streamed strings and aggregates, which were planned for RESP3 and are spoken by
//! no server, are refused.

mod command;
mod framer;
mod session;

pub use framer::{Frame, Framer, Side};
pub(super) use session::Session;

const PROTOCOL: &str = "Redis";
