//! The spans of a service that is tested within the test: what would be sent to a collector is
//! kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::export::SpanQueue;
use super::record::{Attribute, FinishedSpan, SpanKind, Status};
use super::{SpanId, TraceId};

/// Spans of one test that are kept; further ones are lost.
const KEPT: usize = 65_536;

/// A span that has ended, as a test sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CapturedSpan {
    /// Its name, such as `GET /orders/{id}`.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: &'static str,
    /// The trace that it is of.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span that it is inside of, or was caused by.
    pub parent: Option<SpanId>,
    /// Its attributes, by the semantic conventions of OpenTelemetry.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// The names of the events in it.
    pub events: Vec<String>,
    /// Why it failed; none where it did not.
    pub error: Option<String>,
    /// How long it lasted.
    pub duration: Duration,
}

/// The value of an attribute of a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpanValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(String),
}

impl CapturedSpan {
    /// The attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&SpanValue> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// The spans of one service. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    ended: mpsc::Receiver<FinishedSpan>,
    seen: Vec<CapturedSpan>,
}

impl Spans {
    /// A place for spans, and the queue that leads to it.
    pub(crate) fn queue() -> (Self, SpanQueue) {
        let (queue, ended) = SpanQueue::of_test(KEPT);
        let kept = Kept { ended, seen: Vec::new() };
        (Self { kept: Arc::new(Mutex::new(kept)) }, queue)
    }

    /// All that have ended, the first first.
    pub(crate) fn all(&self) -> Vec<CapturedSpan> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(span) = kept.ended.try_recv() {
            kept.seen.push(CapturedSpan::of(&span));
        }
        kept.seen.clone()
    }
}

impl CapturedSpan {
    fn of(span: &FinishedSpan) -> Self {
        let record = &span.record;
        let attributes = &record.attributes.list;
        Self {
            name: record.name.to_string(),
            kind: match record.kind {
                SpanKind::Internal => "internal",
                SpanKind::Server => "server",
                SpanKind::Client => "client",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
            },
            trace_id: span.context.trace_id,
            span_id: span.context.span_id,
            parent: span.parent,
            attributes: attributes.iter().map(|(name, value)| (*name, value.into())).collect(),
            events: record.events.iter().map(|event| event.name.clone()).collect(),
            error: match &record.status {
                Status::Error(why) => Some(why.clone()),
                Status::Unset | Status::Ok => None,
            },
            duration: Duration::from_nanos(span.end_nanos.saturating_sub(record.start_nanos)),
        }
    }
}

impl From<&Attribute> for SpanValue {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Bool(value) => Self::Bool(*value),
            Attribute::Int(value) => Self::Int(*value),
            Attribute::Double(value) => Self::Double(*value),
            Attribute::Text(text) => Self::Text(text.to_string()),
        }
    }
}
