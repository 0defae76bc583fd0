//! A connection that was found for one request.

use std::sync::atomic::Ordering;

use http::{Request, Response};
use tokio::time::Instant;

use super::RequestBody;
use super::body::PooledBody;
use super::error::SendError;
use super::host::Host;
use super::http1::Http1;
use super::http2::Opened;

/// A connection or stream for one request. Dropped without having been used, it serves another.
pub(super) enum Checkout<B: RequestBody> {
    Http1(Unused<B>),
    Http2(Opened<B>),
}

/// An HTTP/1 connection that goes back when it is dropped.
pub(super) struct Unused<B: RequestBody>(Option<Box<Http1<B>>>);

impl<B: RequestBody> Unused<B> {
    pub(super) fn new(connection: Box<Http1<B>>) -> Self {
        Self(Some(connection))
    }
}

impl<B: RequestBody> Drop for Unused<B> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            let host = connection.host();
            host.put_back(connection, Instant::now());
        }
    }
}

impl<B: RequestBody> Checkout<B> {
    fn is_reused(&self) -> bool {
        match self {
            Self::Http1(unused) => unused.0.as_ref().is_some_and(|one| one.is_reused()),
            Self::Http2(opened) => opened.is_reused(),
        }
    }

    /// Sends a request, which is on its way when this returns. Says on failure whether the
    /// connection had served another one.
    pub(super) fn send(
        self,
        host: &Host<B>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody>, (bool, SendError<B>)>> + use<B> {
        let reused = self.is_reused();
        if reused {
            host.cells().reuses.fetch_add(1, Ordering::Relaxed);
        }
        let sent = match self {
            Self::Http1(mut unused) => match unused.0.take() {
                Some(connection) => Sent::Http1(connection.send(request)),
                None => Sent::Not(Box::new(SendError::withdrawn(request))),
            },
            Self::Http2(opened) => Sent::Http2(opened.send(request)),
        };
        async move {
            let sent = match sent {
                Sent::Http1(sent) => sent.await,
                Sent::Http2(sent) => sent.await,
                Sent::Not(error) => Err(*error),
            };
            sent.map_err(|error| (reused, error))
        }
    }
}

/// What becomes of a request.
enum Sent<One, Two, B> {
    Http1(One),
    Http2(Two),
    Not(Box<SendError<B>>),
}
