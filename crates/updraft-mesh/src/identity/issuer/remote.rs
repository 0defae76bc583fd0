//! The issuer behind the control socket: HTTP/1.1 with JSON over a Unix socket, one
//! connection for each request, for there are two an hour.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;
use updraft_system::mesh::{BundleDocument, IdentityRequest, IdentityResponse};

use super::{Issuer, IssuerError};
use crate::short_path::ShortPath;

/// Asks over a Unix socket.
#[derive(Clone, Debug)]
pub(crate) struct RemoteIssuer {
    socket: PathBuf,
}

/// The control socket brought no answer that is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("the control socket {path} cannot be reached", path = .path.display())]
    Connect {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    #[error("the body of the request cannot be written")]
    Encode(#[source] serde_json::Error),
    #[error("the control socket does not speak HTTP")]
    Http(#[source] hyper::Error),
    #[error("the control socket answered {status}: {detail}")]
    Status {
        status: StatusCode,
        /// The first bytes of the answer.
        detail: String,
    },
    #[error("the answer is too long, or it broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer cannot be read")]
    Decode(#[source] serde_json::Error),
    #[error("the control socket did not answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
}

/// The longest for a whole request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer: a chain and a bundle take 5 KiB.
const ANSWER_BYTES: usize = 64 * 1024;
/// Characters of a refusal that are told on.
const DETAIL: usize = 200;

impl RemoteIssuer {
    pub(crate) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, IssuerError> {
        let answer = timeout(ANSWER_TIMEOUT, self.exchange(method, path, body)).await;
        let answer = answer.ok().ok_or(RemoteError::Timeout).flatten();
        answer
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(RemoteError::Decode))
            .map_err(IssuerError::Remote)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(ShortPath::of(&self.socket)?.path()).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, RemoteError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "updraft")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(RemoteError::Request)?;
        let stream = self.connect().await;
        let stream =
            stream.map_err(|source| RemoteError::Connect { path: self.socket.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(RemoteError::Http)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(RemoteError::Http)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES);
            let bytes = body.collect().await.map_err(RemoteError::Body)?.to_bytes();
            if status != StatusCode::OK {
                let text = String::from_utf8_lossy(&bytes);
                let detail = text.chars().take(DETAIL).collect();
                return Err(RemoteError::Status { status, detail });
            }
            Ok(bytes)
        };
        // The connection moves the bytes; it is never over before the answer is, unless it
        // broke, and then the answer tells why.
        let drive = async {
            drop(connection.await);
            std::future::pending().await
        };
        tokio::select! {
            answer = answer => answer,
            never = drive => never,
        }
    }
}

impl Issuer for RemoteIssuer {
    async fn issue(&self, request: IdentityRequest) -> Result<IdentityResponse, IssuerError> {
        let body = serde_json::to_vec(&request)
            .map_err(|error| IssuerError::Remote(RemoteError::Encode(error)))?;
        self.ask(Method::POST, "/v1/mesh/identity", body).await
    }

    async fn bundle(&self) -> Result<BundleDocument, IssuerError> {
        self.ask(Method::GET, "/v1/mesh/bundle", Vec::new()).await
    }
}
