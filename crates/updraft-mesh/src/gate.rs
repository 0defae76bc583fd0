//! The gate: what may pass of a request, a response and their trailers.
//!
//! Two servers that read one message differently are what request smuggling lives on, so the
//! gate lets through only what can be read in one way, and refuses the rest. It repairs
//! nothing: a sender that is wrong about framing may be wrong on purpose. The only fields
//! that go in silence are those that end at each hop anyway (RFC 9110, 7.6.1).
//!
//! There are two places. [`StrictIo`] lies under hyper's HTTP/1 server and reads the bytes
//! first. [`request`], [`response`] and [`trailers`] come after hyper's parser and hold for
//! HTTP/1 and HTTP/2 alike.

mod answers;
mod authority;
mod chunk;
mod fields;
mod forwarded;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod half_closed;
mod hop;
mod inbound;
mod line;
mod lingering;
mod path;
mod patience;
mod problem;
mod request;
mod response;
mod rule;
mod scan;
mod strict;
mod text;
mod trailers;

#[cfg(any(test, fuzzing))]
mod naive;
#[cfg(test)]
mod recorder;

#[cfg(test)]
#[path = "gate/corpus_tests.rs"]
mod corpus_tests;

pub(crate) use half_closed::Presence;
pub(crate) use inbound::{Inbound, InboundConfig, Kind, Pseudonym};
pub(crate) use patience::{Overdue, Patience};
pub(crate) use problem::{Refusal, is_grpc, problem, trailers_only};
pub(crate) use request::request;
pub(crate) use response::response;
pub(crate) use rule::Rule;
pub(crate) use scan::ScanLimits;
pub(crate) use strict::{Report, StrictIo};
pub(crate) use trailers::{Side, trailers};
