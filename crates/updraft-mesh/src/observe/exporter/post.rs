//! One message to the receiver: a connection, a request, what the answer means.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use updraft_resilience::retry::hint::parse_retry_after;

/// The longest that one message may take.
const POST_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_MAX: usize = 64 * 1024;
/// The path that traces are posted to, below the base.
const TRACES: &str = "/v1/traces";

/// The address is none that spans can be posted to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidReceiver {
    /// It is no address.
    #[error("`{0}` is not an address")]
    NoAddress(String),
    /// It is not `http`.
    #[error(
        "`{0}` does not begin with `http://`: spans are sent in plain, to this machine or through a gateway"
    )]
    NotHttp(String),
    /// It has a query.
    #[error("`{0}` has a query: write the base address alone, such as http://127.0.0.1:4318")]
    Query(String),
}

/// A message did not get through.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("there is no connection to the receiver")]
    Connect(#[source] std::io::Error),
    #[error("the exchange with the receiver broke off")]
    Exchange(#[source] hyper::Error),
    #[error("the receiver took too long")]
    Timeout(#[source] tokio::time::error::Elapsed),
    #[error("the message could not be made")]
    Message(#[source] http::Error),
}

/// What the receiver said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has them, but for so many.
    Taken { rejected: u64 },
    /// It will not take them.
    Refused,
    /// They can be sent again, after this time where it says so.
    Later(Option<Duration>),
}

/// Where messages go.
#[derive(Debug)]
pub(super) struct Receiver {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Receiver {
    pub(super) fn new(base: &str) -> Result<Self, InvalidReceiver> {
        let uri: Uri =
            base.parse().ok().ok_or_else(|| InvalidReceiver::NoAddress(base.to_owned()))?;
        let authority =
            uri.authority().ok_or_else(|| InvalidReceiver::NoAddress(base.to_owned()))?;
        if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(InvalidReceiver::NotHttp(base.to_owned()));
        }
        if uri.query().is_some() {
            return Err(InvalidReceiver::Query(base.to_owned()));
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self {
            host: bare.to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            path: format!("{}{TRACES}", uri.path().trim_end_matches('/')),
        })
    }

    /// Sends one message on a connection of its own: there is one every few seconds, and a kept
    /// connection would more often than not be closed by then.
    pub(super) async fn post(&self, body: Bytes) -> Result<Answer, PostError> {
        tokio::time::timeout(POST_MAX, self.exchange(body)).await.map_err(PostError::Timeout)?
    }

    async fn exchange(&self, body: Bytes) -> Result<Answer, PostError> {
        let request = Request::post(self.path.as_str())
            .header(HOST, self.authority.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("updraft-mesh/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(PostError::Message)?;
        let address = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(address).await.map_err(PostError::Connect)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(PostError::Exchange)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(PostError::Exchange)?;
            Ok(answer(response).await)
        };
        // The connection is driven here, so that it ends with this future.
        let mut connection = std::pin::pin!(connection);
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => {
                ended.map_err(PostError::Exchange)?;
                exchange.await
            }
        }
    }
}

/// What an answer means (OTLP 1.x, "OTLP/HTTP Response").
async fn answer(response: Response<Incoming>) -> Answer {
    let status = response.status();
    if status.is_success() {
        let read = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let bytes = read.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Answer::Taken { rejected: rejected(&bytes) };
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let value = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let now = now.ok().map(|since| since.as_secs());
            Answer::Later(value.and_then(|value| parse_retry_after(value, now)))
        }
        _ => Answer::Refused,
    }
}

/// `partialSuccess.rejectedSpans`, which is an int64: text, or a number from lenient makers.
fn rejected(body: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_to_the_base() {
        for (base, authority, host, port, path) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "127.0.0.1", 4318, "/v1/traces"),
            ("http://otel/", "otel", "otel", 80, "/v1/traces"),
            ("http://[::1]:4318/a/b/", "[::1]:4318", "::1", 4318, "/a/b/v1/traces"),
        ] {
            let to = Receiver::new(base).unwrap();
            assert_eq!(
                (&*to.authority, &*to.host, to.port, &*to.path),
                (authority, host, port, path)
            );
        }
    }

    #[test]
    fn what_cannot_be_posted_to_is_refused_by_name() {
        for base in ["https://otel:4318", "http://a:b@otel", "grpc://otel"] {
            assert_eq!(Receiver::new(base).unwrap_err(), InvalidReceiver::NotHttp(base.to_owned()));
        }
        for base in ["", "/v1/traces", "http://", "otel 1"] {
            let error = Receiver::new(base).unwrap_err();
            assert_eq!(error, InvalidReceiver::NoAddress(base.to_owned()));
        }
        let base = "http://otel/?token=1";
        assert_eq!(Receiver::new(base).unwrap_err(), InvalidReceiver::Query(base.to_owned()));
    }

    #[test]
    fn rejected_spans_are_read_in_both_forms() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":"3"}}"#), 3);
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        assert_eq!(rejected(br#"{"partialSuccess":{}}"#), 0);
        assert_eq!(rejected(b"nonsense"), 0);
    }
}
