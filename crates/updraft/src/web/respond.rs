//! What every request goes through, around the service's own routes: health, request id,
//! admission, deadline, body bounds, panics, problems, and the end of keep-alive in a drain.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;
use updraft_resilience::deadline::{Deadline, header as deadline_header};
use updraft_trace::RequestId;

use super::connection::Requests;
use super::handling::Handling;
use super::metrics::{Rejected, StreamKind};
use super::peer::{Connected, Peer};
use super::present::Present;
use super::received::{Fate, Packing, Received, too_large};
use super::tracked::{End, Tracked, TrackedBody};
use super::{App, Held, compression, security};
use crate::drain::{Phase, reached};
use crate::health::Probe;
use crate::in_hand::InHand;
use crate::problem::{PROBLEM_JSON, ProblemDetails};
use crate::trace::{self, RequestSpan};

/// By this header a request keeps its name across services.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer paths with their queries are refused with 414.
const URI_MOST: usize = 8 * 1024;

/// The text of a bare error answer is kept as the detail of the problem up to here.
const BARE_TEXT_MOST: usize = 4096;

/// The id of the request that is being handled, for calls that are made on its behalf.
pub(crate) fn request_id() -> Option<(HeaderName, HeaderValue)> {
    InHand::current(|hand| (REQUEST_ID, hand.id().value()))
}

/// So many headers are added to most answers.
const ADDED_HEADERS: usize = 5;

/// What of a request is needed for its answer when the handler has taken it.
struct Asked {
    origin: Option<HeaderValue>,
    gzip: bool,
    client: Option<IpAddr>,
    present: Present,
}

// A request is large, and the future of an `async fn` has place for two of each argument
// (rust-lang/rust#62958): what takes one is no `async fn`.

/// Answers one request.
#[expect(clippy::manual_async_fn, reason = "a request is large, see above")]
pub(super) fn respond(
    requests: Arc<Requests>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<TrackedBody>, Infallible>> + Send {
    async move {
        let app = &*requests.app;
        let version = request.version();
        let asked = Asked::of(app, &requests.connected, &request);
        let present = asked.present;
        let id = id_of(present.id.then_some(request.headers()));
        let mut span = RequestSpan::begin(&request, present.trace, &id, asked.client);
        let health = health(app, &request);
        if health.is_some() {
            span.forget();
        }
        if requests.connected.tls {
            span.secured();
        }
        let peer = Peer::new(asked.client, Arc::clone(&requests.connected));
        let hand = Arc::new(InHand::new(id, span, peer));
        let tracked = Tracked::begin(requests, hand, &request, health.is_some());

        if let Some(response) = health {
            return Ok(finish(version, response, tracked));
        }
        let (mut response, fate) = answer(&tracked, &asked, request).await;
        if is_error(&response) {
            response = mended(tracked.app(), response, fate).await;
        }
        complete(&tracked, &asked, &mut response);
        Ok(finish(version, response, tracked))
    }
}

impl Asked {
    fn of(app: &App, connected: &Connected, request: &Request<Incoming>) -> Self {
        let settings = &app.settings;
        let headers = request.headers();
        let present = Present::of(headers);
        let origin = settings.cors.as_ref().and_then(|_cors| headers.get(header::ORIGIN));
        Self {
            origin: origin.cloned(),
            gzip: settings.compression
                && present.accepts
                && compression::welcome(request.method(), headers),
            client: settings.proxies.client(connected.address, headers),
            present,
        }
    }
}

/// The caller's id when it is a sound one, else a new one.
fn id_of(headers: Option<&HeaderMap>) -> RequestId {
    let made = || {
        let now = jiff::Timestamp::now().as_millisecond();
        trace::with_random(|random| RequestId::new(u64::try_from(now).unwrap_or_default(), random))
    };
    let kept = headers.and_then(|headers| RequestId::kept(headers, true));
    kept.unwrap_or_else(made)
}

/// Health is answered before anything else, so that it never waits behind the requests of
/// users, and says little.
fn health(app: &App, request: &Request<Incoming>) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let probe = Probe::of_path(request.uri().path()).filter(|_| app.health_on_port)?;
    Some(app.health.answer(probe))
}

/// The answer of the routes, or why they were not asked; and how the body failed.
#[expect(clippy::manual_async_fn, reason = "a request is large, see above")]
fn answer(
    tracked: &Tracked,
    asked: &Asked,
    request: Request<Incoming>,
) -> impl Future<Output = (Response, Option<Fate>)> + Send {
    async move {
        let (app, connected) = (tracked.app(), tracked.connected());
        if let Some(refusal) = refused(app, asked, &request) {
            return (refusal, None);
        }
        let Some(routes) = app.routes.get() else {
            return (no_routes(*app.phase.borrow()), None);
        };
        let entered = match app.admission.enter(tracked.began()).await {
            Ok(entered) => entered,
            Err(problem) => return (app.refuse(Rejected::Overload, problem), None),
        };
        let (mut parts, body) = request.into_parts();
        let (body, fate) = match bounded(tracked.requests(), &mut parts.headers, body) {
            Ok(bounded) => bounded,
            Err(refusal) => return (*refusal, None),
        };
        let callers = if asked.present.time { callers_time(&parts.headers) } else { None };
        let ours = app.settings.limits.request_time;
        let time = ours.into_iter().chain(callers).min();

        let mut request = Request::from_parts(parts, body);
        if fate.is_some() {
            // The limit is on the body itself, for every way of reading it.
            DefaultBodyLimit::disable().apply(&mut request);
        }
        if request.method() == Method::CONNECT || asked.present.upgrade {
            request.extensions_mut().insert(Held(Arc::clone(tracked.requests())));
        }
        // Who has proven something goes with the request wherever it goes; all others are looked
        // up.
        if connected.identity.is_some() {
            request.extensions_mut().insert(tracked.hand().peer().clone());
        }
        #[cfg(feature = "testing")]
        if let Some(caller) = &connected.caller {
            request.extensions_mut().insert(caller.clone());
        }
        // The wait for a place is a part of it.
        let deadline = time.map(|time| Deadline::after(tracked.began(), time));
        let handling = Handling::new(routes, request, Arc::clone(tracked.hand()), deadline);
        let left = |time: Duration| time.saturating_sub(tracked.took());
        let response = in_time(handling, || time.map(left)).await;
        let response =
            response.unwrap_or_else(|| app.refuse(Rejected::Deadline, late(ours, callers)));
        entered.done(response.status());
        (response, fate)
    }
}

/// Why it is refused by the header alone, if it is; the cheapest question first.
fn refused(app: &App, asked: &Asked, request: &Request<Incoming>) -> Option<Response> {
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |text| text.as_str().len());
    if URI_MOST < length {
        let problem = ProblemDetails::new(StatusCode::URI_TOO_LONG)
            .detail(format!("a path with its query may have {URI_MOST} bytes"));
        return Some(app.refuse(Rejected::Uri, problem));
    }
    if let Some(cors) = &app.settings.cors
        && let Some(response) = cors.preflight(request)
    {
        return Some(response);
    }
    let problem = app.admission.count(asked.client).err()?;
    Some(app.refuse(Rejected::Rate, problem))
}

fn no_routes(phase: Phase) -> Response {
    match phase {
        Phase::Starting => ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE)
            .detail("the process is starting")
            .retry_after(1)
            .into_response(),
        // A worker: only health is served here.
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The body of a request, with its bounds. Most have none, which costs nothing.
fn bounded(
    requests: &Arc<Requests>,
    headers: &mut HeaderMap,
    body: Incoming,
) -> Result<(Body, Option<Fate>), Box<Response>> {
    if body.is_end_stream() {
        return Ok((Body::empty(), None));
    }
    let app = &requests.app;
    let most = app.settings.limits.body_bytes.get();
    if u64::from(most) < body.size_hint().lower() {
        return Err(last(app.refuse(Rejected::BodySize, too_large(most))).into());
    }
    let packing = match headers.get(header::CONTENT_ENCODING) {
        None => Packing::Plain,
        Some(coding) if is_any(coding, &["identity"]) => Packing::Plain,
        Some(coding) if is_any(coding, &["gzip", "x-gzip"]) => Packing::Gzip,
        Some(_unknown) => {
            let problem = ProblemDetails::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .detail("a request body may be packed by gzip, or not at all");
            let mut response = app.refuse(Rejected::BodyEncoding, problem);
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::ACCEPT_ENCODING, gzip);
            return Err(response.into());
        }
    };
    if packing == Packing::Gzip {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    let body = Received::new(body, packing, Arc::clone(requests));
    let fate = body.fate();
    Ok((Body::new(body), Some(fate)))
}

/// Whether it is one of these codings, whose case does not count (RFC 9110, section 8.4.1).
fn is_any(coding: &HeaderValue, names: &[&str]) -> bool {
    names.iter().any(|name| coding.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

/// The answer of the routes, within the time of the request: `REQUEST_TIMEOUT`, or less when
/// the caller has less. Whatever is called meanwhile has no more time either.
async fn in_time(mut handling: Handling, left: impl Fn() -> Option<Duration>) -> Option<Response> {
    let mut over: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if let Poll::Ready(response) = handling.poll(context) {
            return Poll::Ready(Some(response));
        }
        // Most requests are answered before there is need of a timer.
        if over.is_none() {
            over = left().map(|left| Box::pin(tokio::time::sleep(left)));
        }
        let Some(over) = &mut over else { return Poll::Pending };
        // A handler that uses up the budget of its task must not hide that its time is over.
        let over = std::pin::pin!(unconstrained(over.as_mut()));
        over.poll(context).map(|()| None)
    })
    .await
}

/// There was no answer in this time, or in that of the caller.
fn late(ours: Option<Duration>, callers: Option<Duration>) -> ProblemDetails {
    match ours.is_none_or(|ours| callers.is_some_and(|callers| callers < ours)) {
        true => ProblemDetails::new(StatusCode::GATEWAY_TIMEOUT)
            .detail("there was no answer within the time of the caller"),
        false => ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE)
            .detail("there was no answer in time")
            .retry_after(1),
    }
}

/// The time that the caller has left, by the headers of gRPC and of Envoy.
fn callers_time(headers: &HeaderMap) -> Option<Duration> {
    const ENVOY: HeaderName = HeaderName::from_static(deadline_header::EXPECTED_TIMEOUT_MS);
    const GRPC: HeaderName = HeaderName::from_static(deadline_header::GRPC_TIMEOUT);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let envoy = text(ENVOY);
    let grpc = text(GRPC);
    let envoy = envoy.and_then(deadline_header::parse_timeout_ms);
    let grpc = grpc.and_then(deadline_header::parse_grpc_timeout);
    envoy.into_iter().chain(grpc).min()
}

/// Turns what a handler made of a body that failed into what is true of it, and explains what
/// is a bare error.
async fn mended(app: &App, response: Response, fate: Option<Fate>) -> Response {
    let most = app.settings.limits.body_bytes.get();
    let Some(problem) = fate.and_then(|fate| fate.problem(most)) else {
        return explained(response).await;
    };
    let reason = match problem.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Rejected::BodySize,
        StatusCode::REQUEST_TIMEOUT => Rejected::BodyTime,
        _ => Rejected::BodyEncoding,
    };
    last(app.refuse(reason, problem))
}

/// The last answer of its connection: what else may come of a body is not worth waiting for.
fn last(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn is_error(response: &Response) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

/// Turns a bare error (no body, or plain text, as extractors and the router give) into a
/// problem document.
pub(crate) async fn explained(response: Response) -> Response {
    if !is_error(&response) {
        return response;
    }
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let bare = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !bare {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = match Limited::new(body, BARE_TEXT_MOST).collect().await {
        Ok(text) => String::from_utf8_lossy(&text.to_bytes()).into_owned(),
        Err(_longer_or_broken) => String::new(),
    };
    let problem = ProblemDetails::new(status);
    let problem = if text.is_empty() { problem } else { problem.detail(text) };
    let body = problem.into_response().into_body();
    parts.headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

/// What every answer of the service gets beside what its handler said.
fn complete(tracked: &Tracked, asked: &Asked, response: &mut Response) {
    let app = tracked.app();
    let settings = &app.settings;
    let headers = response.headers_mut();
    // At once, since a map that grows is built anew.
    headers.reserve(ADDED_HEADERS);
    if let Some(cors) = &settings.cors {
        cors.tell(asked.origin.as_ref(), headers);
    }
    if settings.security_headers {
        security::harden(headers, tracked.connected().tls);
    }
    app.admission.tell(asked.client, headers);
    if settings.compression {
        app.packer.pack(response, asked.gzip);
    }
}

/// Gives the answer away, with what goes on until its last byte.
fn finish(version: Version, mut response: Response, mut tracked: Tracked) -> Response<TrackedBody> {
    let app = tracked.app();
    let headers = response.headers_mut();
    if version < Version::HTTP_2 {
        if tracked.requests().is_draining() {
            // The client must open its next connection elsewhere.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    } else {
        // It has no meaning there (RFC 9113, section 8.2.2).
        headers.remove(header::CONNECTION);
    }
    headers.insert(REQUEST_ID, tracked.hand().id().value());
    let end = is_events(&response).then(|| {
        let (mut phase, counted) = (app.phase.clone(), app.metrics.stream(StreamKind::Sse));
        let end: End = Box::pin(async move {
            reached(&mut phase, Phase::Closing).await;
            drop(counted);
        });
        end
    });
    tracked.answered(response.status().as_u16());
    response.map(|body| TrackedBody { body, end, tracked })
}

/// Whether it is a stream of events, which does not end by itself: its length is not known.
fn is_events(response: &Response) -> bool {
    let kind = || response.headers().get(header::CONTENT_TYPE);
    response.body().size_hint().exact().is_none()
        && kind().is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

impl App {
    fn refuse(&self, reason: Rejected, problem: ProblemDetails) -> Response {
        self.metrics.reject(reason);
        problem.into_response()
    }
}
