//! What every request goes through, around the service's own routes: health, request id,
//! body limit, panics, problems, and the end of keep-alive in a drain.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use tower::ServiceExt;
use tracing::Instrument;

use super::connection::Requests;
use super::tracked::{PathKind, Tracked, TrackedBody};
use super::{App, Route};
use crate::drain::Phase;
use crate::problem::{PROBLEM_JSON, Problem};

/// By this header a request keeps its name across services.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are replaced: they would fill logs.
const REQUEST_ID_MOST: usize = 128;

/// The text of a bare error answer is kept as the detail of the problem up to here.
const BARE_TEXT_MOST: usize = 4096;

tokio::task_local! {
    static CURRENT_ID: HeaderValue;
}

/// The id of the request that is being handled, for calls that are made on its behalf.
pub(crate) fn request_id() -> Option<(HeaderName, HeaderValue)> {
    CURRENT_ID.try_with(|id| (REQUEST_ID, id.clone())).ok()
}

/// Answers one request.
pub(super) async fn respond(
    app: Arc<App>,
    requests: Arc<Requests>,
    request: Request<Incoming>,
) -> Response<TrackedBody> {
    let version = request.version();
    let id = id_of(&request);
    let span = tracing::info_span!("request", request_id = id.to_str().unwrap_or_default());
    let in_flight = app.in_flight.clone();
    let method = request.method().clone();
    let mut tracked = Tracked::begin(in_flight, requests, span.clone(), method, version);

    let health = health(&app, &request);
    let (mut response, path) = match health {
        Some(response) => (response, PathKind::Health),
        None => {
            let answered = answer(&app, request).instrument(span.clone());
            let mut response = CURRENT_ID.scope(id.clone(), answered).await;
            let path = match response.extensions_mut().remove::<Route>() {
                Some(Route(matched)) => PathKind::Route(matched.as_str().to_owned()),
                None => PathKind::Unmatched,
            };
            (explained(response).await, path)
        }
    };
    response.headers_mut().insert(REQUEST_ID, id);
    let draining = Phase::Draining <= *app.phase.borrow();
    if draining && version < Version::HTTP_2 {
        // The client must open its next connection elsewhere.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    tracked.answered(response.status().as_u16(), path);
    response.map(|body| TrackedBody { body, tracked })
}

/// The caller's id when it is a sound one, else a new one.
fn id_of(request: &Request<Incoming>) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=REQUEST_ID_MOST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::now_v7().to_string();
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// Health is answered before anything else, and says little.
fn health(app: &App, request: &Request<Incoming>) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let phase = *app.phase.borrow();
    let (status, text) = match (request.uri().path(), phase) {
        ("/livez" | "/health/live", _) => (StatusCode::OK, "live\n"),
        ("/readyz" | "/health/ready", Phase::Serving) => (StatusCode::OK, "ready\n"),
        ("/readyz" | "/health/ready", Phase::Starting) => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
        }
        ("/readyz" | "/health/ready", _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => return None,
    };
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/plain")];
    Some((status, headers, text).into_response())
}

async fn answer(app: &App, request: Request<Incoming>) -> Response {
    let Some(router) = app.router.get() else {
        return match *app.phase.borrow() {
            Phase::Starting => Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail("the process is starting")
                .retry_after(1)
                .into_response(),
            // A worker: only health is served here.
            _ => StatusCode::NOT_FOUND.into_response(),
        };
    };
    let most = app.limits.body_bytes.get() as usize;
    if (most as u64) < request.body().size_hint().lower() {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
            .detail(format!("a request body may have {most} bytes"))
            .into_response();
    }
    let request = request.map(|body| Body::new(Limited::new(body, most)));
    caught(router.clone(), request).await
}

/// A panic in a handler is that request's failure and nobody else's. The panic hook has
/// logged it, inside the span of the request.
async fn caught(router: Router, request: Request<Body>) -> Response {
    let mut handling = std::pin::pin!(router.oneshot(request));
    let handled = std::future::poll_fn(|context| {
        let poll = AssertUnwindSafe(|| handling.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Some(response)),
            Ok(Poll::Ready(Err(never))) => match never {},
            Err(_panic) => Poll::Ready(None),
        }
    });
    let response = handled.await;
    response.unwrap_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response())
}

/// Turns a bare error (no body, or plain text, as extractors and the router give) into a
/// problem document.
async fn explained(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let bare = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !bare || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = match Limited::new(body, BARE_TEXT_MOST).collect().await {
        Ok(text) => String::from_utf8_lossy(&text.to_bytes()).into_owned(),
        Err(_longer_or_broken) => String::new(),
    };
    let problem = Problem::new(status);
    let problem = if text.is_empty() { problem } else { problem.detail(text) };
    let body = problem.into_response().into_body();
    parts.headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}
