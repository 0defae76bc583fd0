//! The body of a response, which holds its connection until it has ended.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of a response. When it has ended, trailers included, its connection serves other
/// requests; dropped before that, it ends the connection (HTTP/1) or its stream (HTTP/2).
pub(crate) struct PooledBody {
    body: Incoming,
    lease: Option<Lease>,
    connection: Connection,
}

/// What is known of the connection that a response came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Whether it had served another request before.
    pub(crate) reused: bool,
    /// Since when it was open when the request was sent.
    pub(crate) age: Duration,
}

/// The part of a connection that a response holds.
pub(super) enum Lease {
    /// The whole of it.
    Http1(Box<dyn Loan>),
    /// One stream.
    Http2(Stream),
}

/// A connection that is to be given back.
pub(super) trait Loan: Send + Sync {
    /// The response has ended.
    fn give_back(self: Box<Self>);
}

/// A stream that counts as under way until it is dropped.
pub(super) struct Stream(pub(super) Arc<dyn Streams>);

/// What streams belong to.
pub(super) trait Streams: Send + Sync {
    /// One of them has ended.
    fn end_stream(&self);
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.end_stream();
    }
}

impl PooledBody {
    pub(super) fn new(body: Incoming, lease: Option<Lease>, connection: Connection) -> Self {
        let mut body = Self { body, lease, connection };
        body.look_for_end();
        body
    }

    /// What is known of the connection.
    #[cfg(test)]
    pub(crate) fn connection(&self) -> Connection {
        self.connection
    }

    fn look_for_end(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        match self.lease.take() {
            Some(Lease::Http1(loan)) => loan.give_back(),
            Some(Lease::Http2(stream)) => drop(stream),
            None => {}
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => this.release(),
            Poll::Ready(Some(Ok(_))) => this.look_for_end(),
            // What is left of the connection ends with the loan.
            Poll::Ready(Some(Err(_))) => this.lease = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for PooledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody")
            .field("ended", &self.lease.is_none())
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
