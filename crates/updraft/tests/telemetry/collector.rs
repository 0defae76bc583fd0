//! An OTLP collector on a real socket, which reads what it gets by the types of the
//! specification, and can be made to refuse or to stall.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::PATIENCE;

/// A span, and the name of the service that it is of.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) span: Span,
}

/// What the collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Refuses,
    /// It reads and never answers.
    Stalls,
}

#[derive(Default)]
struct State {
    spans: Vec<Received>,
    raw: Vec<u8>,
    heads: String,
    requests: usize,
}

struct Shared {
    state: Mutex<State>,
    mood: Mutex<Mood>,
    changed: Condvar,
}

#[derive(Clone)]
pub(crate) struct Collector {
    shared: Arc<Shared>,
    pub(crate) url: String,
}

impl Collector {
    pub(crate) fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            mood: Mutex::new(mood),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || drop(shared.serve(stream.unwrap())));
            }
        });
        Self { shared, url }
    }

    pub(crate) fn turn(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Waits until what was received fits.
    pub(crate) fn wait_for(&self, what: &str, mut fits: impl FnMut(&[Received]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while !fits(&state.spans) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(Duration::ZERO < left, "never: {what}: {:#?}", state.spans);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub(crate) fn wait_for_requests(&self, least: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while state.requests < least {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(Duration::ZERO < left, "{} requests", state.requests);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub(crate) fn spans(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().spans.clone()
    }

    /// All bytes of all messages.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.shared.state.lock().unwrap().raw.clone()
    }

    pub(crate) fn heads(&self) -> String {
        self.shared.state.lock().unwrap().heads.clone()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
            });
            let mut body = vec![0; length.unwrap()];
            stream.read_exact(&mut body)?;
            let mood = *self.mood.lock().unwrap();
            self.note(&head, &body, mood);
            match mood {
                Mood::Takes => stream.get_mut().write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
                )?,
                Mood::Refuses => stream
                    .get_mut()
                    .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?,
                Mood::Stalls => {}
            }
        }
    }

    fn note(&self, head: &str, body: &[u8], mood: Mood) {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        state.heads.push_str(head);
        state.raw.extend_from_slice(body);
        if mood == Mood::Takes {
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap().attributes;
                let service = text(&resource, "service.name").unwrap();
                let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                state.spans.extend(spans.map(|span| Received {
                    service: service.clone(),
                    resource: resource.clone(),
                    span,
                }));
            }
        }
        self.changed.notify_all();
    }
}

impl Received {
    pub(crate) fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }
}

/// The span of this service and name.
pub(crate) fn find<'s>(spans: &'s [Received], service: &str, name: &str) -> &'s Received {
    let mut found = spans.iter().filter(|it| it.service == service && it.span.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no {service} {name} in {spans:#?}"));
    assert!(found.next().is_none(), "two {service} {name}");
    first
}

pub(crate) fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value {
        Some(AnyValue { value: Some(Any::StringValue(text)), .. }) => Some(text.clone()),
        Some(AnyValue { value: Some(Any::IntValue(number)), .. }) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
