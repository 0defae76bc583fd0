//! What is told of one request when it has ended, wherever it ends: counters always; the
//! access log, taps and spans where somebody wants them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, Request, Response, Uri, Version};
use updraft_system::mesh::TapHeader;

use crate::edge::{Direction, Edge};
use crate::gate::Kind;
use crate::observe::{
    AccessRecord, Hop, OpenRequest, OperationId, Outcome, RequestEnd, RequestId, Span, SpanKind,
    shown,
};
use crate::replay::Replay;
use crate::shared::Shared;
use crate::telemetry::Telemetry;
use crate::values;

/// A request under way. Dropped, it has ended: broken off, unless an outcome was said.
#[derive(Debug)]
pub(crate) struct Record {
    /// `None` once it was told.
    open: Option<OpenRequest>,
    outcome: Outcome,
    first_byte: Option<Duration>,
    /// Counts the bytes that came from the client.
    request: Option<Replay>,
    response_bytes: u64,
    hop: Hop,
    /// `None` inside of the mesh, until somebody wants it.
    request_id: Option<RequestId>,
    story: Option<Box<Story>>,
}

/// What log, taps and spans tell.
#[derive(Debug)]
struct Story {
    telemetry: Arc<Telemetry>,
    edge: Arc<Edge>,
    unix_nanos: u64,
    method: Method,
    uri: Uri,
    version: &'static str,
    status: Option<u16>,
    attempts: u32,
    endpoint: Option<SocketAddr>,
    request_headers: Vec<TapHeader>,
    response_headers: Vec<TapHeader>,
}

impl Record {
    /// The record of a request that has just come.
    pub(crate) fn begin<B>(
        shared: &Shared,
        edge: &Arc<Edge>,
        kind: Kind,
        request: &mut Request<B>,
    ) -> Self {
        let open = edge.metrics.begin(OperationId::OTHER, Instant::now());
        let mut random = fastrand::Rng::new();
        let hop = Hop::of(request.headers(), shared.sampling, &mut random);
        let tapped = edge.metrics.tap().is_on();
        let telemetry = shared.telemetry.load();
        let sampled = telemetry.spans.is_some() && hop.context.is_sampled();
        let wanted = tapped || sampled || telemetry.log.is_some();
        let inside = kind != Kind::Ingress;
        let story = wanted.then(|| {
            let headers = request.headers();
            Box::new(Story {
                telemetry: Arc::clone(&telemetry),
                edge: Arc::clone(edge),
                unix_nanos: unix_nanos(),
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: version(request.version()),
                status: None,
                attempts: 0,
                endpoint: None,
                request_headers: if tapped { shown(headers) } else { Vec::new() },
                response_headers: Vec::new(),
            })
        });
        let mut request_id = RequestId::kept(request.headers(), inside);
        // Inside of the mesh an id that is not asked for is not made up at each hop.
        if request_id.is_none() && (wanted || !inside) {
            let made = RequestId::new(unix_nanos() / 1_000_000, &mut random);
            made.write(request.headers_mut());
            request_id = Some(made);
        }
        Self {
            open: Some(open),
            outcome: Outcome::Error,
            first_byte: None,
            request: None,
            response_bytes: 0,
            hop,
            request_id,
            story,
        }
    }

    /// Which operation it is.
    pub(crate) fn operation(&mut self, label: usize) {
        if let Some(open) = &mut self.open {
            open.set_operation(OperationId::new(label));
        }
    }

    /// It was let through although nobody declared it.
    pub(crate) fn undeclared(&self) {
        if let Some(open) = &self.open {
            open.undeclared();
        }
    }

    /// The request's id, for whoever asks about it; made up now where nobody wanted one yet.
    pub(crate) fn request_id(&mut self) -> &str {
        let made = || RequestId::new(unix_nanos() / 1_000_000, &mut fastrand::Rng::new());
        self.request_id.get_or_insert_with(made).as_str()
    }

    /// Writes the trace into the request on its way on.
    pub(crate) fn trace(&self, headers: &mut HeaderMap) {
        self.hop.write_with(headers, |text| values::joined(&[text]));
    }

    /// The head of an endpoint's response is there.
    pub(crate) fn answered(
        &mut self,
        outcome: Outcome,
        request: Replay,
        endpoint: SocketAddr,
        attempts: u32,
    ) {
        self.first_byte = self.open.as_ref().map(|open| open.began().elapsed());
        self.outcome = outcome;
        self.request = Some(request);
        if let Some(story) = &mut self.story {
            story.endpoint = Some(endpoint);
            story.attempts = attempts;
        }
    }

    /// The head of what the caller gets, whoever it is from.
    pub(crate) fn head<B>(&mut self, response: &Response<B>) {
        if let Some(story) = &mut self.story {
            story.status = Some(response.status().as_u16());
            if story.edge.metrics.tap().is_on() {
                story.response_headers = shown(response.headers());
            }
        }
    }

    /// How it ends, as far as is known.
    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// More of the response's body has passed.
    pub(crate) fn passed(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    fn tell(&mut self) {
        let Some(open) = self.open.take() else { return };
        let end = RequestEnd {
            outcome: self.outcome,
            duration: open.began().elapsed(),
            first_byte: self.first_byte,
            request_bytes: self.request.as_ref().map_or(0, Replay::bytes),
            response_bytes: self.response_bytes,
        };
        let operation = open.operation();
        open.finish(&end);
        if let Some(story) = self.story.take() {
            story.tell(&self.hop, self.request_id.as_ref(), operation, &end);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Story {
    fn tell(
        self: Box<Self>,
        hop: &Hop,
        request_id: Option<&RequestId>,
        operation: OperationId,
        end: &RequestEnd,
    ) {
        let edge = Arc::clone(&self.edge);
        let telemetry = Arc::clone(&self.telemetry);
        let operation = edge.metrics.operation_name(operation);
        let access = AccessRecord {
            unix_nanos: self.unix_nanos,
            trace: hop.context,
            request_id: request_id.map_or("", RequestId::as_str),
            from: &edge.caller,
            to: Some(&edge.key.to),
            operation,
            method: self.method.as_str(),
            path: self.uri.path(),
            status: self.status,
            duration: end.duration,
            request_bytes: end.request_bytes,
            response_bytes: end.response_bytes,
            attempts: self.attempts,
            endpoint: self.endpoint,
            refused: match end.outcome {
                Outcome::Refused(refused) => Some(refused),
                _ => None,
            },
            protocol: edge.protocol,
        };
        if let Some(log) = &telemetry.log {
            log.write(&access);
        }
        if edge.metrics.tap().is_on() {
            let (request, response) = (self.request_headers, self.response_headers);
            let event = || access.tap_event(&edge.key.to, request, response);
            edge.metrics.tap().offer(&mut fastrand::Rng::new(), event);
        }
        if let (Some(spans), true) = (&telemetry.spans, hop.context.is_sampled()) {
            let nanos = u64::try_from(end.duration.as_nanos()).unwrap_or(u64::MAX);
            spans.offer(Span {
                context: hop.context,
                parent: hop.parent,
                kind: match edge.key.direction {
                    Direction::Outbound => SpanKind::Client,
                    Direction::Inbound => SpanKind::Server,
                },
                from: edge.caller.clone(),
                to: edge.key.to.clone(),
                method: self.method.as_str().to_owned(),
                operation: Some(operation.to_owned()),
                start_unix_nanos: self.unix_nanos,
                end_unix_nanos: self.unix_nanos.saturating_add(nanos),
                status: self.status,
                outcome: end.outcome,
                attempts: self.attempts,
                endpoint: self.endpoint,
                protocol_version: self.version,
            });
        }
    }
}

/// This moment, in nanoseconds since 1970.
pub(super) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
