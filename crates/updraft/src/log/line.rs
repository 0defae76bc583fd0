//! The form of one line of the log. JSON is the contract; the other forms are for eyes. A line
//! is made in buffers that its thread keeps, and nothing is allocated for it.

use std::cell::Cell;
use std::fmt::Write as _;
use std::ops::Range;

use tracing::Level;
use updraft_trace::TraceContext;

use super::Identity;
use super::value::{Style, Value, escaped, quoted};

/// The longest line in bytes, its own fields excepted: what container runtimes keep in one
/// piece. Fields for which there is no room are left out, and the line says so.
const LINE_MOST: usize = 15 * 1024;

/// The fields of one span, in bytes.
const SPAN_MOST: usize = 8 * 1024;

/// Names that the line itself uses: a field of the same name gets a `_` behind it.
const RESERVED: [&str; 10] = [
    "time",
    "level",
    "message",
    "target",
    "service",
    "process",
    "release",
    "trace_id",
    "span_id",
    "truncated",
];

/// What a thread makes its lines in.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) line: String,
    pub(super) access: Vec<u8>,
    pub(super) scratch: String,
    names: Vec<&'static str>,
    clock: Clock,
}

thread_local! {
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// Lends the buffers of this thread. Who logs while a line is made (a `Debug` that does, or
/// that panics) gets others.
pub(super) fn with_buffers(make: impl FnOnce(&mut Buffers)) {
    let mut buffers = BUFFERS.try_with(Cell::take).ok().flatten().unwrap_or_default();
    make(&mut buffers);
    // A thread that is ending keeps nothing.
    BUFFERS.try_with(|kept| kept.set(Some(buffers))).unwrap_or_default();
}

/// The text of the second in which the last line was made.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    text: String,
}

impl Clock {
    /// RFC 3339 in UTC, with microseconds.
    fn write(&mut self, time: jiff::Timestamp, out: &mut String) {
        let micros = time.subsec_microsecond().unsigned_abs();
        write!(out, "{}.{micros:06}Z", self.whole_second(time)).unwrap_or_default();
    }

    /// The same without what is less than a second, and the `Z`.
    pub(super) fn whole_second(&mut self, time: jiff::Timestamp) -> &str {
        let second = time.as_second();
        if self.text.is_empty() || second != self.second {
            self.second = second;
            self.text.clear();
            let whole = jiff::Timestamp::from_second(second).unwrap_or(time);
            // Writing to a String cannot fail, here and below.
            write!(self.text, "{whole:.0}").unwrap_or_default();
            // What stands before the `Z`.
            self.text.pop();
        }
        &self.text
    }
}

impl Buffers {
    /// An empty line of a request, the clock of this thread, and a text for values.
    pub(super) fn access(&mut self) -> (&mut Vec<u8>, &mut Clock, &mut String) {
        self.access.clear();
        (&mut self.access, &mut self.clock, &mut self.scratch)
    }
}

/// The fields of a span, made once for all lines inside of it.
#[derive(Debug, Default)]
pub(super) struct SpanFields {
    text: String,
    fields: Vec<(&'static str, Range<usize>)>,
}

impl SpanFields {
    pub(super) fn set(&mut self, style: Style, name: &'static str, value: Value<'_>) {
        if SPAN_MOST < self.text.len() {
            return;
        }
        let start = self.text.len();
        value.write(name, style, &mut self.text);
        let place = start..self.text.len();
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = place,
            None => self.fields.push((name, place)),
        }
    }
}

/// A line that is being made.
pub(super) struct Line<'b> {
    text: &'b mut String,
    names: &'b mut Vec<&'static str>,
    style: Style,
    has_message: bool,
    is_whole: bool,
}

impl<'b> Line<'b> {
    /// Begins a line; also gives the scratch text, for values.
    pub(super) fn begin(
        buffers: &'b mut Buffers,
        style: Style,
        time: jiff::Timestamp,
        level: Level,
    ) -> (Self, &'b mut String) {
        let Buffers { line: text, scratch, names, clock, .. } = buffers;
        text.clear();
        names.clear();
        match style {
            Style::Json => {
                text.push_str("{\"time\":\"");
                clock.write(time, text);
                text.push_str("\",\"level\":\"");
                text.push_str(level.as_str());
                text.push('"');
            }
            Style::Colour | Style::Plain => {
                paint(text, style, "2", &time.strftime("%H:%M:%S%.3f").to_string());
                text.push(' ');
                paint(text, style, colour_of(level), &format!("{:>5}", level.as_str()));
            }
        }
        (Self { text, names, style, has_message: false, is_whole: true }, scratch)
    }

    /// A field of the event. Its message is one of them.
    pub(super) fn field(&mut self, name: &'static str, value: Value<'_>) {
        if !self.key(name, name == "message") {
            return;
        }
        value.write(name, self.style, self.text);
    }

    /// The fields of a span around it. What is nearer to the event comes first and stays.
    pub(super) fn span(&mut self, fields: &SpanFields) {
        for (name, place) in &fields.fields {
            if self.key(name, false) {
                self.text.push_str(fields.text.get(place.clone()).unwrap_or_default());
            }
        }
    }

    /// Begins a field, unless it is there already or there is no room.
    fn key(&mut self, name: &'static str, is_message: bool) -> bool {
        if self.names.contains(&name) {
            return false;
        }
        if LINE_MOST / 2 < self.text.len() && LINE_MOST < self.text.len() + name.len() {
            self.is_whole = false;
            return false;
        }
        self.names.push(name);
        self.has_message |= is_message;
        let mark = if !is_message && RESERVED.contains(&name) { "_" } else { "" };
        match self.style {
            Style::Json => {
                self.text.push_str(",\"");
                escaped(self.text, name);
                self.text.push_str(mark);
                self.text.push_str("\":");
            }
            Style::Colour | Style::Plain if is_message => self.text.push(' '),
            Style::Colour | Style::Plain => {
                self.text.push(' ');
                paint(self.text, self.style, "2", name);
                self.text.push('=');
            }
        }
        true
    }

    /// Ends the line: what every line has, and the line feed.
    pub(super) fn end(self, target: &str, identity: &Identity, trace: Option<TraceContext>) {
        let Self { text, style, has_message, is_whole, .. } = self;
        if style != Style::Json {
            if !is_whole {
                text.push_str(" …");
            }
            text.push('\n');
            return;
        }
        if !has_message {
            text.push_str(",\"message\":\"\"");
        }
        if !is_whole {
            text.push_str(",\"truncated\":true");
        }
        text.push_str(",\"target\":");
        quoted(text, target, "");
        if let Some(trace) = trace {
            let TraceContext { trace_id, span_id, .. } = trace;
            write!(text, ",\"trace_id\":\"{trace_id}\",\"span_id\":\"{span_id}\"")
                .unwrap_or_default();
        }
        text.push_str(identity.fields());
        text.push_str("}\n");
    }
}

fn paint(out: &mut String, style: Style, code: &str, text: &str) {
    match style {
        Style::Colour => write!(out, "\x1b[{code}m{text}\x1b[0m").unwrap_or_default(),
        Style::Json | Style::Plain => out.push_str(text),
    }
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "2",
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
