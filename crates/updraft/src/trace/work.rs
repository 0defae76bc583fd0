//! Spans of work that no request waits for: jobs, admin tasks, what the clock starts.

use std::borrow::Cow;

use tracing::{Instrument as _, Span};
use updraft_trace::TraceContext;

use super::ENTRY;
use super::layer::{Entry, Sampler, enter, finish, recorded, with_random};
use super::record::SpanKind;

/// The span of one attempt at a job, in the trace of whoever enqueued it; by the semantic
/// conventions for messaging.
pub(crate) fn job(queue: &str, kind: &str, id: &str, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(target: ENTRY, parent: None, "job", job_id = id, kind);
    let from = traceparent.and_then(|text| TraceContext::parse(text.as_bytes()));
    if enter(&span, |sampler| place(sampler, from, SpanKind::Consumer)) {
        recorded(&span, |record| {
            record.name = Cow::Owned(format!("process {kind}"));
            record.set("messaging.system", "updraft");
            record.set("messaging.operation.type", "process");
            record.set("messaging.operation.name", "process");
            record.set("messaging.destination.name", queue.to_owned());
            record.set("messaging.message.id", id.to_owned());
            record.set("updraft.job.kind", kind.to_owned());
        });
    }
    span
}

/// Works within a span, which ends with it.
pub(crate) async fn within<T>(span: Span, work: impl Future<Output = T>) -> T {
    let done = work.instrument(span.clone()).await;
    finish(&span);
    done
}

/// The first span of a trace that begins in the process itself: `what` is `task` or the like,
/// `name` which one.
pub(crate) fn root(what: &'static str, name: &str) -> Span {
    let span = tracing::info_span!(target: ENTRY, parent: None, "work", task = name);
    if enter(&span, |sampler| place(sampler, None, SpanKind::Internal)) {
        recorded(&span, |record| record.name = Cow::Owned(format!("{what} {name}")));
    }
    span
}

fn place(sampler: Sampler, from: Option<TraceContext>, kind: SpanKind) -> Entry {
    let (context, parent) = with_random(|rng| match from {
        Some(from) => (sampler.on_parent(from.child(rng)), Some(from.span_id)),
        None => (TraceContext::start(sampler.share(), rng), None),
    });
    Entry { context, parent, state: None, kind }
}
