//! Connections: TCP or the socket of a file, encrypted or not, each counted while it is open.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::BoxError;
use crate::process::BoxFuture;

/// How long connecting may take, so that an address that is away leaves time for another.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// Where connections go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Makes the connections to one address.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) target: Target,
    pub(super) connections: Arc<AtomicI64>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::ForHost>,
}

/// A stream of bytes.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub(super) struct Wire {
    stream: TokioIo<Box<dyn Stream>>,
    speaks_http2: bool,
    _open: Open,
}

/// Counts a connection while it is open.
struct Open(Arc<AtomicI64>);

impl Open {
    fn begin(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connector {
    async fn connect(self) -> Result<Wire, BoxError> {
        let open = Open::begin(&self.connections);
        let (stream, speaks_http2): (Box<dyn Stream>, bool) = match &self.target {
            Target::Unix(path) => (Box::new(UnixStream::connect(path).await?), false),
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                self.encrypted(stream).await?
            }
        };
        Ok(Wire { stream: TokioIo::new(stream), speaks_http2, _open: open })
    }

    #[cfg(feature = "tls")]
    async fn encrypted(&self, stream: TcpStream) -> Result<(Box<dyn Stream>, bool), BoxError> {
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), false)) };
        let stream = tls.connect(stream).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), speaks_http2))
    }

    #[cfg(not(feature = "tls"))]
    async fn encrypted(&self, stream: TcpStream) -> Result<(Box<dyn Stream>, bool), BoxError> {
        std::future::ready(Ok((Box::new(stream) as Box<dyn Stream>, false))).await
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Wire;
    type Error = BoxError;
    type Future = BoxFuture<Result<Wire, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIME, connector.connect()).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.speaks_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
