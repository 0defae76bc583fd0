//! The gateway's own port: metrics and health. It never waits behind user traffic, as it
//! needs neither an edge nor a policy.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use updraft_system::mesh::Limits;

use crate::observe::Format;
use crate::phase::{Phase, PhaseWatch};
use crate::worker::Worker;

/// Serves one connection.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    stream: TcpStream,
    limits: Arc<Limits>,
    mut phase: PhaseWatch,
) {
    let draining = phase.clone();
    let service = service_fn(move |request| {
        let answer = answer(&worker, &draining, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        // Answers are there at once: nobody works for a client that has gone.
        .half_close(true);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut serving => {}
        () = phase.reaches(Phase::Draining) => {
            serving.as_mut().graceful_shutdown();
            drop(serving.await);
        }
    }
}

fn answer(
    worker: &Worker,
    phase: &PhaseWatch,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get(header::ACCEPT).and_then(|it| it.to_str().ok());
            metrics(worker, accept)
        }
        "/health/live" | "/livez" => text(StatusCode::OK, "live\n"),
        "/health/ready" | "/readyz" if phase.now() != Phase::Open => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        "/health/ready" | "/readyz" if worker.shared.identities.is_ready() => {
            text(StatusCode::OK, "ready\n")
        }
        "/health/ready" | "/readyz" => {
            text(StatusCode::SERVICE_UNAVAILABLE, "a service has no certificate yet\n")
        }
        _ => text(StatusCode::NOT_FOUND, "there is /metrics, /health/live and /health/ready\n"),
    }
}

fn metrics(worker: &Worker, accept: Option<&str>) -> Response<Full<Bytes>> {
    let format = Format::negotiate(accept);
    let mut response = Response::new(Full::from(worker.shared.render(format)));
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
