//! Opening a connection: TCP, TLS, HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::ConnectError;
use super::host::{Host, Open};
use super::http1::Http1;
use super::http2::{self as multiplexed, Executor, Http2};
use super::life::Life;
use super::wire::{Socket, Watch, Wire};
use super::{PoolConfig, Protocol, RequestBody, Target};

/// What is kept of a request for an endpoint that does not read, and of an answer that is not
/// read. Hyper's own bound is 400 KiB.
const BUFFER_BYTES: usize = 64 * 1024;

/// What has been opened.
pub(super) enum Connected<B: RequestBody> {
    Http1(Box<Http1<B>>),
    Http2(Arc<Http2<B>>),
}

/// Opens a connection, within the time for it.
pub(super) async fn connect<B: RequestBody>(
    host: &Arc<Host<B>>,
) -> Result<Connected<B>, ConnectError> {
    let config = Arc::clone(&host.config());
    let longest = config.connect_timeout;
    let opening = async {
        let (wire, watch) = dial(&host.target, &config).await?;
        match host.target.protocol() {
            Protocol::Http1 => start_http1(host, config, wire, watch).await,
            Protocol::Http2 => start_http2(host, config, wire).await,
        }
    };
    match tokio::time::timeout(longest, opening).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(ConnectError::Timeout),
    }
}

async fn dial(target: &Target, config: &PoolConfig) -> Result<(Wire, Watch), ConnectError> {
    let stream = TcpStream::connect(target.address()).await.map_err(ConnectError::Tcp)?;
    prepare(&stream, config.user_timeout).map_err(ConnectError::Tcp)?;
    let (socket, watch) = Socket::new(stream);
    let Some(tls) = target.tls() else {
        return Ok((Wire::Plain(socket), watch));
    };
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let stream = connector.connect(tls.name.clone(), socket).await.map_err(ConnectError::Tls)?;
    if !agrees(&stream, &tls.config, target.protocol()) {
        return Err(ConnectError::Protocol);
    }
    Ok((Wire::Tls(Box::new(stream)), watch))
}

fn prepare(stream: &TcpStream, user_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let millis = u32::try_from(user_timeout.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?;
    Ok(())
}

/// Whether the peer has chosen what is declared. It need not choose if it was not asked.
fn agrees(stream: &TlsStream<Socket>, config: &ClientConfig, protocol: Protocol) -> bool {
    let declared: &[u8] = match protocol {
        Protocol::Http1 => b"http/1.1",
        Protocol::Http2 => b"h2",
    };
    match stream.get_ref().1.alpn_protocol() {
        Some(chosen) => chosen == declared,
        None => config.alpn_protocols.is_empty(),
    }
}

async fn start_http1<B: RequestBody>(
    host: &Arc<Host<B>>,
    config: Arc<PoolConfig>,
    wire: Wire,
    watch: Watch,
) -> Result<Connected<B>, ConnectError> {
    let (sender, connection) = http1::Builder::new()
        .max_header_size(size(config.head_bytes))
        .max_headers(size(config.head_fields))
        .max_buf_size(BUFFER_BYTES.max(size(config.head_bytes)))
        .handshake(TokioIo::new(wire))
        .await
        .map_err(ConnectError::Http)?;
    let open = Open::new(host);
    let task = host.tasks().spawn(async move {
        super::http1::drive(connection).await;
        drop(open);
    });
    let task = task.ok_or(ConnectError::Interrupted)?;
    let life = life(host, &config);
    let opened = Http1::new(sender, watch, task, (Arc::clone(host), config), life);
    Ok(Connected::Http1(Box::new(opened)))
}

async fn start_http2<B: RequestBody>(
    host: &Arc<Host<B>>,
    config: Arc<PoolConfig>,
    wire: Wire,
) -> Result<Connected<B>, ConnectError> {
    let (sender, connection) = http2::Builder::new(Executor::new(host))
        .timer(TokioTimer::new())
        .initial_stream_window_size(config.stream_window)
        .initial_connection_window_size(config.connection_window)
        .max_header_list_size(config.head_bytes)
        .keep_alive_interval(config.ping_interval)
        .keep_alive_timeout(config.ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(ConnectError::Http)?;
    let peer_limit = Arc::new(AtomicUsize::new(config.streams));
    let task = host.tasks().spawn(multiplexed::drive(connection, Arc::clone(&peer_limit)));
    task.ok_or(ConnectError::Interrupted)?;
    let life = life(host, &config);
    let connection = Http2::new(sender, (Arc::clone(host), config), life, peer_limit);
    Ok(Connected::Http2(Arc::new(connection)))
}

fn life<B: RequestBody>(host: &Host<B>, config: &PoolConfig) -> Life {
    Life::new(Instant::now(), config.max_age, host.target.not_after())
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
