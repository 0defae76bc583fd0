//! A gateway behind a proxy that tells by the PROXY protocol who connected to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod held;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use updraft_mesh::{Gateway, Options};
use updraft_system::mesh::GatewayConfig;

/// The longest that anything here may take.
const SOON: Duration = Duration::from_secs(20);
const REQUEST: &str = "GET /x HTTP/1.1\r\nhost: shop\r\nx-forwarded-for: 6.6.6.6\r\n\r\n";

/// Answers each request with its own head.
async fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo_heads(stream));
        }
    });
    address
}

async fn echo_heads(mut stream: TcpStream) {
    let mut seen = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut seen).await {
        while let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = seen.drain(..at + 4).collect();
            let begin = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
            stream.write_all(&[begin.as_bytes(), &head].concat()).await.unwrap();
        }
    }
}

async fn config(more: &str) -> (GatewayConfig, SocketAddr) {
    let (listen, backend) = (held::port(), backend().await);
    let text = format!(
        "system = 'shop'
        [clusters.pricing]
        endpoints = [{{ address = '{backend}' }}]
        [ingress]
        listen = '{listen}'
        routes = [{{ path = '/', to = 'pricing' }}]
        {more}"
    );
    (GatewayConfig::from_toml(&text).unwrap(), listen)
}

/// Sends the pieces, one for each segment as far as that can be, and reads as many answers.
async fn ask(to: SocketAddr, pieces: &[&[u8]], answers: usize) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut text = Vec::new();
    // An answer has a head, and a body that is one.
    let ends = |text: &[u8]| text.windows(4).filter(|window| window == b"\r\n\r\n").count();
    let all = async {
        while ends(&text) < 2 * answers && matches!(stream.read_buf(&mut text).await, Ok(1..)) {}
    };
    timeout(SOON, all).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Sends the bytes and reads to the end: all that came back.
async fn refused(to: SocketAddr, bytes: &[u8], ends: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    if ends {
        stream.shutdown().await.unwrap();
    }
    let mut text = Vec::new();
    // A reset is an end too.
    drop(timeout(SOON, stream.read_to_end(&mut text)).await.unwrap());
    text
}

fn closed(gateway: &Gateway, reason: &str) -> String {
    let name = format!("updraft_mesh_proxy_headers_refused_total{{reason=\"{reason}\"}} ");
    let metrics = gateway.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
}

fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family], &length, addresses].concat()
}

#[tokio::test]
async fn the_source_that_the_proxy_tells_is_the_client_of_each_request() {
    let (config, listen) = config("proxy_protocol = true").await;
    let gateway = Gateway::start(&config, Options::default()).unwrap();
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[9], &[0; 15], &[1], &[1, 2, 3, 4]].concat();
    for (header, client, node) in [
        (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n".to_vec(), "203.0.113.9", "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 ::1 4711 443\r\n".to_vec(), "2001:db8::9", "\"[2001:db8::9]\""),
        (
            version_2(1, 0x11, &[198, 51, 100, 7, 10, 0, 0, 1, 1, 2, 3, 4]),
            "198.51.100.7",
            "198.51.100.7",
        ),
        (version_2(1, 0x21, &v6), "2001:db8::9", "\"[2001:db8::9]\""),
        // The proxy speaks for itself.
        (version_2(0, 0, &[]), "127.0.0.1", "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", "127.0.0.1"),
    ] {
        let stream = [&header, REQUEST.as_bytes(), REQUEST.as_bytes()].concat();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        for pieces in
            [&[&stream[..]][..], &[&header, REQUEST.as_bytes(), REQUEST.as_bytes()], &bytes]
        {
            let text = ask(listen, pieces, 2).await;
            let told = format!("\r\nx-forwarded-for: {client}\r\n");
            assert_eq!(text.matches(&told).count(), 2, "{text}");
            let told = format!("\r\nforwarded: for={node};proto=http;host=\"shop\"\r\n");
            assert_eq!(text.matches(&told).count(), 2, "{text}");
            assert!(!text.contains("6.6.6.6"), "{text}");
        }
    }
    assert_eq!(closed(&gateway, "malformed"), "0");
    gateway.drain().await;
}

#[tokio::test]
async fn a_connection_without_its_header_is_closed_in_silence_and_counted() {
    let (config, listen) = config("proxy_protocol = true").await;
    let gateway = Gateway::start(&config, Options::default()).unwrap();
    for (number, bytes) in [
        REQUEST.as_bytes(),
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\0",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(refused(listen, bytes, false).await, b"", "{}", bytes.escape_ascii());
        assert_eq!(closed(&gateway, "malformed"), (number + 1).to_string());
    }
    assert_eq!(refused(listen, b"PROXY TCP4 203.0.113.9", true).await, b"");
    assert_eq!(closed(&gateway, "cut_short"), "1");
    assert_eq!(closed(&gateway, "late"), "0");
    assert!(!gateway.metrics().contains("operation=\"other\""), "a request has come through");
    gateway.drain().await;
}

#[tokio::test]
async fn a_header_that_does_not_come_in_time_is_not_waited_for() {
    let more = "proxy_protocol = true\n[limits]\nhead_timeout = '50ms'";
    let (config, listen) = config(more).await;
    let gateway = Gateway::start(&config, Options::default()).unwrap();
    assert_eq!(refused(listen, b"PROXY TCP4 203.0.113.9", false).await, b"");
    assert_eq!(closed(&gateway, "late"), "1");
    let limit = "updraft_mesh_limits_hit_total{limit=\"head_timeout\"} 1";
    assert!(gateway.metrics().lines().any(|line| line == limit));
    gateway.drain().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_header() {
    let more = "proxy_protocol = true\n[limits]\nhead_timeout = '1h'\ndrain = '1h'";
    let (config, listen) = config(more).await;
    let gateway = Gateway::start(&config, Options::default()).unwrap();
    let mut stream = TcpStream::connect(listen).await.unwrap();
    stream.write_all(b"PROXY ").await.unwrap();
    timeout(SOON, gateway.drain()).await.unwrap();
    let mut text = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut text)).await.unwrap());
    assert_eq!(text, b"");
}

#[tokio::test]
async fn connections_go_by_the_newest_configuration() {
    let (mut config, listen) = config("").await;
    let gateway = Gateway::start(&config, Options::default()).unwrap();
    let header = &b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n"[..];
    let plain = ask(listen, &[REQUEST.as_bytes()], 1).await;
    assert!(plain.contains("x-forwarded-for: 127.0.0.1\r\n"), "{plain}");
    let answer = refused(listen, &[header, REQUEST.as_bytes()].concat(), true).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());

    config.ingress.as_mut().unwrap().proxy_protocol = true;
    gateway.apply(&config).unwrap();
    let proxied = ask(listen, &[header, REQUEST.as_bytes()], 1).await;
    assert!(proxied.contains("x-forwarded-for: 203.0.113.9\r\n"), "{proxied}");
    assert_eq!(refused(listen, REQUEST.as_bytes(), true).await, b"");

    config.ingress.as_mut().unwrap().proxy_protocol = false;
    gateway.apply(&config).unwrap();
    let plain = ask(listen, &[REQUEST.as_bytes()], 1).await;
    assert!(plain.contains("x-forwarded-for: 127.0.0.1\r\n"), "{plain}");
    gateway.drain().await;
}
