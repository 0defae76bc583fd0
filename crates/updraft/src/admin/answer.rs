//! What the admin listener answers.

use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Serialize;

use super::{IDLE_TIME, Shown};
use crate::config::Variable;
use crate::health::Probe;
use crate::log::LogControl;
use crate::metrics::Format;
use crate::problem::ProblemDetails;

/// The directives of a `PUT /log-level` in bytes.
const DIRECTIVES_MOST: usize = 4096;

/// How long a changed level lasts, unless `?for=` says otherwise: people forget to set it
/// back.
const LEVEL_LASTS: Duration = Duration::from_secs(15 * 60);

/// … and at most.
const LEVEL_LASTS_MOST: Duration = Duration::from_secs(24 * 60 * 60);

const INDEX: &str = "\
/health            everything that is known, as JSON
/health/live       /livez: 200, or 503 when only a restart helps
/health/ready      /readyz: 200, or 503 when it wants no work
/health/startup    /startupz: 200, or 503 while it starts
/attachments       what is attached, as JSON
/metrics           Prometheus text, or OpenMetrics for those who ask for it
/version           the release, as JSON
/log-level         GET, or PUT `info,my_crate=debug` with ?for=10m
";

/// Answers one request.
pub(super) async fn answer(shown: &Shown, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if path == "/log-level" {
        return log_level(&shown.log_control, request).await;
    }
    if !reads {
        return ProblemDetails::new(StatusCode::METHOD_NOT_ALLOWED).into_response();
    }
    if let Some(probe) = Probe::of_path(path) {
        return shown.health.answer(probe);
    }
    match path {
        "/" => text("text/plain; charset=utf-8", INDEX.to_owned()),
        "/health" => json(&shown.health.report()),
        "/attachments" => json(&shown.health.attachments()),
        "/version" => json(&shown.release.json(false)),
        "/metrics" => metrics(shown, &request),
        _ => not_found(),
    }
}

fn not_found() -> Response<Body> {
    ProblemDetails::new(StatusCode::NOT_FOUND).detail("GET / lists what there is").into_response()
}

fn metrics(shown: &Shown, request: &Request<Incoming>) -> Response<Body> {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    match shown.metrics.exposition(format) {
        Ok(exposition) => text(format.media_type(), exposition),
        Err(error) => ProblemDetails::internal(error).into_response(),
    }
}

async fn log_level(control: &LogControl, request: Request<Incoming>) -> Response<Body> {
    let wrong =
        |what: String| ProblemDetails::new(StatusCode::BAD_REQUEST).detail(what).into_response();
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::PUT => {
            let lasting = match lasting(request.uri().query().unwrap_or_default()) {
                Ok(lasting) => lasting,
                Err(error) => return wrong(error),
            };
            let body = Limited::new(request.into_body(), DIRECTIVES_MOST).collect();
            // Its connection is one of a few, on which the platform asks for health.
            let Ok(body) = tokio::time::timeout(IDLE_TIME, body).await else {
                return ProblemDetails::new(StatusCode::REQUEST_TIMEOUT).into_response();
            };
            let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
                return wrong(format!("directives are at most {DIRECTIVES_MOST} bytes"));
            };
            let directives = String::from_utf8_lossy(&body);
            if let Err(error) = control.set(directives.trim(), lasting) {
                return wrong(error.to_string());
            }
        }
        _ => return ProblemDetails::new(StatusCode::METHOD_NOT_ALLOWED).into_response(),
    }
    text("text/plain; charset=utf-8", format!("{}\n", control.level().directives))
}

/// `for=10m` of the query.
fn lasting(query: &str) -> Result<Duration, String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let Some((_, span)) = pairs.into_iter().find(|(name, _)| name == "for") else {
        return Ok(LEVEL_LASTS);
    };
    let span = Duration::parse(&span).map_err(|wrong| format!("`for` {wrong}"))?;
    Ok(span.min(LEVEL_LASTS_MOST))
}

fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string_pretty(value) {
        Ok(text_of_it) => text("application/json", text_of_it + "\n"),
        Err(error) => ProblemDetails::internal(error).into_response(),
    }
}

fn text(kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_level_ends_by_itself() {
        let minutes = |minutes: u64| Ok(Duration::from_secs(minutes * 60));
        assert_eq!(lasting(""), minutes(15));
        assert_eq!(lasting("for=10m"), minutes(10));
        assert_eq!(lasting("x=1&for=1h30m"), minutes(90));
        assert_eq!(lasting("for=9000h"), minutes(24 * 60));
        assert!(lasting("for=ever").is_err());
    }
}
