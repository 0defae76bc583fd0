//! From an event to its line: what may be written, the spans around it, the trace it is in.

use std::sync::Arc;

use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::access::AccessLog;
use super::line::{Buffers, Line, SpanFields, with_buffers};
use super::rate::{Admission, Dropped, RateLimit};
use super::value::{Fields, Style, Value};
use super::writer::{LogWriter, Weight};
use super::{Identity, LogControl};
use crate::metrics::LogLines;
use crate::trace::SpanTrace;

/// The module that lines about lines are of.
const TARGET: &str = "updraft::log";

/// Makes a line of each event, with the fields of the spans around it.
pub(crate) struct EventLayer {
    identity: Identity,
    style: Style,
    writer: LogWriter,
    rate: Arc<RateLimit>,
    lines: LogLines,
}

impl EventLayer {
    pub(super) fn new(
        identity: Identity,
        style: Style,
        writer: LogWriter,
        rate: Arc<RateLimit>,
        lines: LogLines,
    ) -> Self {
        Self { identity, style, writer, rate, lines }
    }

    /// The short way for the lines of requests; none where lines are for eyes.
    pub(crate) fn access(&self, control: &LogControl) -> Option<AccessLog> {
        let (identity, writer, lines) = (&self.identity, &self.writer, &self.lines);
        (self.style == Style::Json).then(|| {
            AccessLog::new(identity.clone(), writer.clone(), lines.clone(), control.clone())
        })
    }

    fn is_admitted(&self, metadata: &'static Metadata<'static>, time: jiff::Timestamp) -> bool {
        let second = u64::try_from(time.as_second()).unwrap_or_default();
        match self.rate.admit(metadata, second) {
            Admission::Written => true,
            Admission::Dropped => false,
            Admission::DroppedFirst => {
                self.writer.nudge();
                false
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for EventLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        if attributes.is_empty() {
            return;
        }
        let Some(span) = ctx.span(id) else { return };
        let mut fields = SpanFields::default();
        let style = self.style;
        with_buffers(|buffers| {
            let each = |name, value: Value<'_>| fields.set(style, name, value);
            attributes.record(&mut Fields { scratch: &mut buffers.scratch, each });
        });
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        // Not inside of the lock: a value that logs looks at this span.
        let mut fields: SpanFields = span.extensions_mut().remove().unwrap_or_default();
        let style = self.style;
        with_buffers(|buffers| {
            let each = |name, value: Value<'_>| fields.set(style, name, value);
            values.record(&mut Fields { scratch: &mut buffers.scratch, each });
        });
        span.extensions_mut().replace(fields);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let time = jiff::Timestamp::now();
        if !self.is_admitted(metadata, time) {
            return;
        }
        self.lines.made(*metadata.level());
        with_buffers(|buffers| {
            let (mut line, scratch) = Line::begin(buffers, self.style, time, *metadata.level());
            let each = |name, value: Value<'_>| line.field(name, value);
            event.record(&mut Fields { scratch, each });
            let mut trace = None;
            for span in ctx.event_scope(event).into_iter().flatten() {
                let extensions = span.extensions();
                if trace.is_none() {
                    trace = extensions.get::<SpanTrace>().map(SpanTrace::context);
                }
                if let Some(fields) = extensions.get::<SpanFields>() {
                    line.span(fields);
                }
            }
            line.end(metadata.target(), &self.identity, trace);
            let weight = match *metadata.level() {
                Level::ERROR | Level::WARN => Weight::Grave,
                _ => Weight::Usual,
            };
            self.writer.send(buffers.line.as_bytes(), weight);
        });
    }
}

/// The line about lines that a slow reader cost.
pub(super) fn told_of_reader(lines: u64, style: Style, identity: &Identity) -> String {
    told(style, identity, |line| {
        let message = "log lines were dropped: the reader of standard output is slow";
        line.field("message", Value::Text(message));
        line.field("dropped", Value::Unsigned(lines));
    })
}

/// The line about lines that one place wrote too many of.
pub(super) fn tell_of_rate(dropped: Dropped, style: Style, identity: &Identity, out: &mut String) {
    out.push_str(&told(style, identity, |line| {
        let message = "log lines were dropped: one place writes more than LOG_RATE_LIMIT allows";
        line.field("message", Value::Text(message));
        line.field("dropped", Value::Unsigned(dropped.lines));
        if let Some(place) = dropped.place {
            line.field("of", Value::Text(place.target()));
            let file = place.file().unwrap_or_default();
            let at = format!("{file}:{}", place.line().unwrap_or_default());
            line.field("place", Value::Text(&at));
        }
    }));
}

fn told(style: Style, identity: &Identity, fill: impl FnOnce(&mut Line<'_>)) -> String {
    let mut buffers = Buffers::default();
    let now = jiff::Timestamp::now();
    let (mut line, _) = Line::begin(&mut buffers, style, now, Level::WARN);
    fill(&mut line);
    line.end(TARGET, identity, None);
    buffers.line
}
