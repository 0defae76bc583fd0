//! The limits of the configuration: each of them does what it says, and is counted.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, timeout};

use crate::support::client::Client;
use crate::support::frame::{HEADERS, INITIAL_WINDOW_SIZE, WHOLE, get, headers};
use crate::support::mesh::{Mesh, port};
use crate::support::peer::{Event, Peer, Server};
use crate::support::until;
use crate::support::upstream::Upstream;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn mesh(limits: &str) -> (Upstream, Mesh) {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::start("http1", upstream.address, limits, "");
    (upstream, mesh)
}

#[tokio::test]
async fn a_head_of_too_many_bytes_or_fields_is_refused_and_counted() {
    let (upstream, mesh) = mesh("head_bytes = 1000\nhead_fields = 20").await;
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(1000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(20));
    let endless = "x".repeat(5000);
    for (sent, limit, count) in
        [(&long, "head_bytes", 1), (&many, "head_fields", 1), (&endless, "head_bytes", 2)]
    {
        let mut client = Client::connect(mesh.edge).await;
        client.send(sent.as_bytes()).await;
        assert_eq!(client.statuses().await, [431], "{limit}");
        assert_eq!(mesh.limit(limit), count, "{limit}");
    }
    assert!(upstream.now().is_empty());
    let fits = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(19));
    let mut client = Client::connect(mesh.edge).await;
    client.send(fits.as_bytes()).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_not_whole_in_time_is_refused_and_counted() {
    let (_upstream, mesh) = mesh("head_timeout = \"300ms\"\nkeep_alive = \"20s\"").await;
    let mut client = Client::connect(mesh.edge).await;
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
    client.send(&GET[..10]).await;
    assert_eq!(client.statuses().await, [408]);
    assert_eq!((mesh.limit("head_timeout"), mesh.limit("keep_alive")), (1, 0));
    let text = metrics(&mesh).await;
    assert!(text.contains("updraft_mesh_limits_hit_total{limit=\"head_timeout\"} 1\n"), "{text}");
}

/// What a scraper gets.
async fn metrics(mesh: &Mesh) -> String {
    let mut scraper = Client::connect(mesh.admin).await;
    scraper.send(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    String::from_utf8(scraper.response().await.body).unwrap()
}

#[tokio::test]
async fn an_idle_connection_ends_and_is_counted_in_both_protocols() {
    let (_upstream, mesh) = mesh("head_timeout = \"20s\"\nkeep_alive = \"300ms\"").await;
    let mut fresh = Client::connect(mesh.edge).await;
    let mut used = Client::connect(mesh.edge).await;
    used.send(GET).await;
    assert_eq!(used.response().await.status, 200);
    assert!(fresh.is_closed().await && used.is_closed().await);
    assert_eq!(mesh.limit("keep_alive"), 2);

    let upstream = Server::start().await;
    let mesh = Mesh::start(
        "h2c",
        upstream.address,
        "keep_alive = \"300ms\"\nhead_timeout = \"300ms\"",
        "",
    );
    let mut used = Peer::connect(mesh.edge).await;
    used.send(&headers(1, WHOLE, &get())).await;
    assert!(used.find(|frame| frame.kind == HEADERS).await.is_some());
    assert_eq!(used.goodbye().await, Some(0), "a goodbye without an error");
    // One that does not even shake hands.
    let mut silent = Peer::silent(mesh.edge).await;
    assert!(silent.goodbye().await.is_some());
    assert_eq!(mesh.limit("keep_alive"), 2);
}

#[tokio::test]
async fn further_connections_wait_until_one_ends() {
    let (upstream, mesh) = mesh("connections = 2").await;
    let mut first = Client::connect(mesh.edge).await;
    let mut second = Client::connect(mesh.edge).await;
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        assert_eq!(client.response().await.status, 200);
    }
    let mut third = Client::connect(mesh.edge).await;
    third.send(GET).await;
    assert!(timeout(Duration::from_millis(300), third.response()).await.is_err());
    assert_eq!(upstream.now().len(), 2);
    drop(first);
    assert_eq!(third.response().await.status, 200);
    assert!(mesh.limit("connections") >= 1);
    // The port of the outside has connections of its own.
    let mut outside = Client::connect(mesh.ingress).await;
    outside.send(GET).await;
    assert_eq!(outside.response().await.status, 200);
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_limit_is_counted() {
    let upstream = Server::start().await;
    let mesh = Mesh::start("h2c", upstream.address, "streams = 4", "");
    // Answers wait for a window, so that streams stay open.
    let mut peer = Peer::with(mesh.edge, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for number in 0..4 {
        peer.send(&headers(1 + 2 * number, WHOLE, &get())).await;
        assert!(peer.find(|frame| frame.kind == HEADERS).await.is_some());
    }
    peer.send(&headers(9, WHOLE, &get())).await;
    let refused = loop {
        match peer.next().await {
            Event::Frame(frame) if frame.error().is_some() => break frame.error(),
            Event::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused, Some(crate::support::frame::REFUSED_STREAM));
    assert_eq!(mesh.limit("streams"), 1);
    assert_eq!(upstream.requests(), 4);
}

#[tokio::test]
async fn an_idle_connection_to_the_endpoint_ends_before_the_endpoint_ends_it() {
    let (upstream, mesh) = mesh("upstream_idle = \"200ms\"").await;
    let mut client = Client::connect(mesh.edge).await;
    for connections in 1..=2 {
        client.send(GET).await;
        assert_eq!(client.response().await.status, 200);
        until("the end of the idle connection", || upstream.connections() == (connections, 0))
            .await;
        let hits = u64::try_from(connections).unwrap();
        until("its count", || mesh.limit("upstream_idle") == hits).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_closes_an_idle_connection_costs_no_request() {
    // Each answer is followed by the end of the connection, without a word about it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            drop(stream.read(&mut head).await);
            drop(stream.write_all(OK).await);
        }
    });
    let mesh = Mesh::http1(address);
    let mut client = Client::connect(mesh.edge).await;
    for number in 0..200 {
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nonce").await;
        assert_eq!(client.response().await.status, 200, "request {number}");
    }
}

#[tokio::test]
async fn a_connection_to_the_endpoint_that_does_not_open_is_given_up_in_time() {
    // A full queue of a listener: the kernel does not even answer.
    let (address, held) = port();
    let listener: TcpListener = held.listen(1).unwrap();
    let mut full = Vec::new();
    for _ in 0..4 {
        let socket = TcpSocket::new_v4().unwrap();
        match timeout(Duration::from_millis(100), socket.connect(address)).await {
            Ok(stream) => full.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    let calls = "retry = { attempts = 1 }";
    let mesh = Mesh::start("http1", address, "connect_timeout = \"200ms\"", calls);
    let began = Instant::now();
    let mut client = Client::connect(mesh.edge).await;
    client.send(GET).await;
    assert!([502, 503, 504].contains(&client.response().await.status));
    assert!(began.elapsed() < Duration::from_secs(3));
    until("its count", || mesh.limit("connect_timeout") > 0).await;
    drop((listener, full));
}

#[tokio::test]
async fn a_body_that_was_not_kept_is_not_sent_again_and_that_is_counted() {
    let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    for (length, attempts, hits) in [(100, 2, 0), (5000, 1, 1)] {
        let upstream = Upstream::answering(unavailable).await;
        let calls = "retry = { attempts = 2, budget = \"100%+100/s\" }";
        let mesh = Mesh::start("http1", upstream.address, "replay_bytes = 1000", calls);
        let mut client = Client::connect(mesh.edge).await;
        let body = "x".repeat(length);
        let text = format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        client.send(text.as_bytes()).await;
        assert_eq!(client.response().await.status, 503);
        assert_eq!(upstream.now().len(), attempts, "{length}");
        assert_eq!(mesh.limit("replay_bytes"), hits, "{length}");
    }
}

/// A server of bytes that says nothing and reads all.
async fn silent() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn silent_tunnels_end_and_are_counted() {
    use tokio::io::AsyncWriteExt as _;
    let limits = "tunnel_idle = \"400ms\"\ntunnel_linger = \"200ms\"";
    let mesh = Mesh::tcp(silent().await, limits);
    let mut idle = Client::connect(mesh.edge).await;
    idle.send(b"hello").await;
    assert!(idle.is_closed().await);
    until("the count", || mesh.limit("tunnel_idle") == 1).await;
    assert_eq!(mesh.limit("tunnel_linger"), 0);
    let mut half = Client::connect(mesh.edge).await;
    half.send(b"hello").await;
    half.stream.shutdown().await.unwrap();
    assert!(half.is_closed().await);
    until("the count", || mesh.limit("tunnel_linger") == 1).await;
    assert_eq!(mesh.limit("tunnel_idle"), 1);
}
