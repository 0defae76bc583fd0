//! TLS: who the peer is, what it speaks, and for how long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Piped, get, look, pool, settled, text};
use crate::pool::{
    ConnectError, PoolConfig, Protocol, ProtocolCounts, SendError, Target, TargetTls, UnsentCause,
};

struct Secured {
    address: SocketAddr,
    client: Arc<ClientConfig>,
    /// Handshakes that may begin.
    gate: Arc<Semaphore>,
    /// Connections that are closed without one.
    refusals: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

fn alpn(protocol: Protocol) -> Vec<Vec<u8>> {
    vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }]
}

impl Secured {
    /// A server that speaks `protocol`, and a client that asks for `asked`.
    async fn start(protocol: Protocol, asked: Vec<Vec<u8>>, handshakes: usize) -> Self {
        let issued = rcgen::generate_simple_self_signed(["peer.test".to_owned()]).expect("issue");
        let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let certificate = issued.cert.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("certificate");
        // A server with none of the protocols that were asked for just goes on without.
        server.alpn_protocols = if asked == alpn(protocol) { asked.clone() } else { Vec::new() };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("root");
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = asked;
        let gate = Arc::new(Semaphore::new(handshakes));
        let refusals = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(
            listener,
            Arc::new(server),
            (Arc::clone(&gate), Arc::clone(&refusals)),
            protocol,
        ));
        Self { address, client: Arc::new(client), gate, refusals, _tasks: tasks }
    }

    fn target(&self, protocol: Protocol, name: &str, not_after: Option<SystemTime>) -> Target {
        let name = ServerName::try_from(name.to_owned()).expect("name");
        let tls = TargetTls { config: Arc::clone(&self.client), name };
        Target::secured(self.address, 0, protocol, tls, not_after)
    }
}

async fn serve(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    (gate, refusals): (Arc<Semaphore>, Arc<AtomicUsize>),
    protocol: Protocol,
) {
    let acceptor = TlsAcceptor::from(config);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if refusals.load(Ordering::Relaxed) > 0 {
            refusals.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (acceptor, gate) = (acceptor.clone(), Arc::clone(&gate));
        connections.spawn(async move {
            gate.acquire().await.expect("open").forget();
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let io = TokioIo::new(stream);
            let service =
                service_fn(|_| async { Ok::<_, Infallible>(Response::new(Piped::full("secret"))) });
            match protocol {
                Protocol::Http1 => {
                    let http = hyper::server::conn::http1::Builder::new();
                    drop(http.serve_connection(io, service).await);
                }
                Protocol::Http2 => {
                    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(http.serve_connection(io, service).await);
                }
            }
        });
    }
}

#[tokio::test]
async fn a_verified_peer_serves_requests() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = Secured::start(protocol, alpn(protocol), 10).await;
        let target = server.target(protocol, "peer.test", None);
        let pool = pool(PoolConfig::default());
        for round in 0..5 {
            let response = pool.send(&target, get(&target, "/")).await.expect("response");
            assert_eq!(response.body().connection().reused, round > 0);
            assert_eq!(text(response).await, "secret");
        }
        let counts = pool.counts();
        let ProtocolCounts { open, connects, reuses, .. } = match protocol {
            Protocol::Http1 => counts.http1,
            Protocol::Http2 => counts.http2,
        };
        assert_eq!((open, connects, reuses), (1, 1, 4));
    }
}

fn connect_error(outcome: super::Answer) -> Arc<ConnectError> {
    match outcome {
        Err(SendError::Unsent { request: Some(_), cause: UnsentCause::Connect(error) }) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peer_with_another_name_sees_no_request() {
    let server = Secured::start(Protocol::Http1, alpn(Protocol::Http1), 10).await;
    let target = server.target(Protocol::Http1, "other.test", None);
    let pool = pool(PoolConfig::default());
    let error = connect_error(pool.send(&target, get(&target, "/")).await);
    assert!(matches!(*error, ConnectError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_agree_on_the_protocol_sees_no_request() {
    let server = Secured::start(Protocol::Http1, alpn(Protocol::Http2), 10).await;
    let target = server.target(Protocol::Http2, "peer.test", None);
    let pool = pool(PoolConfig::default());
    let error = connect_error(pool.send(&target, get(&target, "/")).await);
    assert!(matches!(*error, ConnectError::Protocol), "{error:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let server = Secured::start(Protocol::Http1, alpn(Protocol::Http1), 0).await;
    let target = server.target(Protocol::Http1, "peer.test", None);
    let config = PoolConfig { connect_timeout: Duration::from_millis(80), ..PoolConfig::default() };
    let pool = pool(config);
    let error = connect_error(pool.send(&target, get(&target, "/")).await);
    assert!(matches!(*error, ConnectError::Timeout), "{error:?}");
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = Secured::start(protocol, alpn(protocol), 10).await;
        let end = SystemTime::now() + Duration::from_millis(700);
        let target = server.target(protocol, "peer.test", Some(end));
        let pool = pool(PoolConfig::default());
        drop(text(pool.send(&target, get(&target, "/")).await.expect("response")).await);
        settled(&pool, |counts| counts.http1.open + counts.http2.open == 0).await;
        assert!(SystemTime::now() >= end);
        // A renewed certificate is no other target.
        assert_eq!(target, server.target(protocol, "peer.test", None));
    }
}

#[tokio::test]
async fn a_connect_goes_on_for_others_when_its_request_goes_away() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = Secured::start(protocol, alpn(protocol), 0).await;
        let target = server.target(protocol, "peer.test", None);
        let pool = pool(PoolConfig {
            connections: 1,
            connect_timeout: Duration::from_secs(30),
            wait: Duration::from_secs(30),
            ..PoolConfig::default()
        });
        let ask = || {
            let (pool, target) = (Arc::clone(&pool), target.clone());
            tokio::spawn(async move {
                text(pool.send(&target, get(&target, "/")).await.expect("response")).await
            })
        };
        let first = ask();
        tokio::task::yield_now().await;
        let second = ask();
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.expect_err("aborted").is_cancelled());
        // One handshake in all.
        server.gate.add_permits(1);
        assert_eq!(second.await.expect("task"), "secret");
        let counts = pool.counts();
        assert_eq!(counts.http1.connects + counts.http2.connects, 1);
    }
}

/// Who waits only because there may be no more connections gets an attempt of its own.
#[tokio::test]
async fn a_failed_connect_fails_those_alone_whom_it_was_for() {
    let server = Secured::start(Protocol::Http1, alpn(Protocol::Http1), 10).await;
    server.refusals.store(1, Ordering::Relaxed);
    let target = server.target(Protocol::Http1, "peer.test", None);
    let pool = pool(PoolConfig { connections: 1, ..PoolConfig::default() });
    let (first, second) = (get(&target, "/"), get(&target, "/"));
    let mut first = Box::pin(pool.send(&target, first));
    assert!(look(&mut first).await.is_none());
    let mut second = Box::pin(pool.send(&target, second));
    assert!(look(&mut second).await.is_none());
    let error = connect_error(first.await);
    assert!(matches!(*error, ConnectError::Tls(_)), "{error:?}");
    assert_eq!(text(second.await.expect("response")).await, "secret");
}
