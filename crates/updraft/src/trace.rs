//! Traces: which trace the work in hand belongs to, in logs, in calls and in what is exported.
//!
//! Every request, job and task is a span of a trace, whether spans are exported or not: the ids
//! stand on each line of the log that is written inside of it, and go on with each call that is
//! made on its behalf (W3C Trace Context). Where a collector is configured, those spans and the
//! ones that `#[tracing::instrument]` and `tracing::info_span!` make inside of them are sent to
//! it.

mod call;
#[cfg(feature = "testing")]
mod capture;
mod export;
mod layer;
mod on_demand;
mod record;
mod request;
mod settings;
mod work;

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{Dispatch, Span, span};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::in_hand::InHand;

pub(crate) use call::CallSpan;
#[cfg(feature = "testing")]
pub(crate) use capture::Spans;
#[cfg(feature = "testing")]
pub use capture::{CapturedSpan, SpanValue};
pub(crate) use export::{Exporter, ExporterHandle, Resource};
#[cfg(test)]
pub(crate) use layer::Sampler;
pub(crate) use layer::{SpanLayer, SpanTrace, with_random};
pub(crate) use on_demand::OnDemand;
pub(crate) use request::RequestSpan;
pub(crate) use settings::{ExportSettings, Settings};
pub(crate) use work::{job, root, within};

pub use updraft_trace::{SpanId, TraceContext, TraceId};

/// The target of the spans that a trace enters the process by, and leaves it by. They are made
/// at every level of the log.
pub(crate) const ENTRY: &str = "updraft::span";

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace, and the span of it, that the work in hand belongs to; none outside of requests,
/// jobs, tasks and exported spans.
///
/// ```
/// if let Some(trace) = updraft::trace::current() {
///     println!("see trace {}", trace.trace_id);
/// }
/// ```
#[must_use]
pub fn current() -> Option<TraceContext> {
    Some(here()?.context)
}

/// The value of a `traceparent` for work that the current one causes later or elsewhere, such
/// as a job.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let text = current()?.format();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Puts the current trace into the headers of a call, in place of what is there: `traceparent`,
/// and the `tracestate` that the request in hand came with. Outside of any trace nothing
/// happens.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// updraft::trace::inject(&mut headers);
/// assert!(headers.is_empty(), "nothing is being traced here");
/// ```
pub fn inject(headers: &mut HeaderMap) {
    if let Some(found) = here() {
        found.write(headers);
    }
}

/// Says something of the span in hand, where that is exported: of a request, inside of it.
pub(crate) fn mark(name: &'static str, value: &'static str) {
    if !is_in_unrecorded() {
        layer::recorded(&Span::current(), |record| record.set(name, value));
    }
}

/// What goes on of a trace.
struct Outgoing {
    context: TraceContext,
    state: Option<HeaderValue>,
}

impl Outgoing {
    fn write(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_bytes(&self.context.format()) {
            headers.insert(TRACEPARENT, value);
            headers.remove(TRACESTATE);
            if let Some(state) = self.state {
                headers.insert(TRACESTATE, state);
            }
        }
    }
}

/// Where the code that runs stands.
fn here() -> Option<Outgoing> {
    // A request without a span has no spans inside of it either.
    let of_request = InHand::current(|hand| hand.span().is_due().then(|| hand.span().outgoing()));
    of_request.flatten().unwrap_or_else(|| around(&Span::current()))
}

/// Whether this is inside of a request of which nothing is recorded, and of nothing else.
fn is_in_unrecorded() -> bool {
    InHand::current(|hand| hand.span().is_due()).unwrap_or_default()
}

/// The nearest traced span, from this one outwards.
fn around(span: &Span) -> Option<Outgoing> {
    with_span(span, |_, span| {
        span.scope().find_map(|span| {
            let extensions = span.extensions();
            let trace: &SpanTrace = extensions.get()?;
            Some(Outgoing { context: trace.context(), state: trace.state() })
        })
    })?
}

/// Looks at a span where our subscriber keeps it; `None` for one that is disabled, or another
/// subscriber's.
fn with_span<T>(
    span: &Span,
    look: impl FnOnce(&SpanLayer, SpanRef<'_, Registry>) -> T,
) -> Option<T> {
    let look = |(id, dispatch): (&span::Id, &Dispatch)| {
        let layers = dispatch.downcast_ref().map(OnDemand::inner);
        let (layer, registry): (&SpanLayer, &Registry) = match layers {
            Some(layers) => (layers.downcast_ref()?, layers.downcast_ref()?),
            None => (dispatch.downcast_ref()?, dispatch.downcast_ref()?),
        };
        Some(look(layer, registry.span(id)?))
    };
    span.with_subscriber(look)?
}
