//! A request from its header to the last byte of its answer: counted while it lasts,
//! logged when it ends, in whatever way it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use updraft_resilience::Instant;

use super::App;
use super::connection::Requests;
use super::peer::Connected;
use crate::in_hand::InHand;
use crate::log::{AnsweredRequest, REQUESTS, RequestKind};
use crate::metrics::{self, Exemplar, HttpServer, RequestSeries, Route, Sizes};
use crate::trace::OnDemand;

/// When an answer that does not end by itself must end.
pub(super) type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lives as long as the request does.
#[derive(Debug)]
pub(super) struct Tracked {
    requests: Arc<Requests>,
    hand: Arc<InHand>,
    began: Instant,
    method: Method,
    measured: metrics::Method,
    request_bytes: Option<u64>,
    /// A probe of the platform: not worth a line at the usual level, and not what users wait for.
    is_probe: bool,
    status: Option<u16>,
    bytes: u64,
}

impl Tracked {
    pub(super) fn begin(
        requests: Arc<Requests>,
        hand: Arc<InHand>,
        request: &Request<Incoming>,
        is_probe: bool,
    ) -> Self {
        requests.start(request.version(), !request.body().is_end_stream());
        let measured = metrics::Method::of(request.method());
        requests.app.http.begin(measured);
        Self {
            began: requests.app.clock.now(),
            requests,
            hand,
            method: request.method().clone(),
            measured,
            request_bytes: request.body().size_hint().exact(),
            is_probe,
            status: None,
            bytes: 0,
        }
    }

    pub(super) fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    pub(super) fn app(&self) -> &App {
        &self.requests.app
    }

    /// Who is at the other end.
    pub(super) fn connected(&self) -> &Connected {
        &self.requests.connected
    }

    /// The request, for what is done for it.
    pub(super) fn hand(&self) -> &Arc<InHand> {
        &self.hand
    }

    /// When its header was complete.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// For how long it has been going on since.
    pub(super) fn took(&self) -> Duration {
        self.requests.app.clock.now().saturating_duration_since(self.began)
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// What is said of its path, which is never the path itself: anybody can choose that.
    fn route<'r>(&'r self, http: &'r HttpServer) -> Option<&'r Route> {
        let known = || self.hand.route().unwrap_or_else(|| http.unmatched());
        (!self.is_probe).then(known).map(|route| &**route)
    }

    /// Says that it has ended in the log: by the short way, or as an event.
    fn log(&self, took: Duration, kind: Option<&RequestKind>) {
        let trace = self.hand.span().context();
        if let (Some(_), Some(trace), Some(kind)) = (self.status, trace, kind) {
            let (id, bytes) = (self.hand.id(), self.bytes);
            let request = AnsweredRequest { kind, took, bytes, id, trace };
            let written = OnDemand::current(|ours| ours.access().map(|log| log.write(&request)));
            if written.is_some() {
                return;
            }
        }
        let _inside = self.hand.enter();
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let (method, status, bytes) = (self.method.as_str(), self.status, self.bytes);
        match self.route(&self.requests.app.http) {
            _ if status.is_none() => {
                tracing::info!(target: REQUESTS, method, duration_ms, "the client went away before the answer");
            }
            None => tracing::debug!(target: REQUESTS, method, status, duration_ms, "health"),
            Some(route) => {
                let route = route.template();
                tracing::info!(target: REQUESTS, method, route, status, duration_ms, bytes, "request");
            }
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.requests.end();
        let took = self.took();
        let http = &self.requests.app.http;
        http.end(self.measured);
        // As nginx has it: the client went away before there was an answer.
        let status = self.status.unwrap_or(499);
        let series = self.route(http).map(|route| http.series(route, self.measured, status));
        if let Some(series) = series {
            let sizes = Sizes { request: self.request_bytes, response: self.bytes };
            let exemplar = self.hand.span().sampled_caller().map(Exemplar::of_sampled);
            series.record(took, sizes, exemplar);
        }
        let template = self.hand.route().map(|route| route.template());
        self.hand.span().ended(&self.method, template, self.status);
        self.log(took, series.and_then(RequestSeries::kind));
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
