//! A client of registries, by the OCI Distribution Specification 1.1: images go there and come
//! from there without a daemon.
//!
//! A registry is a stranger: every answer has a bound, every content is checked against its
//! digest, and no secret follows where an answer leads.

mod auth;
mod challenge;
mod content;
mod credentials;
mod document;
mod download;
mod error;
mod options;
mod place;
mod progress;
mod pull;
mod push;
mod reference;
mod referrers;
mod retry;
mod transport;
mod upload;

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use url::Url;

pub use self::credentials::{CredentialFiles, CredentialsError};
pub use self::error::{Answer, RegistryError, RequestLine, Unauthorized};
pub use self::options::{Limits, Options, Scheme};
pub use self::progress::{Progress, Step};
pub use self::pull::{Pulled, Wanted};
pub use self::push::{Fate, Push, Pushed};
pub use self::reference::{Reference, ReferenceError};

use self::auth::{Refusal, Signer};
use self::content::Payload;
use self::error::REDIRECTS_MOST;
use self::place::Place;
use self::retry::Patience;
use self::transport::Transport;

/// The largest error document that is read, in bytes.
const ERROR_MOST: usize = 64 << 10;

/// A client of any number of registries. It must be made and used inside of a tokio runtime with
/// its I/O and its timers.
///
/// Dropping a future of it stops what it does. An upload that is stopped so leaves a session at
/// the registry, which the registry ends by itself; a download leaves nothing.
#[derive(Debug)]
pub struct Registry {
    transport: Transport,
    signer: Signer,
    options: Options,
}

/// A request, as often as it must be sent.
#[derive(Debug)]
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    payload: Payload,
}

/// An answer whose body has not been read.
#[derive(Debug)]
struct Reply {
    line: RequestLine,
    /// Where it came from, after redirects.
    url: Url,
    response: Response<Incoming>,
}

impl Call {
    fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), payload: Payload::EMPTY }
    }

    fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    fn sending(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }
}

impl Reply {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The URL that `Location` names, which may be relative.
    fn location(&self) -> Result<Url, RegistryError> {
        let location = self.header(header::LOCATION.as_str());
        let url = location.and_then(|location| self.url.join(location).ok());
        url.ok_or_else(|| RegistryError::Location(self.line.clone()))
    }
}

impl Registry {
    /// Reads the authorities of this machine; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`RegistryError::CaFile`].
    pub fn new(options: Options) -> Result<Self, RegistryError> {
        let transport = Transport::new(&options)?;
        let signer = Signer::new(options.credentials.clone());
        Ok(Self { transport, signer, options })
    }

    fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Sends a request, says who asks when it is asked, and follows redirects. The answer may have
    /// any other status.
    async fn send(&self, place: &Place, call: &Call) -> Result<Reply, RegistryError> {
        let mut url = call.url.clone();
        let mut authorization = self.signer.known(place).await;
        let (mut signed, mut redirects) = (false, 0_usize);
        loop {
            let line = RequestLine::of(&call.method, &url);
            place.check(&url, &line)?;
            let ours = place.owns(&url);
            let mut headers = call.headers.clone();
            if let Some(value) = authorization.as_ref().filter(|_| ours) {
                headers.insert(header::AUTHORIZATION, value.clone());
            }
            let response = self.transport.once(&call.method, &url, &headers, &call.payload).await?;
            let reply = Reply { line, url, response };
            match reply.status() {
                StatusCode::UNAUTHORIZED if ours && !signed => {
                    signed = true;
                    let (headers, line) = (reply.response.headers().clone(), reply.line);
                    let body = reply.response.into_body();
                    // The header says enough where the document does not come, or is too long.
                    let body = self.transport.whole(body, ERROR_MOST, &line).await;
                    let body = body.unwrap_or_default();
                    let sent = authorization.as_ref();
                    let refusal = Refusal { line: &line, headers: &headers, body: &body, sent };
                    let answer = self.signer.answer(&self.transport, place, &refusal).await?;
                    authorization = Some(answer);
                    url = reply.url;
                }
                StatusCode::UNAUTHORIZED if ours => {
                    return Err(self.unauthorized(place, reply).await?);
                }
                status if is_redirect(&call.method, status) => {
                    redirects += 1;
                    if REDIRECTS_MOST < redirects {
                        return Err(RegistryError::Redirects(RequestLine::of(
                            &call.method,
                            &call.url,
                        )));
                    }
                    url = reply.location()?;
                }
                _ => return Ok(reply),
            }
        }
    }

    async fn unauthorized(
        &self,
        place: &Place,
        reply: Reply,
    ) -> Result<RegistryError, RegistryError> {
        let body = self.transport.whole(reply.response.into_body(), ERROR_MOST, &reply.line).await;
        let body = body.unwrap_or_default();
        let found = self.signer.looked(place).await?;
        Ok(RegistryError::Unauthorized(Box::new(Unauthorized {
            request: reply.line,
            host: place.host.clone(),
            complaints: error::complaints(&body),
            looked: found,
        })))
    }

    /// As [`send`](Self::send), and any other status is an error with the registry's own words.
    async fn expect(
        &self,
        place: &Place,
        call: &Call,
        wanted: &[StatusCode],
    ) -> Result<Reply, RegistryError> {
        let reply = self.send(place, call).await?;
        if wanted.contains(&reply.status()) {
            return Ok(reply);
        }
        let (status, line) = (reply.status(), reply.line);
        let headers = reply.response.headers().clone();
        let body = self.transport.whole(reply.response.into_body(), ERROR_MOST, &line).await;
        // The status says enough where the document about it does not come, or is too long.
        let body = body.unwrap_or_default();
        Err(answer_error(line, status, &headers, &body))
    }

    /// As [`expect`](Self::expect), again when that may help. For what may be done twice.
    async fn persist(
        &self,
        place: &Place,
        call: &Call,
        wanted: &[StatusCode],
    ) -> Result<Reply, RegistryError> {
        let mut patience = Patience::new(self.limits());
        loop {
            match self.expect(place, call, wanted).await {
                Err(error) if error.is_transient() => patience.wait(error).await?,
                other => return other,
            }
        }
    }
}

fn is_redirect(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    }
}

fn answer_error(
    request: RequestLine,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> RegistryError {
    RegistryError::Answer(Box::new(Answer {
        request,
        status,
        complaints: error::complaints(body),
        retry_after: retry::retry_after(headers, SystemTime::now()),
    }))
}

/// Host and port, as people write them.
fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
