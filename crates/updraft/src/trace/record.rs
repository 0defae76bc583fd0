//! What is known of a span that will be exported.

use std::borrow::Cow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use updraft_trace::{SpanId, TraceContext};

use crate::log::Value;

/// Attributes of one span; further ones are counted. The bounds are those of OpenTelemetry.
const ATTRIBUTES_MOST: usize = 128;
/// Events of one span.
const EVENTS_MOST: usize = 128;
/// Bytes of a text of one attribute; longer ones are cut.
const TEXT_MOST: usize = 4096;
/// Links of one span.
const LINKS_MOST: usize = 128;

/// A span until it ends.
#[derive(Debug)]
pub(crate) struct SpanRecord {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    began: Instant,
    pub(super) start_nanos: u64,
    /// Set where the span ends before its last handle is gone.
    pub(super) end_nanos: Option<u64>,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<SpanEvent>,
    pub(super) events_lost: u32,
    pub(super) links: Vec<TraceContext>,
    pub(super) links_lost: u32,
    pub(super) status: Status,
}

/// Names with values, in the order in which they came; a later value takes the place of an
/// earlier one.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) list: Vec<(&'static str, Attribute)>,
    pub(super) lost: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'static, str>),
}

/// Something that happened during a span.
#[derive(Debug)]
pub(super) struct SpanEvent {
    pub(super) name: String,
    pub(super) nanos: u64,
    pub(super) attributes: Attributes,
}

/// The role of a span in a call (`SpanKind` of OpenTelemetry), with its number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// Whether the span failed; with its number in OTLP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset,
    Ok,
    Error(String),
}

/// A span that has ended and waits for the exporter.
#[derive(Debug)]
pub(super) struct FinishedSpan {
    pub(super) context: TraceContext,
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<HeaderValue>,
    pub(super) record: Box<SpanRecord>,
    pub(super) end_nanos: u64,
}

impl SpanRecord {
    pub(super) fn begin(name: &'static str, kind: SpanKind) -> Box<Self> {
        Box::new(Self {
            name: Cow::Borrowed(name),
            kind,
            began: Instant::now(),
            start_nanos: unix_nanos(),
            end_nanos: None,
            attributes: Attributes::default(),
            events: Vec::new(),
            events_lost: 0,
            links: Vec::new(),
            links_lost: 0,
            status: Status::Unset,
        })
    }

    /// The moment, by the clock that does not jump.
    pub(super) fn now(&self) -> u64 {
        let since = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.start_nanos.saturating_add(since)
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Attribute>) {
        self.attributes.set(name, value.into());
    }

    /// A field of a span. Those named `otel.…` say something about the span itself.
    pub(super) fn field(&mut self, name: &'static str, value: Value<'_>) {
        let Value::Text(text) = value else {
            return self.set(name, value);
        };
        match name {
            "otel.name" => self.name = Cow::Owned(text.to_owned()),
            "otel.kind" => self.kind = SpanKind::named(text),
            "otel.status_code" => match text {
                _ if text.eq_ignore_ascii_case("ok") => self.status = Status::Ok,
                _ if text.eq_ignore_ascii_case("error") => self.fail(""),
                _ => {}
            },
            "otel.status_message" | "otel.status_description" => self.fail(text),
            _ => self.set(name, value),
        }
    }

    pub(super) fn fail(&mut self, why: &str) {
        match &mut self.status {
            Status::Error(known) if why.is_empty() || !known.is_empty() => {}
            status => *status = Status::Error(why.to_owned()),
        }
    }

    pub(super) fn event(&mut self, make: impl FnOnce(u64) -> SpanEvent) {
        if self.events.len() < EVENTS_MOST {
            let now = self.now();
            self.events.push(make(now));
        } else {
            self.events_lost += 1;
        }
    }

    pub(super) fn link(&mut self, to: TraceContext) {
        if self.links.len() < LINKS_MOST {
            self.links.push(to);
        } else {
            self.links_lost += 1;
        }
    }
}

impl Attributes {
    pub(super) fn set(&mut self, name: &'static str, value: Attribute) {
        if let Some((_, old)) = self.list.iter_mut().find(|(known, _)| *known == name) {
            *old = value;
        } else if self.list.len() < ATTRIBUTES_MOST {
            self.list.push((name, value));
        } else {
            self.lost += 1;
        }
    }
}

impl SpanKind {
    fn named(name: &str) -> Self {
        match name {
            _ if name.eq_ignore_ascii_case("server") => Self::Server,
            _ if name.eq_ignore_ascii_case("client") => Self::Client,
            _ if name.eq_ignore_ascii_case("producer") => Self::Producer,
            _ if name.eq_ignore_ascii_case("consumer") => Self::Consumer,
            _ => Self::Internal,
        }
    }
}

impl From<Value<'_>> for Attribute {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(value),
            Value::Signed(value) => Self::Int(value),
            // OTLP has no larger numbers.
            Value::Unsigned(value) => {
                i64::try_from(value).map_or_else(|_large| value.to_string().into(), Self::Int)
            }
            Value::Float(value) => Self::Double(value),
            Value::Text(value) => {
                let end = value.floor_char_boundary(TEXT_MOST);
                value.get(..end).unwrap_or_default().to_owned().into()
            }
        }
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
