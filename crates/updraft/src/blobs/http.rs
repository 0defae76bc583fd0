//! How the S3 client speaks HTTP: by hyper and rustls, as everything else here does.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};

/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long idle connections are kept, and how many.
const IDLE_TIME: Duration = Duration::from_secs(30);
const IDLE_MOST: usize = 32;

/// Makes the one client of a store.
#[derive(Debug)]
pub(super) struct Connector {
    /// How long the head of an answer may take.
    pub(super) timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let provider = rustls::crypto::ring::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider).map_err(
            |error| object_store::Error::Generic { store: "S3", source: Box::new(error) },
        )?;
        let mut tcp = TcpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_MOST)
            .build(tls.https_or_http().enable_http1().wrap_connector(tcp));
        Ok(HttpClient::new(Service { client, timeout: self.timeout }))
    }
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    timeout: Duration,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Service {
    fn call<'own, 'call>(&'own self, request: HttpRequest) -> Answer<'call>
    where
        'own: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let asked = tokio::time::timeout(self.timeout, self.client.request(request)).await;
            let response = match asked {
                Ok(response) => response.map_err(|error| HttpError::new(kind(&error), error))?,
                Err(elapsed) => return Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
            };
            let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            Ok(response.map(|body| HttpResponseBody::new(body.map_err(broken))))
        })
    }
}

/// Whether the request was sent: what may have been done is done again only if that does no
/// harm, and a conditional write is not of that kind.
fn kind(error: &ClientError) -> HttpErrorKind {
    let source = std::error::Error::source(error);
    let hyper = source.and_then(|source| source.downcast_ref::<hyper::Error>());
    if error.is_connect() {
        HttpErrorKind::Connect
    } else if hyper.is_some_and(hyper::Error::is_canceled) {
        HttpErrorKind::Request
    } else {
        HttpErrorKind::Interrupted
    }
}
