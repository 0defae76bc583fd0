//! Traces and spans of `tracing` brought together: which span is which span of which trace,
//! and, where spans are exported, what is recorded of them.
//!
//! It is a layer of our own rather than `tracing-opentelemetry`, because the ids of a span must
//! be known when it begins (they go into logs and calls also while nothing is exported), and
//! because a trace that is not sampled must cost nothing.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::HeaderValue;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Span, span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use updraft_trace::{Sampling, SpanId, TraceContext};

use super::export::SpanQueue;
use super::record::{FinishedSpan, SpanEvent, SpanKind, SpanRecord};
use super::{ENTRY, is_in_unrecorded, with_span};
use crate::log::{Fields, Value};

/// The least severe spans that are exported.
const SPANS: Level = Level::INFO;
/// The least severe events that are exported with their span.
const EVENTS: Level = Level::WARN;

/// Which of the traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampler {
    /// Of those that begin here, or of all.
    pub(super) share: Sampling,
    /// Whether a caller's decision is kept.
    pub(super) parent_based: bool,
}

impl Sampler {
    /// Keeps the decision of a caller, and records all of what has none.
    #[cfg(test)]
    pub(crate) fn of_callers() -> Self {
        Self { share: Sampling::ALL, parent_based: true }
    }

    pub(super) fn share(self) -> Sampling {
        self.share
    }

    /// The decision on a trace that came from elsewhere.
    pub(super) fn on_parent(self, context: TraceContext) -> TraceContext {
        if self.parent_based {
            return context;
        }
        context.recorded(self.share.records(context.trace_id))
    }
}

/// The place of a span of the process in its trace.
#[derive(Debug)]
pub(crate) struct SpanTrace {
    context: TraceContext,
    parent: Option<SpanId>,
    state: Option<HeaderValue>,
    /// None where it is not exported.
    record: Option<Box<SpanRecord>>,
}

impl SpanTrace {
    pub(crate) fn context(&self) -> TraceContext {
        self.context
    }

    pub(super) fn state(&self) -> Option<HeaderValue> {
        self.state.clone()
    }
}

/// Keeps the place of each span in its trace, and hands spans that ended to the exporter.
#[derive(Debug)]
pub(crate) struct SpanLayer {
    sampler: Sampler,
    queue: Option<SpanQueue>,
}

impl SpanLayer {
    pub(crate) fn new(sampler: Sampler, queue: Option<SpanQueue>) -> Self {
        Self { sampler, queue }
    }

    /// Which traces are recorded, and whether any are exported.
    pub(crate) fn policy(&self) -> (Sampler, bool) {
        (self.sampler, self.queue.is_some())
    }

    pub(crate) fn filter(&self) -> SpanFilter {
        SpanFilter { exports: self.queue.is_some() }
    }

    pub(super) fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// The record of a span that begins, if it is to be exported.
    fn record(
        &self,
        context: TraceContext,
        name: &'static str,
        kind: SpanKind,
    ) -> Option<Box<SpanRecord>> {
        let exported = self.queue.is_some() && context.is_sampled();
        exported.then(|| SpanRecord::begin(name, kind))
    }

    fn is_exporting(&self) -> bool {
        self.queue.is_some()
    }
}

/// Where a span of the kind [`ENTRY`] stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) context: TraceContext,
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<HeaderValue>,
    pub(super) kind: SpanKind,
}

/// Gives a new span its place in a trace. Says whether it is recorded.
pub(super) fn enter(span: &Span, place: impl FnOnce(Sampler) -> Entry) -> bool {
    let entered = with_span(span, |layer, span| {
        let Entry { context, parent, state, kind } = place(layer.sampler());
        let record = layer.record(context, span.name(), kind);
        let is_recorded = record.is_some();
        span.extensions_mut().replace(SpanTrace { context, parent, state, record });
        is_recorded
    });
    entered.unwrap_or_default()
}

/// Whether a span that begins now would be recorded: its trace is, and spans are exported.
pub(super) fn is_recording() -> bool {
    if is_in_unrecorded() {
        return false;
    }
    let looked = with_span(&Span::current(), |layer, span| {
        let context = || nearest(Some(span)).map(|(context, _)| context);
        layer.is_exporting() && context().is_some_and(TraceContext::is_sampled)
    });
    looked.unwrap_or_default()
}

/// Changes what is recorded of a span, if anything is.
pub(super) fn recorded(span: &Span, change: impl FnOnce(&mut SpanRecord)) {
    with_span(span, |_, span| {
        if let Some(record) = span.extensions_mut().get_mut().and_then(record_of) {
            change(record);
        }
    });
}

/// Ends a span that others may hold for a while still, such as the thread of SQLite that has done
/// something inside of it.
pub(super) fn finish(span: &Span) {
    with_span(span, |layer, span| layer.hand_over(&span));
}

/// Records nothing of a span after all.
pub(super) fn unrecorded(span: &Span) {
    with_span(span, |_, span| {
        if let Some(trace) = span.extensions_mut().get_mut::<SpanTrace>() {
            trace.record = None;
        }
    });
}

fn record_of(trace: &mut SpanTrace) -> Option<&mut SpanRecord> {
    trace.record.as_deref_mut()
}

/// The trace of the nearest span that has one, from this one outwards.
pub(super) fn nearest<'r, R: LookupSpan<'r>>(
    span: Option<SpanRef<'r, R>>,
) -> Option<(TraceContext, Option<HeaderValue>)> {
    span?.scope().find_map(|span| {
        let extensions = span.extensions();
        let trace: &SpanTrace = extensions.get()?;
        Some((trace.context, trace.state.clone()))
    })
}

thread_local! {
    static RANDOM: Cell<Option<fastrand::Rng>> = const { Cell::new(None) };
}

/// Lends the source of ids of this thread. It is seeded by the operating system, through the
/// keys of hash maps.
pub(crate) fn with_random<T>(draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
    let kept = RANDOM.try_with(Cell::take).ok().flatten();
    let mut random = kept.unwrap_or_else(|| {
        fastrand::Rng::with_seed(RandomState::new().hash_one(std::thread::current().id()))
    });
    let drawn = draw(&mut random);
    // A thread that is ending keeps nothing.
    RANDOM.try_with(|kept| kept.set(Some(random))).unwrap_or_default();
    drawn
}

/// Lets through what the layer exports, which is nothing where there is no collector.
pub(crate) struct SpanFilter {
    exports: bool,
}

impl SpanFilter {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let least = if metadata.is_span() { SPANS } else { EVENTS };
        self.exports && *metadata.level() <= least
    }
}

impl<S> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.exports { LevelFilter::from_level(SPANS) } else { LevelFilter::OFF })
    }
}

impl Layer<Registry> for SpanLayer {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        ctx: Context<'_, Registry>,
    ) {
        if attributes.metadata().target() == ENTRY {
            return;
        }
        self.begin(attributes, id, &ctx);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, Registry>) {
        let Some(span) = ctx.span(id) else { return };
        // Not inside of the lock: a value that logs looks at this span.
        let Some(mut record) = taken(&span) else { return };
        let mut scratch = String::new();
        let each = |name, value: Value<'_>| record.field(name, value);
        values.record(&mut Fields { scratch: &mut scratch, each });
        put_back(&span, record);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, Registry>) {
        let Some(span) = ctx.event_span(event) else { return };
        let Some(mut record) = taken(&span) else { return };
        let metadata = event.metadata();
        let (mut scratch, mut error) = (String::new(), String::new());
        record.event(|nanos| {
            let mut of_event =
                SpanEvent { name: String::new(), nanos, attributes: Default::default() };
            of_event.attributes.set("level", metadata.level().as_str().into());
            let each = |name: &'static str, value: Value<'_>| match value {
                Value::Text(text) if name == "message" => text.clone_into(&mut of_event.name),
                _ => {
                    if let ("error", Value::Text(text)) = (name, value) {
                        text.clone_into(&mut error);
                    }
                    of_event.attributes.set(name, value.into());
                }
            };
            event.record(&mut Fields { scratch: &mut scratch, each });
            if of_event.name.is_empty() {
                metadata.name().clone_into(&mut of_event.name);
            }
            of_event
        });
        if *metadata.level() == Level::ERROR && record.kind == SpanKind::Internal {
            record.fail(&error);
        }
        put_back(&span, record);
    }

    fn on_follows_from(&self, id: &span::Id, follows: &span::Id, ctx: Context<'_, Registry>) {
        let Some((to, _)) = nearest(ctx.span(follows)) else { return };
        let Some(span) = ctx.span(id) else { return };
        if let Some(record) = span.extensions_mut().get_mut().and_then(record_of) {
            record.link(to);
        }
    }

    fn on_close(&self, id: span::Id, ctx: Context<'_, Registry>) {
        if let Some(span) = ctx.span(&id) {
            self.hand_over(&span);
        }
    }
}

impl SpanLayer {
    /// Hands the record of a span to the exporter, if that was not done before.
    fn hand_over(&self, span: &SpanRef<'_, Registry>) {
        let Some(record) = taken(span) else { return };
        let extensions = span.extensions();
        let Some(trace) = extensions.get::<SpanTrace>() else { return };
        let SpanTrace { context, parent, ref state, .. } = *trace;
        if let Some(queue) = &self.queue {
            let end_nanos = record.end_nanos.unwrap_or_else(|| record.now());
            let state = state.clone();
            queue.offer(FinishedSpan { context, parent, state, record, end_nanos });
        }
    }

    /// A span of the service's own: inside of a trace, or the first of a new one.
    fn begin(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: &Context<'_, Registry>) {
        let Some(span) = ctx.span(id) else { return };
        let (context, parent, state) = match nearest(span.parent()) {
            // What is inside of a trace that is not recorded needs no place of its own.
            Some((outer, _)) if !outer.is_sampled() => return,
            Some((outer, state)) => {
                (with_random(|rng| outer.child(rng)), Some(outer.span_id), state)
            }
            None => {
                let share = self.sampler.share;
                (with_random(|rng| TraceContext::start(share, rng)), None, None)
            }
        };
        let name = attributes.metadata().name();
        let mut record = self.record(context, name, SpanKind::Internal);
        if let Some(record) = &mut record {
            let mut scratch = String::new();
            let each = |name, value: Value<'_>| record.field(name, value);
            attributes.record(&mut Fields { scratch: &mut scratch, each });
        }
        span.extensions_mut().insert(SpanTrace { context, parent, state, record });
    }
}

fn taken(span: &SpanRef<'_, Registry>) -> Option<Box<SpanRecord>> {
    span.extensions_mut().get_mut::<SpanTrace>()?.record.take()
}

fn put_back(span: &SpanRef<'_, Registry>, record: Box<SpanRecord>) {
    if let Some(trace) = span.extensions_mut().get_mut::<SpanTrace>() {
        trace.record = Some(record);
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
