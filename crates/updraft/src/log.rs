//! Logs: one event per line on standard output, as JSON, or readable on a terminal.
//! The process never opens, rotates or names a log file; that is the platform's work.

mod line;
mod writer;

use std::io::IsTerminal;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Level;
use line::{Line, Style};
pub(crate) use writer::LogWriter;

/// How long the last lines may take to leave at the end of the process.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Who writes: the two fields that every line of this process carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) service: &'static str,
    pub(crate) process: &'static str,
}

/// Sends the process's events to standard output until it is dropped.
#[derive(Debug)]
pub(crate) struct Logs {
    writer: LogWriter,
}

impl Logs {
    /// Takes over the events and the panics of this process.
    pub(crate) fn start(identity: Identity, level: Level) -> std::io::Result<Self> {
        let stdout = std::io::stdout();
        let style = if !stdout.is_terminal() {
            Style::Json
        } else if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Style::Plain
        } else {
            Style::Colour
        };
        let writer = LogWriter::start(stdout, identity)?;
        let layer = EventLayer { identity, style, writer: writer.clone() };
        let filtered = layer.with_filter(LevelFilter::from_level(level.0));
        // A second chassis in one process (tests) keeps the first one's events.
        drop(tracing_subscriber::registry().with(filtered).try_init());
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self { writer })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.writer.flush(FLUSH_TIME);
    }
}

/// A panic is an event like any other: it must not tear the line format of the output.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a value that is no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic = text, place, "panicked");
}

/// Makes a line of each event, with the fields of the spans around it.
struct EventLayer {
    identity: Identity,
    style: Style,
    writer: LogWriter,
}

/// The fields of a span, kept beside it.
struct SpanFields(Fields);

/// Fields in the order in which they were recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, serde_json::Value)>);

impl Fields {
    /// Sets a field; a later value of the same name wins.
    fn set(&mut self, name: &'static str, value: impl Into<serde_json::Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<serde_json::Value> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, &serde_json::Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        self.set(field.name(), chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for EventLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(of_span)) = span.extensions().get() {
                for (name, value) in of_span.iter() {
                    fields.set(name, value.clone());
                }
            }
        }
        event.record(&mut fields);
        let line = Line {
            time: jiff::Timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            identity: self.identity,
            fields,
        };
        self.writer.send(line.render(self.style));
    }
}
