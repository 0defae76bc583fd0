//! The control API: HTTP/1 and JSON over a Unix socket in the system's state
//! directory. Whatever the command does to a running system goes through it;
//! `docs/reference/control-api.md` describes it.

mod client;
mod line_stream;
mod log_request;
mod routes;
mod server;

pub(crate) use client::{Client, ControlError, Lines};
pub(crate) use log_request::{LogRequest, parse_since};
pub(crate) use routes::Routes;
pub(crate) use server::{BindError, Listener, Server};

/// The media type of a stream of JSON lines.
const NDJSON: &str = "application/x-ndjson";
/// The media type of one JSON value.
const JSON: &str = "application/json";
/// The media type of an error, RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";
