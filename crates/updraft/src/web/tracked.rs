//! A request from its header to the last byte of its answer: counted while it lasts,
//! logged when it ends, in whatever way it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Version};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::connection::Requests;
use crate::log::REQUESTS;
use crate::metrics::{self, Exemplar, HttpServer, Route, Sizes};
use crate::trace::RequestSpan;

/// When an answer that does not end by itself must end.
pub(super) type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lives as long as the request does.
#[derive(Debug)]
pub(super) struct Tracked {
    requests: Arc<Requests>,
    began: Instant,
    span: RequestSpan,
    method: Method,
    path: PathKind,
    status: Option<u16>,
    bytes: u64,
    measured: Measured,
}

/// What is measured of a request from its beginning to its end.
#[derive(Debug)]
pub(super) struct Measured {
    http: HttpServer,
    method: metrics::Method,
    request_bytes: Option<u64>,
    exemplar: Option<Exemplar>,
}

impl Measured {
    pub(super) fn begin(http: &HttpServer, request: &Request<Incoming>) -> Self {
        let method = metrics::Method::of(request.method());
        http.begin(method);
        let traceparent = request.headers().get("traceparent");
        let exemplar = traceparent.and_then(|it| Exemplar::of_traceparent(it.as_bytes()));
        let request_bytes = request.body().size_hint().exact();
        Self { http: http.clone(), method, request_bytes, exemplar }
    }

    fn end(&self, path: &PathKind, status: Option<u16>, took: Duration, response: u64) {
        self.http.end(self.method);
        let route = match path {
            // Probes are not what users wait for.
            PathKind::Health => return,
            PathKind::Route(route) => route,
            PathKind::Unmatched => self.http.unmatched(),
        };
        // As nginx has it: the client went away before there was an answer.
        let status = status.unwrap_or(499);
        let sizes = Sizes { request: self.request_bytes, response };
        self.http.record((route, self.method, status), took, sizes, self.exemplar);
    }
}

/// What the access log calls the path. Never the path itself, which anybody can choose.
#[derive(Clone, Debug)]
pub(super) enum PathKind {
    /// A probe of the platform: not worth a line at the usual level.
    Health,
    /// The template of a route.
    Route(Arc<Route>),
    /// No route is known, or not yet.
    Unmatched,
}

impl Tracked {
    pub(super) fn begin(
        requests: Arc<Requests>,
        span: RequestSpan,
        method: Method,
        version: Version,
        measured: Measured,
    ) -> Self {
        requests.app.in_flight.0.fetch_add(1, Ordering::Relaxed);
        requests.start(version);
        let began = Instant::now();
        let path = PathKind::Unmatched;
        Self { requests, began, span, method, path, status: None, bytes: 0, measured }
    }

    pub(super) fn answered(&mut self, status: u16, path: PathKind) {
        self.status = Some(status);
        self.path = path;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.requests.app.in_flight.0.fetch_sub(1, Ordering::Relaxed);
        self.requests.end();
        let took = self.began.elapsed();
        if self.status.is_none() {
            self.path = Route::matched().map_or(PathKind::Unmatched, PathKind::Route);
        }
        self.measured.end(&self.path, self.status, took, self.bytes);
        let route = match &self.path {
            PathKind::Route(route) => Some(route.template()),
            _ => None,
        };
        self.span.ended(&self.method, route, self.status);
        let _inside = self.span.span().enter();
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let (method, status, bytes) = (self.method.as_str(), self.status, self.bytes);
        match &self.path {
            _ if status.is_none() => {
                tracing::info!(target: REQUESTS, method, duration_ms, "the client went away before the answer");
            }
            PathKind::Health => {
                tracing::debug!(target: REQUESTS, method, status, duration_ms, "health")
            }
            PathKind::Route(route) => {
                let route = route.template();
                tracing::info!(target: REQUESTS, method, route, status, duration_ms, bytes, "request");
            }
            PathKind::Unmatched => {
                tracing::info!(target: REQUESTS, method, route = "unmatched", status, duration_ms, bytes, "request");
            }
        }
    }
}

/// The body of an answer, with its request.
pub(super) struct TrackedBody {
    pub(super) body: Body,
    /// For streams: when they end though they could go on.
    pub(super) end: Option<End>,
    pub(super) tracked: Tracked,
}

impl std::fmt::Debug for TrackedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackedBody").field("tracked", &self.tracked).finish_non_exhaustive()
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.tracked.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Poll::Ready(_ended) => {}
            // What is there is sent first.
            Poll::Pending => {
                if let Some(end) = &mut self.end
                    && end.as_mut().poll(context).is_ready()
                {
                    self.end = None;
                    return Poll::Ready(None);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
