//! What is seen on the wire: metrics, reports, traces, the access log, taps. Programs need no
//! instrumentation for any of it, and none of it has a label that a client can invent.

mod access_log;
mod edge;
mod exporter;
mod exposition;
mod histogram;
mod otlp;
mod outcome;
mod registry;
mod span;
mod table;
mod tap;

pub use access_log::EventSink;
pub(crate) use access_log::{AccessLog, AccessRecord};
pub(crate) use edge::{
    EdgeMetrics, EdgeSpec, OpenConnection, OpenRequest, OperationId, RequestEnd,
};
pub(crate) use exporter::exporter;
pub(crate) use exposition::Format;
#[cfg(test)]
pub(crate) use outcome::{CodeClass, RetryReason};
pub(crate) use outcome::{Limit, NoProxyHeader, Outcome, Refused, Unrouted};
pub(crate) use registry::Registry;
pub(crate) use span::{Span, SpanKind, SpanQueue};
pub(crate) use tap::{TapSubscription, shown};
#[cfg(any(test, fuzzing))]
pub(crate) use updraft_trace::TraceContext;
pub(crate) use updraft_trace::{Hop, RequestId, Sampling};
