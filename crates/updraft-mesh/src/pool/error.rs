//! Why there is no response, and whether the endpoint can have seen the request.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::Request;

/// Why a request has no response.
#[derive(thiserror::Error)]
pub(crate) enum SendError<B> {
    /// The endpoint has provably done nothing with the request: it can be sent again, whatever
    /// its method.
    #[error("the request was not sent")]
    Unsent {
        /// The request itself, if none of it was taken. It is gone when the endpoint refused a
        /// stream that had been opened.
        request: Option<Box<Request<B>>>,
        /// Why.
        #[source]
        cause: UnsentCause,
    },
    /// The connection or stream broke before the head of the response was complete, or the
    /// head made no sense: the endpoint may have done the request's work.
    #[error("there was no response to the request that was sent")]
    Sent(#[source] hyper::Error),
    /// The request cannot be sent, or its own body failed: not the endpoint's fault.
    #[error("the request itself failed")]
    Request(#[source] hyper::Error),
}

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsentCause {
    /// There is no connection.
    #[error("no connection to the endpoint")]
    Connect(#[source] Arc<ConnectError>),
    /// Too many requests wait for a connection already
    /// ([`waiters`](super::PoolConfig::waiters)).
    #[error("too many requests wait for a connection to the endpoint")]
    Full,
    /// It waited for a connection too long ([`wait`](super::PoolConfig::wait)).
    #[error("no connection to the endpoint became free in time")]
    Wait,
    /// The endpoint has gone from the configuration.
    #[error("the endpoint was withdrawn")]
    Retired,
    /// The connection closed before the request was written.
    #[error("the connection closed before the request was sent")]
    Closed(#[source] hyper::Error),
    /// The endpoint refused the stream, or said goodbye before it (RFC 9113, sections 6.8 and
    /// 8.7).
    #[error("the endpoint refused the stream")]
    Refused(#[source] hyper::Error),
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// TCP.
    #[error("the connection could not be opened")]
    Tcp(#[source] io::Error),
    /// TLS, which includes a peer that is not who it should be.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The peer did not agree on what is spoken (ALPN, RFC 7301).
    #[error("the peer does not speak the declared protocol")]
    Protocol,
    /// HTTP.
    #[error("the HTTP connection could not be started")]
    Http(#[source] hyper::Error),
    /// It took longer than [`connect_timeout`](super::PoolConfig::connect_timeout).
    #[error("the connection was not open in time")]
    Timeout,
    /// The pool ended.
    #[error("the attempt to connect was cut short")]
    Interrupted,
}

impl<B> SendError<B> {
    pub(super) fn withdrawn(request: Request<B>) -> Self {
        Self::Unsent { request: Some(Box::new(request)), cause: UnsentCause::Retired }
    }

    /// Sorts a failure of hyper.
    pub(super) fn sort(request: Option<Request<B>>, error: hyper::Error) -> Self {
        if let Some(request) = request {
            let cause = UnsentCause::Closed(error);
            return Self::Unsent { request: Some(Box::new(request)), cause };
        }
        match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
            Some(stream) if is_refusal(stream) => {
                Self::Unsent { request: None, cause: UnsentCause::Refused(error) }
            }
            Some(stream) if stream.is_reset() && !stream.is_remote() && !stream.is_library() => {
                Self::Request(error)
            }
            _ if error.is_user() => Self::Request(error),
            _ => Self::Sent(error),
        }
    }

    /// Whether the endpoint has provably done nothing with the request.
    #[cfg(test)]
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, Self::Unsent { .. })
    }
}

/// Whether the peer said that it has not processed the stream. h2 gives a GOAWAY to those
/// streams alone that are above the last one that the peer has taken.
fn is_refusal(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

impl<B> fmt::Debug for SendError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent { request, cause } => f
                .debug_struct("Unsent")
                .field("given_back", &request.is_some())
                .field("cause", cause)
                .finish(),
            Self::Sent(error) => f.debug_tuple("Sent").field(error).finish(),
            Self::Request(error) => f.debug_tuple("Request").field(error).finish(),
        }
    }
}
