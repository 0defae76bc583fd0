//! Which trace a request belongs to, and what it is called in the logs of all services: W3C
//! Trace Context (<https://www.w3.org/TR/trace-context-2/>) and `x-request-id`. Gateways and
//! services read and write both with this one crate, so that they never disagree about what is
//! valid. It does no I/O: headers come in, headers go out, randomness is brought along.
//!
//! ```
//! use updraft_trace::{Hop, Sampling, TraceContext};
//!
//! let mut headers = http::HeaderMap::new();
//! let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! headers.insert("traceparent", sent.parse()?);
//!
//! let hop = Hop::of(&headers, Sampling::ALL, &mut fastrand::Rng::new());
//! assert_eq!(hop.context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
//! assert_eq!(hop.parent.map(|span| span.to_string()).as_deref(), Some("00f067aa0ba902b7"));
//!
//! hop.write(&mut headers);
//! assert_eq!(TraceContext::parse(headers["traceparent"].as_bytes()), Some(hop.context));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod request_id;
mod sampling;
mod state;

pub use context::{Hop, SpanId, TraceContext, TraceId};
pub use request_id::RequestId;
pub use sampling::Sampling;
