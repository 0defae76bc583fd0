//! Logs: one event per line on standard output, as JSON, or readable on a terminal.
//! The process never opens, rotates or names a log file; that is the platform's work.

mod access;
#[cfg(feature = "testing")]
mod capture;
mod counts;
mod layer;
mod level;
mod line;
mod rate;
mod redaction;
mod value;
mod writer;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::LogLines;
pub(crate) use access::{AccessLog, AnsweredRequest, RequestKind};
#[cfg(feature = "testing")]
pub(crate) use capture::Lines;
pub(crate) use counts::LogCounts;
pub(crate) use layer::EventLayer;
pub(crate) use level::Directives;
pub use level::{InvalidLogLevel, LogControl, LogLevel};
use rate::RateLimit;
pub use redaction::Redacted;
pub(crate) use redaction::{REDACTED, is_secret, scrubbed};
use value::Style;
pub(crate) use value::{Fields, Value, as_json};
use writer::LogWriter;

/// What the lines of the access log are of.
pub(crate) const REQUESTS: &str = "updraft::request";

/// How long the last lines may take to leave at the end of the process.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// From one line that tells of dropped lines to the next.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Lines that one place in the code may write in a second, unless `LOG_RATE_LIMIT` says
/// otherwise.
pub(crate) const LOG_RATE: u32 = 1000;

/// Who writes: the fields that every line of this process carries.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// `,"service":…` and so on, as they stand in each line.
    fields: Arc<str>,
}

impl Identity {
    pub(crate) fn new(service: &str, process: &str, release: &str) -> Self {
        let mut fields = String::new();
        for (name, value) in [("service", service), ("process", process), ("release", release)] {
            fields.push_str(",\"");
            fields.push_str(name);
            fields.push_str("\":");
            value::quoted(&mut fields, value, "");
        }
        Self { fields: fields.into() }
    }

    fn fields(&self) -> &str {
        &self.fields
    }
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    /// Of a command whose answer is on standard output.
    Stderr,
}

impl Output {
    fn open(self) -> (Box<dyn Write + Send>, bool) {
        match self {
            Self::Stdout => {
                let stdout = std::io::stdout();
                let terminal = stdout.is_terminal();
                (Box::new(stdout), terminal)
            }
            Self::Stderr => {
                let stderr = std::io::stderr();
                let terminal = stderr.is_terminal();
                (Box::new(stderr), terminal)
            }
        }
    }
}

/// Sends the process's events to its output until it is dropped.
#[derive(Debug)]
pub(crate) struct Logs {
    writer: LogWriter,
    control: LogControl,
    counts: LogCounts,
    lines: LogLines,
}

impl Logs {
    /// Starts the thread that writes. The layer goes into the subscriber of the process, with
    /// the filter of the control.
    pub(crate) fn start(
        identity: Identity,
        directives: Directives,
        lines_per_second: u32,
        output: Output,
    ) -> std::io::Result<(Self, EventLayer)> {
        let (output, terminal) = output.open();
        let style = if !terminal {
            Style::Json
        } else if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Style::Plain
        } else {
            Style::Colour
        };
        let (counts, lines) = (LogCounts::default(), LogLines::default());
        let writer = LogWriter::new(counts.clone());
        let nudged = writer.clone();
        let control = LogControl::new(directives, move || nudged.nudge());
        let rate = Arc::new(RateLimit::new(lines_per_second));
        let layer = EventLayer::new(
            identity.clone(),
            style,
            writer.clone(),
            Arc::clone(&rate),
            lines.clone(),
        );

        let of_thread = control.clone();
        let of_queue = identity.clone();
        let counted = counts.clone();
        let told = move |dropped| layer::told_of_reader(dropped, style, &of_queue);
        let chores = move |own: &mut String| {
            let changes_back_in = of_thread.expire();
            if !rate.is_untold() {
                return changes_back_in;
            }
            for dropped in rate.take_dropped() {
                counted.rate_limit(dropped.lines);
                layer::tell_of_rate(dropped, style, &identity, own);
            }
            Some(changes_back_in.map_or(TELL_PAUSE, |pause| pause.min(TELL_PAUSE)))
        };
        writer.start(output, told, Box::new(chores))?;
        Ok((Self { writer, control, counts, lines }, layer))
    }

    pub(crate) fn control(&self) -> &LogControl {
        &self.control
    }

    pub(crate) fn lines(&self) -> &LogLines {
        &self.lines
    }

    pub(crate) fn counts(&self) -> &LogCounts {
        &self.counts
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        // What was dropped in the last second is told too.
        self.writer.nudge();
        self.writer.flush(FLUSH_TIME);
    }
}

/// A panic is an event like any other: it must not tear the line format of the output.
pub(crate) fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a value that is no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic = text, place, "panicked");
}
