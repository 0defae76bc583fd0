//! One attempt to send spans: a `POST`, bounded in time, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use updraft_resilience::Verdict;

use super::super::settings::ExportSettings;

/// The longest answer that is read, in bytes.
const ANSWER_MOST: usize = 64 * 1024;

#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;
#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

/// Where spans are sent.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    http: Client<Connector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
}

/// The collector cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectorError {
    #[error("its URL cannot be called")]
    Uri(#[source] http::uri::InvalidUri),
    #[cfg(feature = "tls")]
    #[error("the certificates of this machine cannot be read")]
    Roots(#[source] std::io::Error),
}

/// Spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("cannot connect")]
    Connect,
    #[error("the connection broke")]
    Broken,
    #[error("it answers {status}")]
    Answer { status: StatusCode, retry_after: Option<Duration> },
}

impl PostError {
    /// Whether sending the same spans again may help.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Connect | Self::Broken => Verdict::Retry,
            // Those that the specification of OTLP names.
            Self::Answer { status, retry_after } => match status.as_u16() {
                429 | 503 => Verdict::Throttled(*retry_after),
                502 | 504 => Verdict::Retry,
                _ => Verdict::Ignore,
            },
        }
    }
}

impl Collector {
    /// Must be made inside of the runtime that calls it.
    pub(super) fn new(settings: &ExportSettings) -> Result<Self, CollectorError> {
        let uri = settings.url.as_str().parse().map_err(CollectorError::Uri)?;
        let mut headers = HeaderMap::new();
        headers
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
        headers.insert(
            header::USER_AGENT,
            http::HeaderValue::from_static(concat!("updraft/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(settings.headers.iter().cloned());
        let http = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector()?);
        Ok(Self { http, uri, headers })
    }

    /// Sends one message; gives the answer of a collector that took it, or some of it.
    pub(super) async fn post(&self, message: Bytes) -> Result<Bytes, PostError> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let response =
            self.http.request(request).await.map_err(|error| match error.is_connect() {
                true => PostError::Connect,
                false => PostError::Broken,
            })?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        if !status.is_success() {
            return Err(PostError::Answer { status, retry_after });
        }
        let body = Limited::new(response.into_body(), ANSWER_MOST).collect().await;
        // It has said that it took them; an answer that breaks off changes nothing about it.
        Ok(body.map_or_else(|_broken| Bytes::new(), |body| body.to_bytes()))
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(not(feature = "tls"))]
fn connector() -> Result<Connector, CollectorError> {
    Ok(HttpConnector::new())
}

#[cfg(feature = "tls")]
fn connector() -> Result<Connector, CollectorError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider();
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(CollectorError::Roots)?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}
