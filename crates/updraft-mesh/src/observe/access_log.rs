//! The access log: one line of JSON for each request. Its fields are fixed, and none of them
//! has the value of a header or a query in it.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use updraft_system::Name;
use updraft_system::mesh::Protocol;
use updraft_trace::TraceContext;

use super::outcome::Refused;

/// Longer methods are cut.
const METHOD_MAX: usize = 32;
/// Longer paths are cut.
const PATH_MAX: usize = 1024;

/// One request, as it is told in the log and by taps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRecord<'r> {
    /// When its head had come, in nanoseconds since 1970.
    pub(crate) unix_nanos: u64,
    /// The span of this hop.
    pub(crate) trace: TraceContext,
    /// Its `x-request-id`.
    pub(crate) request_id: &'r str,
    /// The caller.
    pub(crate) from: &'r Name,
    /// What is called; none where nothing is public.
    pub(crate) to: Option<&'r Name>,
    /// Method and path template, or `other`.
    pub(crate) operation: &'r str,
    /// The method.
    pub(crate) method: &'r str,
    /// The path; what follows a `?` is left out.
    pub(crate) path: &'r str,
    /// The status that the caller got.
    pub(crate) status: Option<u16>,
    /// From the head of the request to the end of the response.
    pub(crate) duration: Duration,
    /// Bytes of the request's body.
    pub(crate) request_bytes: u64,
    /// Bytes of the response's body.
    pub(crate) response_bytes: u64,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// The endpoint of the last attempt.
    pub(crate) endpoint: Option<SocketAddr>,
    /// Why the gateway answered itself.
    pub(crate) refused: Option<Refused>,
    /// What is spoken.
    pub(crate) protocol: Protocol,
}

/// Takes lines of the access log.
pub trait EventSink: Send + Sync {
    /// Takes one line without line feed, or loses it and says false. It must not wait.
    fn event(&self, line: &str) -> bool;
}

/// Where the access log goes.
#[derive(Clone)]
pub(crate) struct AccessLog {
    sink: Arc<dyn EventSink>,
    dropped: Arc<AtomicU64>,
}

thread_local! {
    /// The line of each thread, so that lines are written without an allocation.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

impl AccessLog {
    /// A log that goes to `sink` and counts in `dropped` what that did not take.
    pub(crate) fn new(sink: Arc<dyn EventSink>, dropped: Arc<AtomicU64>) -> Self {
        Self { sink, dropped }
    }

    /// Writes one request.
    pub(crate) fn write(&self, record: &AccessRecord<'_>) {
        let mut line = LINE.take();
        line.clear();
        if record.write_json(&mut line).is_err() || !self.sink.event(&line) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        LINE.set(line);
    }
}

impl AccessRecord<'_> {
    /// When its head had come.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_nanosecond(self.unix_nanos.into()).unwrap_or_default()
    }

    /// The method, cut where it is too long.
    pub(super) fn short_method(&self) -> &str {
        cut(self.method, METHOD_MAX)
    }

    /// The path without query, cut where it is too long.
    pub(super) fn short_path(&self) -> &str {
        cut(self.path.split(['?', '#']).next().unwrap_or_default(), PATH_MAX)
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        write!(out, r#"{{"time":"{:.6}""#, self.time())?;
        write!(out, r#","trace_id":"{}""#, self.trace.trace_id)?;
        write!(out, r#","span_id":"{}""#, self.trace.span_id)?;
        text(out, "request_id", self.request_id)?;
        text(out, "from", self.from.as_str())?;
        match self.to {
            Some(to) => text(out, "to", to.as_str())?,
            None => out.push_str(r#","to":null"#),
        }
        text(out, "operation", self.operation)?;
        text(out, "method", self.short_method())?;
        text(out, "path", self.short_path())?;
        optional(out, "status", self.status)?;
        let micros = self.duration.as_micros();
        write!(out, r#","duration_ms":{}.{:03}"#, micros / 1000, micros % 1000)?;
        write!(out, r#","request_bytes":{}"#, self.request_bytes)?;
        write!(out, r#","response_bytes":{}"#, self.response_bytes)?;
        write!(out, r#","attempts":{}"#, self.attempts)?;
        match self.endpoint {
            Some(endpoint) => write!(out, r#","endpoint":"{endpoint}""#)?,
            None => out.push_str(r#","endpoint":null"#),
        }
        match self.refused {
            Some(reason) => text(out, "refused", reason.as_str())?,
            None => out.push_str(r#","refused":null"#),
        }
        text(out, "protocol", self.protocol.as_str())?;
        out.push('}');
        Ok(())
    }
}

fn optional(out: &mut String, key: &str, value: Option<u16>) -> fmt::Result {
    match value {
        Some(value) => write!(out, r#","{key}":{value}"#),
        None => write!(out, r#","{key}":null"#),
    }
}

fn text(out: &mut String, key: &str, value: &str) -> fmt::Result {
    write!(out, r#","{key}":""#)?;
    let mut rest = value;
    while let Some(at) = rest.find(|c: char| c < ' ' || matches!(c, '"' | '\\' | '\u{7f}')) {
        out.push_str(&rest[..at]);
        // All of them are one byte long.
        write!(out, "\\u{:04x}", rest.as_bytes()[at])?;
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
    Ok(())
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "access_log_tests.rs"]
mod tests;
