//! Calls of another service, found by its `<NAME>_URL`. Every call has a deadline and
//! every answer a bound, because a caller without them is only as healthy as the other.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BoxError;
use crate::config::Variable;

/// How long a call may take, unless it says otherwise.
const CALL_TIME: Duration = Duration::from_secs(5);

/// The largest answer in bytes.
const ANSWER_MOST: usize = 4 * 1024 * 1024;

/// How long idle connections are kept: shorter than services keep theirs.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Idle connections that are kept.
const IDLE_MOST: usize = 32;

/// Where another service is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Scheme, host, port and path, without a slash at its end.
    base: String,
}

impl Variable for ServiceUrl {
    const EXPECTED: &'static str = "the URL of a service, such as http://127.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let wrong = |what: &str| Err(what.to_owned());
        match url.scheme() {
            "http" => {}
            "https" => return wrong("is https, and this build speaks http alone"),
            _ => return wrong("is not an http URL"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user name or password, which are not sent");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or fragment");
        }
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned() })
    }

    fn show(&self) -> String {
        self.base.clone()
    }
}

impl ServiceUrl {
    /// A client of the service. Clones of it share their connections.
    pub fn client(&self) -> Client {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_MOST)
            .build(connector);
        Client { base: self.base.clone(), http, timeout: CALL_TIME }
    }
}

/// The call brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The call could not be put into words; a fault of the caller.
    #[error("the call cannot be made")]
    Invalid(#[source] BoxError),
    /// Nobody listens there.
    #[error("cannot connect")]
    Connect(#[source] BoxError),
    /// The connection broke.
    #[error("the connection broke before the answer was complete")]
    Broken(#[source] BoxError),
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is longer than what is read.
    #[error("the answer is longer than {ANSWER_MOST} bytes")]
    TooLong,
    /// The answer is an error.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The answer is not what was expected.
    #[error("the answer is not the expected JSON")]
    Json(#[source] serde_json::Error),
}

/// A client of one service.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Client {
    /// Sets how long a call may take, from connecting to the last byte.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// A `GET` of `path`, which begins with a slash and may have a query.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// A `POST` to `path`.
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    fn call(&self, method: Method, path: &str) -> Call<'_> {
        let uri = format!("{}{path}", self.base);
        let mut call = Call {
            client: self,
            request: Request::builder().method(method).uri(uri),
            body: Ok(Bytes::new()),
        };
        if let Some((name, id)) = crate::web::request_id() {
            call.request = call.request.header(name, id);
        }
        call
    }
}

/// A call that is not sent yet.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    request: http::request::Builder,
    body: Result<Bytes, serde_json::Error>,
}

impl Call<'_> {
    /// Sets a header.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Sends `value` as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let json = HeaderValue::from_static("application/json");
        let body = serde_json::to_vec(value).map(Bytes::from);
        Self { body, ..self.header(header::CONTENT_TYPE, json) }
    }

    /// Makes the call. An answer is a [`Reply`] whatever its status.
    ///
    /// # Errors
    ///
    /// [`CallError`] when there is no whole answer in time.
    pub async fn send(self) -> Result<Reply, CallError> {
        let body = self.body.map_err(|error| CallError::Invalid(error.into()))?;
        let request = self.request.body(Full::new(body));
        let request = request.map_err(|error| CallError::Invalid(error.into()))?;
        let http = &self.client.http;
        let whole = async {
            let response =
                http.request(request).await.map_err(|error| match error.is_connect() {
                    true => CallError::Connect(error.into()),
                    false => CallError::Broken(error.into()),
                })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MOST).collect().await.map_err(|error| {
                match error.is::<LengthLimitError>() {
                    true => CallError::TooLong,
                    false => CallError::Broken(error),
                }
            })?;
            Ok(Reply { status: parts.status, body: body.to_bytes() })
        };
        let timeout = self.client.timeout;
        tokio::time::timeout(timeout, whole)
            .await
            .map_err(|_elapsed| CallError::Timeout(timeout))?
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
}

impl Reply {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The value of a successful answer.
    ///
    /// # Errors
    ///
    /// [`CallError::Status`] when the answer is an error, [`CallError::Json`] when it is
    /// something else than a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        if !self.status.is_success() {
            return Err(CallError::Status(self.status));
        }
        serde_json::from_slice(&self.body).map_err(CallError::Json)
    }

    /// The body, whatever the status.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}
