//! A request of a test to its service.

use std::future::IntoFuture;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::DuplexStream;

use super::answer::TestAnswer;
use super::fail;
use crate::BoxError;
use crate::auth::Caller;
use crate::web::{From, InProcess};

/// How long an answer may take: longer than any deadline of a service on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The body of a request.
type Whole = Full<Bytes>;

/// A request to the service of a test. Await it for the [`TestAnswer`].
#[derive(Clone, Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct TestRequest {
    web: InProcess,
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    from: From,
}

impl TestRequest {
    pub(super) fn new(web: InProcess, method: Method, target: String) -> Self {
        let (headers, body, from) = (Vec::new(), Bytes::new(), From::default());
        Self { web, method, target, headers, body, from }
    }

    /// The value of a parameter in the path of an operation: `{name}`. It is encoded where a
    /// URL needs that.
    ///
    /// # Panics
    ///
    /// When the path has no such parameter.
    #[track_caller]
    pub fn path(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let place = format!("{{{name}}}");
        if !self.target.contains(&place) {
            fail(format_args!("the path {} has no parameter `{name}`", self.target));
        }
        self.target = self.target.replace(&place, &encoded(&value.to_string()));
        self
    }

    /// A parameter of the query.
    pub fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(&encoded(name));
        self.target.push('=');
        self.target.push_str(&encoded(&value.to_string()));
        self
    }

    /// A body of JSON.
    ///
    /// # Panics
    ///
    /// When the value cannot be written as JSON.
    #[track_caller]
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(error) => fail(format_args!("the body cannot be written as JSON: {error}")),
        }
    }

    /// A body of this media type.
    #[track_caller]
    pub fn body(self, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }.header("content-type", media_type)
    }

    /// A header; one more, if there is one of its name.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse(), value.parse()) {
            (Ok(name), Ok(value)) => self.headers.push((name, value)),
            _ => fail(format_args!("`{name}: {value}` is no header")),
        }
        self
    }

    /// The header `Idempotency-Key`, in double quotes.
    ///
    /// # Panics
    ///
    /// When it cannot be a header.
    #[track_caller]
    pub fn idempotency_key(self, key: impl std::fmt::Display) -> Self {
        self.header("idempotency-key", &format!("\"{key}\""))
    }

    /// A bearer token, to be verified as any.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Calls as somebody who was granted these scopes, without a token.
    pub fn scopes<'s>(mut self, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        let scopes = scopes.into_iter().map(str::to_owned).collect();
        self.from.caller = Some(Caller::of_test(scopes));
        self
    }

    /// The address that the request comes from; 127.0.0.1 unless it is given.
    pub fn peer(mut self, ip: impl Into<IpAddr>) -> Self {
        self.from.ip = Some(ip.into());
        self
    }

    /// Sends it; gives the whole answer.
    async fn send(self) -> TestAnswer {
        let what = format!("{} {}", self.method, self.target);
        let open = self.target.find('{').filter(|_| !self.target.contains('?'));
        if open.is_some() {
            fail(format_args!("{what}: give its parameters with `.path(name, value)`"));
        }
        match tokio::time::timeout(PATIENCE, self.answer(what.clone())).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                fail(format_args!("{what}: no answer: {}", super::logs::chain(&*error)))
            }
            Err(_elapsed) => fail(format_args!(
                "{what}: no whole answer within {PATIENCE:?}; one that does not end is read \
                 through the port of `serve`"
            )),
        }
    }

    async fn answer(self, what: String) -> Result<TestAnswer, BoxError> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.parse()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        for (name, value) in self.headers {
            if name == header::HOST {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        let (pipe, serving) = self.web.connect(self.from);
        let client = hyper::client::conn::http1::handshake(TokioIo::new(pipe)).await?;
        let (parts, body) = exchanged(client, request).await?;
        // Its end is where the span ends and is counted: what the test looks at next.
        serving.await?;
        Ok(TestAnswer::new(what, parts, body))
    }
}

/// Sends the one request of a connection, and closes it when the whole answer is there.
async fn exchanged(
    (mut sender, connection): (SendRequest<Whole>, Connection<TokioIo<DuplexStream>, Whole>),
    request: Request<Whole>,
) -> Result<(Parts, Bytes), hyper::Error> {
    let mut connection = std::pin::pin!(connection);
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok::<_, hyper::Error>((parts, body))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answered = &mut exchange => answered,
        // It may be over before the answer is read.
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

impl IntoFuture for TestRequest {
    type Output = TestAnswer;
    type IntoFuture = Pin<Box<dyn Future<Output = TestAnswer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// As it may stand in a path or a query (RFC 3986, unreserved characters).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
