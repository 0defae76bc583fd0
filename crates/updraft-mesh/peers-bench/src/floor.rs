//! The floor: what a proxy on hyper costs that does nothing but forward. One thread, a pool
//! whose last connection is taken first, no policy, no time limit, no metrics, no hygiene.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use http::{Request, Response, Uri, header, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::certificates;
use crate::peers::{Hop, Side};

/// Futures of this proxy stay on its thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(async move { drop(future.await) });
    }
}

struct Proxy {
    upstream: SocketAddr,
    connector: Option<TlsConnector>,
    hop: Hop,
    idle: RefCell<Vec<http1::SendRequest<Incoming>>>,
    shared: RefCell<Option<http2::SendRequest<Incoming>>>,
}

/// Forwards until it is ended. `folder` has the certificates.
pub fn serve(
    side: Side,
    hop: Hop,
    listen: SocketAddr,
    upstream: SocketAddr,
    folder: &Path,
) -> Result<()> {
    let connector = match side {
        Side::Out => Some(TlsConnector::from(certificates::client(folder, hop.alpn())?)),
        Side::Plain | Side::In => None,
    };
    let acceptor = match side {
        Side::In => Some(TlsAcceptor::from(certificates::server(folder)?)),
        Side::Plain | Side::Out => None,
    };
    let hop = if side == Side::Out { hop } else { Hop::H1 };
    let (idle, shared) = Default::default();
    let proxy = Rc::new(Proxy { upstream, connector, hop, idle, shared });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (proxy, acceptor) = (proxy.clone(), acceptor.clone());
            spawn_local(async move { drop(proxy.accept(stream, acceptor).await) });
        }
    })
}

impl Proxy {
    async fn accept(
        self: Rc<Self>,
        stream: TcpStream,
        acceptor: Option<TlsAcceptor>,
    ) -> Result<()> {
        let service = service_fn(move |request| {
            let proxy = self.clone();
            async move { proxy.forward(request).await }
        });
        let http1 = hyper::server::conn::http1::Builder::new();
        let Some(acceptor) = acceptor else {
            return Ok(http1.serve_connection(TokioIo::new(stream), service).await?);
        };
        let stream = acceptor.accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let http2 = hyper::server::conn::http2::Builder::new(Local);
            return Ok(http2.serve_connection(TokioIo::new(stream), service).await?);
        }
        Ok(http1.serve_connection(TokioIo::new(stream), service).await?)
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
        if self.hop == Hop::H2 {
            let host = request.headers_mut().remove(header::HOST).context("no host")?;
            let path = request.uri().path_and_query().cloned();
            let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
            let authority = host.as_bytes();
            *request.uri_mut() =
                Uri::builder().scheme("https").authority(authority).path_and_query(path).build()?;
            return Ok(self.stream().await?.send_request(request).await?);
        }
        if let Some(authority) = request.uri().authority() {
            let host = authority.as_str().parse()?;
            request.headers_mut().insert(header::HOST, host);
            let path = request.uri().path_and_query().cloned().context("no path")?;
            *request.uri_mut() = path.into();
            *request.version_mut() = http::Version::HTTP_11;
        }
        let mut sender = self.connection().await?;
        let response = sender.send_request(request).await?;
        self.idle.borrow_mut().push(sender);
        Ok(response)
    }

    /// The last one used that has delivered its body, or a new one.
    async fn connection(&self) -> Result<http1::SendRequest<Incoming>> {
        let ready = {
            let mut idle = self.idle.borrow_mut();
            idle.iter().rposition(http1::SendRequest::is_ready).map(|at| idle.remove(at))
        };
        match (ready, &self.connector) {
            (Some(sender), _) => Ok(sender),
            (None, None) => opened(self.connect().await?).await,
            (None, Some(connector)) => opened(self.connect_by(connector).await?).await,
        }
    }

    /// The one connection that all streams are on.
    async fn stream(&self) -> Result<http2::SendRequest<Incoming>> {
        if let Some(sender) = self.shared.borrow().as_ref().filter(|sender| sender.is_ready()) {
            return Ok(sender.clone());
        }
        let connector = self.connector.as_ref().context("HTTP/2 is by TLS only")?;
        let stream = TokioIo::new(self.connect_by(connector).await?);
        let (sender, connection) = http2::Builder::new(Local).handshake(stream).await?;
        spawn_local(connection);
        *self.shared.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_by(&self, connector: &TlsConnector) -> Result<Box<TlsStream<TcpStream>>> {
        let name = certificates::NAME.try_into()?;
        Ok(Box::new(connector.connect(name, self.connect().await?).await?))
    }
}

async fn opened(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<http1::SendRequest<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    sender.ready().await?;
    Ok(sender)
}
