//! Peers that speak byte by byte, to do what no good server does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener whose connections are served, one after another, by `serve`.
pub(super) async fn raw<F, R>(serve: F) -> (SocketAddr, JoinHandle<()>)
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let task = tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(number, stream));
            number += 1;
        }
    });
    (address, task)
}

/// Reads until the end of a head.
pub(super) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// One HTTP/2 frame.
pub(super) struct RawFrame {
    pub(super) kind: u8,
    pub(super) stream: u32,
}

pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;

/// The start of an HTTP/2 connection, as a server.
pub(super) async fn http2_preface(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("preface");
    write_frame(stream, SETTINGS, 0, &[]).await;
}

pub(super) async fn read_frame(stream: &mut TcpStream) -> Option<RawFrame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Some(RawFrame { kind: head[3], stream })
}

pub(super) async fn write_frame(stream: &mut TcpStream, kind: u8, id: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, 0];
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    drop(stream.write_all(&frame).await);
}

/// Reads frames until the head of a request on `id`.
pub(super) async fn await_request(stream: &mut TcpStream, id: u32) {
    while let Some(frame) = read_frame(stream).await {
        if frame.kind == HEADERS && frame.stream == id {
            return;
        }
    }
}
