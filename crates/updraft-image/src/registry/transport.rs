//! One request and the header of its answer, over TCP or TLS, with every wait bounded.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use url::Url;

use super::content::{Content, Payload};
use super::error::{RegistryError, RequestLine};
use super::options::{Limits, Options};

/// The largest header of an answer, and what waits to be written, in bytes.
const HEADER_MOST: usize = 64 << 10;
/// Idle connections that are kept for each host.
const IDLE_MOST: usize = 8;
/// How long an idle connection is kept; most servers keep theirs for a minute or more.
const IDLE: Duration = Duration::from_secs(20);

/// Connections to registries.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Content>,
    limits: Limits,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self, RegistryError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.limits.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(options)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MOST)
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(HEADER_MOST)
            .build(connector);
        Ok(Self { client, limits: options.limits.clone() })
    }

    /// Sends it once, and gives the answer as soon as its header is there.
    pub(super) async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        payload: &Payload,
    ) -> Result<Response<Incoming>, RegistryError> {
        let line = RequestLine::of(method, url);
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_no_uri: http::uri::InvalidUri| RegistryError::Location(line.clone()))?;
        let content = payload.open().await.map_err(|source| cannot_read(payload, source))?;
        let pulse = content.pulse();
        let mut request = Request::new(content);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers.clone();
        let agent = HeaderValue::from_static(concat!("updraft/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let mut answer = std::pin::pin!(self.client.request(request));
        loop {
            let before = pulse.sent();
            // A body that is sent must move; after it the answer has its own time.
            let wait = if before < payload.len() { self.limits.stall } else { self.limits.answer };
            match timeout(wait, answer.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(failure(error, line, url)),
                Err(_elapsed) if pulse.sent() == before => {
                    return Err(RegistryError::Stalled { request: line, after: wait });
                }
                Err(_elapsed) => {}
            }
        }
    }

    /// The next bytes of a body; nothing at its end.
    pub(super) async fn next(
        &self,
        body: &mut Incoming,
        line: &RequestLine,
    ) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let frame = timeout(self.limits.stall, body.frame()).await.map_err(|_elapsed| {
                RegistryError::Stalled { request: line.clone(), after: self.limits.stall }
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(RegistryError::Broken {
                        request: line.clone(),
                        source: Box::new(error),
                    });
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// A whole body of at most `most` bytes.
    pub(super) async fn whole(
        &self,
        body: Incoming,
        most: usize,
        line: &RequestLine,
    ) -> Result<Bytes, RegistryError> {
        let read = timeout(self.limits.answer, Limited::new(body, most).collect()).await;
        let read = read.map_err(|_elapsed| RegistryError::Stalled {
            request: line.clone(),
            after: self.limits.answer,
        })?;
        read.map(http_body_util::Collected::to_bytes).map_err(|source| {
            match source.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => RegistryError::TooLarge {
                    what: format!("the answer to {line}"),
                    most: most as u64,
                },
                None => RegistryError::Broken { request: line.clone(), source },
            }
        })
    }
}

fn cannot_read(payload: &Payload, source: std::io::Error) -> RegistryError {
    let path = match payload {
        Payload::Part(part) => part.path.clone(),
        Payload::Bytes(_) => std::path::PathBuf::new(),
    };
    RegistryError::File { action: "read", path, source }
}

fn failure(
    error: hyper_util::client::legacy::Error,
    line: RequestLine,
    url: &Url,
) -> RegistryError {
    let host = super::origin(url);
    if find::<rustls::Error>(&error).is_some() {
        return RegistryError::Tls { host, source: Box::new(error) };
    }
    if error.is_connect() {
        return RegistryError::Connect { host, source: Box::new(error) };
    }
    if find::<hyper::Error>(&error).is_some_and(|error| error.is_parse()) {
        return RegistryError::NotHttp { request: line, source: Box::new(error) };
    }
    RegistryError::Broken { request: line, source: Box::new(error) }
}

/// rustls hides inside of `io::Error`, which shows its content only to who asks for it.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn tls(options: &Options) -> Result<ClientConfig, RegistryError> {
    let mut roots = RootCertStore::empty();
    // A machine without authorities can still speak to those of a CA file, and to itself.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &options.ca_file {
        let failed = |source: Box<dyn StdError + Send + Sync>| RegistryError::CaFile {
            path: path.clone(),
            source,
        };
        let mut count = 0_usize;
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| failed(error.into()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.into()))?;
            roots.add(certificate).map_err(|error| failed(error.into()))?;
            count += 1;
        }
        if count == 0 {
            return Err(failed("it has none".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| RegistryError::Tls {
            host: "any registry".to_owned(),
            source: error.into(),
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
