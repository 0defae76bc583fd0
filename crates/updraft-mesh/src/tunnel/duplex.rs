//! What a tunnel is made of.

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream of bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {
    /// The socket, if its bytes are those of the stream.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }

    /// Has the drop of the stream tell the peer that it broke off (a TCP reset) instead of that
    /// it ended. Does nothing where that cannot be.
    fn abort(&self) {}
}

impl Duplex for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn abort(&self) {
        // A socket without a peer refuses, and has nobody to tell.
        drop(self.set_zero_linger());
    }
}

impl<S: Duplex> Duplex for tokio_rustls::client::TlsStream<S> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

impl<S: Duplex> Duplex for tokio_rustls::server::TlsStream<S> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

/// hyper hides the socket; what breaks off just closes.
impl Duplex for TokioIo<Upgraded> {}

#[cfg(test)]
impl Duplex for tokio::io::DuplexStream {}

#[cfg(test)]
impl<S: Duplex> Duplex for tokio::io::BufStream<S> {}
