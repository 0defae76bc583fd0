//! A hyper server behind the gate on a real socket, which writes down what reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Inbound, InboundConfig, Kind, Pseudonym, Rule, ScanLimits, StrictIo, request};

/// What came out of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Requests that reached the service whole.
    pub(super) seen: Vec<String>,
    /// Requests of which the service got the head.
    pub(super) heads: usize,
    /// Bodies that ended in an error.
    pub(super) broken_bodies: usize,
    pub(super) rules: Vec<Rule>,
    /// The connection is over.
    pub(super) ended: bool,
}

pub(super) type Records = Arc<Mutex<Vec<Record>>>;

pub(super) fn inbound(kind: Kind) -> Inbound {
    Inbound::new(&InboundConfig {
        kind,
        peer: "192.0.2.7".parse().unwrap(),
        secure: false,
        allows_upgrade: true,
        methods: &[],
        caller: (kind != Kind::Ingress).then_some("cart"),
        spiffe: (kind == Kind::Mesh).then_some("spiffe://shop/cart"),
        default_host: "pricing",
        pseudonym: &Pseudonym::new("gate").unwrap(),
    })
}

/// Serves until the runtime ends; the records are in the order of the connections.
pub(super) async fn serve() -> (SocketAddr, Records) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let records = Records::default();
    let kept = records.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let index = {
                let mut records = records.lock().unwrap();
                records.push(Record::default());
                records.len() - 1
            };
            tokio::spawn(connection(stream, index, records.clone()));
        }
    });
    (address, kept)
}

async fn connection(stream: TcpStream, index: usize, records: Records) {
    let note = {
        let records = records.clone();
        move |change: &dyn Fn(&mut Record)| change(&mut records.lock().unwrap()[index])
    };
    let report = {
        let note = note.clone();
        Arc::new(move |rule| note(&|record| record.rules.push(rule)))
    };
    let inbound = Arc::new(inbound(Kind::Ingress));
    let service = {
        let note = note.clone();
        service_fn(move |request| answer(request, inbound.clone(), note.clone()))
    };
    let io = TokioIo::new(StrictIo::new(stream, ScanLimits::default(), report));
    let served = hyper::server::conn::http1::Builder::new()
        .max_headers(100)
        .serve_connection(io, service)
        .with_upgrades()
        .await;
    drop(served);
    note(&|record| record.ended = true);
}

async fn answer(
    request_in: hyper::Request<Incoming>,
    inbound: Arc<Inbound>,
    note: impl Fn(&dyn Fn(&mut Record)),
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (mut parts, body) = request_in.into_parts();
    note(&|record| record.heads += 1);
    let asked = match request(&mut parts, &inbound) {
        Ok(asked) => asked,
        Err(refusal) => {
            note(&|record| record.rules.push(refusal.rule));
            return Ok(refusal.response(parts.version, None, false));
        }
    };
    let Ok(body) = body.collect().await else {
        note(&|record| record.broken_bodies += 1);
        let mut response = Response::new(Full::from("the body broke"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        return Ok(response);
    };
    let mut line = format!("{} {}", parts.method, parts.uri);
    let body = body.to_bytes();
    if !body.is_empty() {
        line = format!("{line} {}", String::from_utf8_lossy(&body));
    }
    let mut response = Response::new(Full::from("seen"));
    if asked.upgrade {
        line.push_str(" upgrade");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.body_mut() = Full::default();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("x"));
        let upgraded = hyper::upgrade::on(hyper::Request::from_parts(parts, ()));
        tokio::spawn(async move { echo(upgraded.await).await });
    }
    note(&|record| record.seen.push(line.clone()));
    Ok(response)
}

async fn echo(upgraded: hyper::Result<hyper::upgrade::Upgraded>) {
    let Ok(upgraded) = upgraded else { return };
    let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
    drop(tokio::io::copy(&mut from, &mut to).await);
    drop(to.shutdown().await);
}

/// The statuses in a text of answers.
pub(super) fn statuses(text: &[u8]) -> Vec<u16> {
    let status = |window: &[u8]| {
        let start = window.starts_with(b"HTTP/1.1 ") || window.starts_with(b"HTTP/1.0 ");
        let digits = std::str::from_utf8(&window[9..12]).ok().filter(|_| start)?;
        digits.parse().ok().filter(|_| window[12] == b' ')
    };
    text.windows(13).filter_map(status).collect()
}

/// Sends the bytes in pieces, reads until as many answers came as are expected, ends its side,
/// and reads the rest. The whole text comes back.
pub(super) async fn converse(
    address: SocketAddr,
    pieces: impl Iterator<Item = &[u8]>,
    expected: usize,
) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        // A connection that was refused early takes no more.
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut text = Vec::new();
    let mut space = [0; 4096];
    let deadline = tokio::time::sleep(Duration::from_secs(10));
    let mut deadline = std::pin::pin!(deadline);
    let mut open = true;
    loop {
        if open && statuses(&text).len() >= expected {
            open = false;
            drop(stream.shutdown().await);
        }
        let read = tokio::select! {
            read = stream.read(&mut space) => read.unwrap_or(0),
            () = &mut deadline => panic!("no end after {}", text.escape_ascii()),
        };
        if read == 0 {
            return text;
        }
        text.extend_from_slice(&space[..read]);
    }
}

/// The record of the connection, once it is over.
pub(super) async fn ended(records: &Records, index: usize) -> Record {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let record = records.lock().unwrap().get(index).cloned();
        match record {
            Some(record) if record.ended => return record,
            record => assert!(tokio::time::Instant::now() < deadline, "still open: {record:?}"),
        }
        tokio::task::yield_now().await;
    }
}
