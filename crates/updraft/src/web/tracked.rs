//! A request from its header to the last byte of its answer: counted while it lasts,
//! logged when it ends, in whatever way it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Version};
use hyper::body::{Frame, SizeHint};
use tracing::Span;

use super::InFlight;
use super::connection::Requests;

/// Lives as long as the request does.
#[derive(Debug)]
pub(super) struct Tracked {
    in_flight: InFlight,
    requests: Arc<Requests>,
    began: Instant,
    span: Span,
    method: Method,
    path: PathKind,
    status: Option<u16>,
    bytes: u64,
}

/// What the access log calls the path. Never the path itself, which anybody can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathKind {
    /// A probe of the platform: not worth a line at the usual level.
    Health,
    /// The template of a route.
    Route(String),
    /// No route is known, or not yet.
    Unmatched,
}

impl Tracked {
    pub(super) fn begin(
        in_flight: InFlight,
        requests: Arc<Requests>,
        span: Span,
        method: Method,
        version: Version,
    ) -> Self {
        in_flight.0.fetch_add(1, Ordering::Relaxed);
        requests.start(version);
        let began = Instant::now();
        let path = PathKind::Unmatched;
        Self { in_flight, requests, began, span, method, path, status: None, bytes: 0 }
    }

    pub(super) fn answered(&mut self, status: u16, path: PathKind) {
        self.status = Some(status);
        self.path = path;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.in_flight.0.fetch_sub(1, Ordering::Relaxed);
        self.requests.end();
        let _inside = self.span.enter();
        let duration_ms = self.began.elapsed().as_micros() as f64 / 1000.0;
        let (method, status, bytes) = (self.method.as_str(), self.status, self.bytes);
        match &self.path {
            _ if status.is_none() => {
                tracing::info!(target: "updraft::request", method, duration_ms, "the client went away before the answer");
            }
            PathKind::Health => {
                tracing::debug!(target: "updraft::request", method, status, duration_ms, "health")
            }
            PathKind::Route(route) => {
                tracing::info!(target: "updraft::request", method, route, status, duration_ms, bytes, "request");
            }
            PathKind::Unmatched => {
                tracing::info!(target: "updraft::request", method, route = "unmatched", status, duration_ms, bytes, "request");
            }
        }
    }
}

/// The body of an answer, with its request.
#[derive(Debug)]
pub(super) struct TrackedBody {
    pub(super) body: Body,
    pub(super) tracked: Tracked,
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.tracked.bytes += data.len() as u64;
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
