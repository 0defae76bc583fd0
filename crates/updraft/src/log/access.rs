//! The line of a request, made without the detour over an event: there is one for each request,
//! and it always has the same fields. What it says, and how, is what the event would have made.

use std::time::Duration;

use tracing::Level;
use updraft_trace::{RequestId, TraceContext};

use super::line::{Buffers, with_buffers};
use super::value::{Style, Value};
use super::writer::{LogWriter, Weight};
use super::{Identity, LogControl, REQUESTS, as_json};
use crate::metrics::LogLines;

/// Where the lines of requests go.
#[derive(Debug)]
pub(crate) struct AccessLog {
    identity: Identity,
    writer: LogWriter,
    lines: LogLines,
    control: LogControl,
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct AnsweredRequest<'a> {
    pub(crate) kind: &'a RequestKind,
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
    pub(crate) id: &'a RequestId,
    pub(crate) trace: TraceContext,
}

/// Requests that are told apart by no more than their own numbers: of one method, route and
/// status. What a line says of all of them is made once.
#[derive(Debug)]
pub(crate) struct RequestKind(Box<str>);

impl RequestKind {
    /// `route` is the template of the path.
    pub(crate) fn new(method: &str, route: &str, status: u16) -> Self {
        let (method, route) = (as_json(method), as_json(route));
        let text = format!(
            "Z\",\"level\":\"INFO\",\"message\":\"request\",\"method\":{method},\"route\":{route},\
             \"status\":{status},\"duration_ms\":"
        );
        Self(text.into())
    }
}

impl AccessLog {
    pub(super) fn new(
        identity: Identity,
        writer: LogWriter,
        lines: LogLines,
        control: LogControl,
    ) -> Self {
        Self { identity, writer, lines, control }
    }

    /// Writes the line, unless `LOG_LEVEL` says otherwise.
    pub(crate) fn write(&self, request: &AnsweredRequest<'_>) {
        if !self.control.has_requests() {
            return;
        }
        self.lines.made(Level::INFO);
        with_buffers(|buffers| {
            request.line(jiff::Timestamp::now(), &self.identity, buffers);
            self.writer.send(&buffers.access, Weight::Usual);
        });
    }
}

impl AnsweredRequest<'_> {
    fn line(&self, time: jiff::Timestamp, identity: &Identity, buffers: &mut Buffers) {
        let (line, clock, scratch) = buffers.access();
        line.extend_from_slice(b"{\"time\":\"");
        line.extend_from_slice(clock.whole_second(time).as_bytes());
        line.push(b'.');
        push_number(line, u64::from(time.subsec_microsecond().unsigned_abs()), 6);
        line.extend_from_slice(self.kind.0.as_bytes());
        push_ms(line, self.took);
        line.extend_from_slice(b",\"bytes\":");
        push_number(line, self.bytes, 1);
        line.extend_from_slice(b",\"request_id\":");
        let id = self.id.as_bytes();
        // Of what an id may have in it, these alone can stand before a secret.
        match memchr::memchr2(b':', b'=', id) {
            Some(_) => push_value(line, scratch, self.id.as_str()),
            None => push_plain(line, id),
        }
        line.extend_from_slice(b",\"target\":\"");
        line.extend_from_slice(REQUESTS.as_bytes());
        line.extend_from_slice(b"\",\"trace_id\":\"");
        let trace = self.trace.format();
        line.extend_from_slice(trace.get(3..35).unwrap_or_default());
        line.extend_from_slice(b"\",\"span_id\":\"");
        line.extend_from_slice(trace.get(36..52).unwrap_or_default());
        line.push(b'"');
        line.extend_from_slice(identity.fields().as_bytes());
        line.extend_from_slice(b"}\n");
    }
}

/// A text in which nothing has to be escaped.
fn push_plain(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    line.extend_from_slice(text);
    line.push(b'"');
}

/// Any text.
fn push_value(line: &mut Vec<u8>, scratch: &mut String, text: &str) {
    scratch.clear();
    Value::Text(text).write("", Style::Json, scratch);
    line.extend_from_slice(scratch.as_bytes());
}

/// A whole number in decimal, with zeros before it up to so many digits.
fn push_number(line: &mut Vec<u8>, number: u64, least: usize) {
    // 2⁶⁴ has 20 digits.
    let mut digits = [b'0'; 20];
    let (mut left, mut count) = (number, 0);
    for place in digits.iter_mut().rev() {
        if left == 0 {
            break;
        }
        *place = b"0123456789"[(left % 10) as usize];
        left /= 10;
        count += 1;
    }
    let from = digits.len().saturating_sub(least.max(count));
    line.extend_from_slice(digits.get(from..).unwrap_or_default());
}

/// Milliseconds with as many digits behind the point as there are, and one at least.
fn push_ms(line: &mut Vec<u8>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    push_number(line, micros / 1000, 1);
    line.push(b'.');
    match micros % 1000 {
        hundreds if hundreds.is_multiple_of(100) => push_number(line, hundreds / 100, 1),
        tens if tens.is_multiple_of(10) => push_number(line, tens / 10, 2),
        ones => push_number(line, ones, 3),
    }
}

#[cfg(feature = "testing")]
#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
