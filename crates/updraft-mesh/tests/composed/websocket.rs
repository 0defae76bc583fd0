//! WebSocket through one gateway, and through two with mutual TLS between them.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};
use updraft_mesh::Gateway;
use updraft_system::mesh::Protocol;

use crate::support::{Pair, Setup, Source, get, report, soon, until};

/// Says all that it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    let speaks = message.is_text() || message.is_binary();
                    if speaks && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn speaks(at: SocketAddr) {
    let stream = TcpStream::connect(at).await.unwrap();
    let (mut socket, response) = soon(client_async("ws://pricing/live?x=1", stream)).await.unwrap();
    assert_eq!(response.status(), 101);
    let long = Message::binary(vec![7; 1 << 20]);
    let messages = ["", "hello", "\u{e4}\u{f6}"].map(Message::text);
    for message in messages.into_iter().chain([long.clone(), Message::Ping("p".into()), long]) {
        socket.send(message.clone()).await.unwrap();
        let back = soon(socket.next()).await.unwrap().unwrap();
        match message {
            Message::Ping(payload) => assert_eq!(back, Message::Pong(payload)),
            message => assert!(back == message, "{} bytes", back.len()),
        }
    }
    socket.close(None).await.unwrap();
    assert!(soon(socket.next()).await.unwrap().unwrap().is_close());
    assert!(!matches!(soon(socket.next()).await, Some(Ok(_))));
}

async fn ended(gateway: &Gateway, opened: u64) {
    until("the tunnels end", || report(gateway, "cart", "pricing").tunnels.active == 0).await;
    let report = report(gateway, "cart", "pricing");
    assert_eq!(report.tunnels.opened, opened);
    assert_eq!(report.totals.classes.informational, opened);
    assert!(report.tunnels.bytes_to_caller > 2 << 20);
    assert_eq!(report.active_requests, 0);
}

#[tokio::test]
async fn messages_of_any_size_pass_one_gateway() {
    let setup = Setup::new(&[echo().await]);
    let gateway = setup.start();
    for _ in 0..3 {
        speaks(setup.port).await;
    }
    ended(&gateway, 3).await;
    // The handshake has to be whole, and what is no handshake is an ordinary request.
    let mut stream = TcpStream::connect(setup.port).await.unwrap();
    let upgrade =
        "GET / HTTP/1.1\r\nhost: pricing\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut said = [0; 12];
    soon(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 400");
    assert_ne!(get(setup.port, "/").await.status, 101);
}

#[tokio::test]
async fn messages_of_any_size_pass_two_gateways() {
    let pair = Pair::new(Source::local(), echo().await, Protocol::Http1);
    let (caller, callee) = pair.start().await;
    for _ in 0..2 {
        speaks(pair.port).await;
    }
    ended(&caller, 2).await;
    ended(&callee, 2).await;
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup::new(&[listener.local_addr().unwrap()]);
    let gateway = setup.start();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = accept_async(stream).await.unwrap().into_inner();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        // The caller has ended; what it gets now still has to come.
        stream.write_all(&all.repeat(1000)).await.unwrap();
        stream.shutdown().await.unwrap();
        all.len()
    });
    let stream = TcpStream::connect(setup.port).await.unwrap();
    let (socket, _) = client_async("ws://pricing/", stream).await.unwrap();
    let mut stream = socket.into_inner();
    stream.write_all(&[9; 1234]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    soon(stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!((server.await.unwrap(), back.len()), (1234, 1_234_000));
    until("it has ended", || report(&gateway, "cart", "pricing").tunnels.active == 0).await;
}
