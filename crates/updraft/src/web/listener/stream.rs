//! The bytes of one connection, wherever it came from. One type, so that the code of HTTP is
//! compiled once.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection.
#[derive(Debug)]
pub(in crate::web) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Without a network: a test calls its service.
    #[cfg(feature = "testing")]
    Memory(tokio::io::DuplexStream),
    /// A TLS connection over one of the others.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<Stream>>),
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Ahead {
    Bytes,
    /// The other side has closed the connection, or it is broken.
    End,
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
            #[cfg(feature = "testing")]
            Stream::Memory($inner) => $call,
            #[cfg(feature = "tls")]
            Stream::Tls($inner) => $call,
        }
    };
}

impl Stream {
    /// Whether [`poll_ahead`](Self::poll_ahead) ever says anything: TLS ends by a record of its
    /// own, and the others cannot be looked at without taking what is there.
    pub(in crate::web) fn tells_its_end(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// A look at what is to be read, which stays there.
    pub(in crate::web) fn poll_ahead(&self, context: &mut Context<'_>) -> Poll<Ahead> {
        let Self::Tcp(stream) = self else { return Poll::Pending };
        let mut byte = [0];
        stream.poll_peek(context, &mut ReadBuf::new(&mut byte)).map(|peeked| match peeked {
            Ok(1..) => Ahead::Bytes,
            Ok(0) | Err(_) => Ahead::End,
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(context))
    }
}
