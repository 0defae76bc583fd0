//! Two gateways with mutual TLS between them: everything passes, and nobody who should not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use updraft_mesh::Gateway;
use updraft_system::mesh::{Hop, Protocol};

use crate::support::{
    Act, Authority, Pair, Session, Source, Upstream, alone, certified, descriptors, edge, get,
    knock, name, raw_echo, report, request, resident, soon, until,
};

const PRICING: &str = "pricing.shop.updraft.internal";
const HELLO: &[u8] = b"GET /x HTTP/1.1\r\nhost: pricing\r\n\r\n";

#[tokio::test]
async fn requests_pass_two_gateways_and_their_program_knows_who_called() {
    for hop in [Hop::H1, Hop::H2] {
        let pricing =
            Upstream::http1(|asked| Act::Say(format!("{} {}", asked.uri, asked.body.len())));
        let mut pair = Pair::new(Source::local(), pricing.address, Protocol::Http1);
        pair.caller.edges[0].calls.hop = hop;
        let (caller, callee) = pair.start().await;
        let mut session = Session::http1(pair.port).await;
        for length in [0, 1, 100_000] {
            let body = "x".repeat(length);
            let sent = session.send(request(Method::POST, "/quotes?a=b", body.clone()));
            let answer = soon(sent).await.unwrap();
            assert_eq!(answer.status, 200, "{hop:?}: {}", answer.text());
            assert_eq!(answer.text(), format!("/quotes?a=b {length}"));
            let asked = pricing.only();
            assert_eq!(asked.body, body);
            assert_eq!(asked.header("x-updraft-caller"), Some("cart"));
            assert_eq!(asked.header("x-forwarded-client-cert"), Some("URI=spiffe://shop/cart"));
            assert_eq!(asked.header("host"), Some("pricing"));
        }
        for gateway in [&caller, &callee] {
            let report = report(gateway, "cart", "pricing");
            assert_eq!((report.totals.classes.success, report.request_bytes), (3, 100_001));
        }
        assert_eq!(report(&caller, "cart", "pricing").connections.caller, 1);
        drop(session);
        caller.drain().await;
        callee.drain().await;
    }
}

#[tokio::test]
async fn http2_passes_two_gateways() {
    let pricing = Upstream::http2(|asked| Act::Say(asked.uri.path().to_owned()));
    let pair = Pair::new(Source::local(), pricing.address, Protocol::H2c);
    let (_caller, _callee) = pair.start().await;
    let mut session = Session::http2(pair.port).await;
    let answers =
        (0..50).map(|number| request(Method::GET, &format!("http://pricing/{number}"), ""));
    for (number, request) in answers.enumerate() {
        assert_eq!(session.send(request).await.unwrap().text(), format!("/{number}"));
    }
}

#[tokio::test]
async fn bytes_pass_two_gateways_and_each_side_ends_by_itself() {
    let pair = Pair::new(Source::local(), raw_echo().await, Protocol::Tcp);
    let (caller, callee) = pair.start().await;
    let mut stream = TcpStream::connect(pair.port).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let (mut read, mut write) = stream.split();
    let mut back = Vec::new();
    let (wrote, came) = tokio::join!(
        async {
            write.write_all(&sent).await?;
            write.shutdown().await
        },
        soon(read.read_to_end(&mut back)),
    );
    wrote.unwrap();
    came.unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    for gateway in [&caller, &callee] {
        until("the tunnel has ended", || report(gateway, "cart", "pricing").tunnels.active == 0)
            .await;
        let tunnels = report(gateway, "cart", "pricing").tunnels;
        assert_eq!((tunnels.bytes_to_endpoint, tunnels.bytes_to_caller), (3_000_000, 3_000_000));
    }
}

/// Whether a program that is called by `pricing`'s gateway has been connected to at all.
async fn counted() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, count)
}

fn remote(program: std::net::SocketAddr) -> (Arc<Authority>, tempfile::TempDir, Pair) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let authority = Authority::new("shop");
    authority.serve(&path);
    let source = Source::Remote(path);
    let pair = Pair::new(source, program, Protocol::Http1);
    (authority, dir, pair)
}

#[tokio::test]
async fn no_byte_of_a_stranger_reaches_the_program() {
    let (program, connections) = counted().await;
    let (authority, _dir, pair) = remote(program);
    let (_caller, _callee) = pair.start().await;
    let (stranger, mall) = (Authority::new("shop"), Authority::new("mall"));
    for (why, key, server_name, alpn) in [
        ("no certificate", None, PRICING, "http/1.1"),
        ("another authority", Some(stranger.key("cart", -60, 600)), PRICING, "http/1.1"),
        ("another system", Some(mall.key("cart", -60, 600)), PRICING, "http/1.1"),
        ("expired", Some(authority.key("cart", -600, -5)), PRICING, "http/1.1"),
        ("not valid yet", Some(authority.key("cart", 600, 1200)), PRICING, "http/1.1"),
        (
            "another callee",
            Some(authority.key("cart", -60, 600)),
            "orders.shop.updraft.internal",
            "http/1.1",
        ),
        ("bytes for requests", Some(authority.key("cart", -60, 600)), PRICING, "updraft-tcp/1"),
        ("unknown protocol", Some(authority.key("cart", -60, 600)), PRICING, "spdy/1"),
    ] {
        let answer = soon(knock(pair.mesh, key, server_name, alpn, HELLO)).await;
        let said = answer.map(|(said, _)| said).unwrap_or_default();
        assert!(said.is_empty(), "{why}: {}", String::from_utf8_lossy(&said));
    }
    // Plain HTTP at the door of TLS.
    let mut plain = TcpStream::connect(pair.mesh).await.unwrap();
    plain.write_all(HELLO).await.unwrap();
    let mut said = Vec::new();
    drop(soon(plain.read_to_end(&mut said)).await);
    assert!(!said.starts_with(b"HTTP"));
    // One who is known, and may not.
    let mail = Some(authority.key("mail", -60, 600));
    let (said, _) = soon(knock(pair.mesh, mail, PRICING, "http/1.1", HELLO)).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 403"), "{said}");
    assert!(said.contains("`mail` may not call `pricing`"), "{said}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    // And one who may: the tests above are no accident.
    let cart = Some(authority.key("cart", -60, 600));
    let (said, _) = soon(knock(pair.mesh, cart, PRICING, "http/1.1", HELLO)).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_that_let_it_in() {
    let (program, _) = counted().await;
    let (authority, _dir, pair) = remote(program);
    let (_caller, _callee) = pair.start().await;
    let began = Instant::now();
    let key = Some(authority.key("cart", -60, 2));
    let (said, mut stream) = soon(knock(pair.mesh, key, PRICING, "http/1.1", HELLO)).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 204"));
    let ended = soon(stream.read(&mut [0; 16])).await;
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    let took = began.elapsed();
    assert!((900..4000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn an_edge_that_goes_and_comes_back_does_so_for_connections_that_are_open() {
    let pricing = Upstream::named("pricing");
    let mut pair = Pair::new(Source::local(), pricing.address, Protocol::Http1);
    let (_caller, callee) = pair.start().await;
    for _ in 0..3 {
        assert_eq!(get(pair.port, "/").await.status, 200);
        let edges = std::mem::take(&mut pair.callee.edges);
        pair.callee.edges = vec![edge("mail", "pricing", None)];
        callee.apply(&pair.callee).unwrap();
        let answer = get(pair.port, "/").await;
        assert_eq!(answer.status, 403);
        assert!(answer.problem("detail").contains("`cart` may not call `pricing`"), "{answer:?}");
        assert!(!answer.problem("request_id").is_empty(), "{answer:?}");
        pair.callee.edges = edges;
        callee.apply(&pair.callee).unwrap();
    }
    assert_eq!(get(pair.port, "/").await.status, 200);
    assert_eq!(pricing.count(), 4);
    let metrics = callee.metrics();
    assert!(metrics.contains("updraft_mesh_unrouted_total{reason=\"no_edge\"} 3\n"), "{metrics}");
}

#[tokio::test]
async fn tunnels_of_an_edge_that_is_withdrawn_end() {
    let mut pair = Pair::new(Source::local(), raw_echo().await, Protocol::Tcp);
    pair.callee.limits.drain = Duration::from_millis(300);
    let (_caller, callee) = pair.start().await;
    let mut stream = TcpStream::connect(pair.port).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    let mut said = [0];
    soon(stream.read_exact(&mut said)).await.unwrap();
    pair.callee.edges = vec![edge("mail", "pricing", None)];
    let began = Instant::now();
    callee.apply(&pair.callee).unwrap();
    assert!(!matches!(soon(stream.read(&mut said)).await, Ok(1..)));
    assert!(began.elapsed() < Duration::from_secs(5));
    callee.drain().await;
}

/// As many handshakes, one after another.
async fn handshakes(pair: &Pair, authority: &Authority, count: usize) {
    for _ in 0..count {
        let key = Some(authority.key("cart", -60, 600));
        let (said, stream) = soon(knock(pair.mesh, key, PRICING, "http/1.1", HELLO)).await.unwrap();
        assert!(said.starts_with(b"HTTP/1.1 204"));
        drop(stream);
    }
}

#[tokio::test]
async fn a_thousand_handshakes_leave_nothing_behind() {
    if !alone("mutual::a_thousand_handshakes_leave_nothing_behind") {
        return;
    }
    let (program, _) = counted().await;
    let (authority, _dir, pair) = remote(program);
    let (_caller, callee) = pair.start().await;
    let open = |gateway: &Gateway| report(gateway, "cart", "pricing").connections.caller;
    handshakes(&pair, &authority, 200).await;
    until("they have ended", || open(&callee) == 0).await;
    let before = resident();
    handshakes(&pair, &authority, 1000).await;
    until("they have ended", || open(&callee) == 0).await;
    let most = descriptors();
    let grown = resident().saturating_sub(before);
    println!("a thousand handshakes: {} KiB more, {most} descriptors", grown / 1024);
    assert!(grown < 4 << 20, "{grown} bytes more");
    until("sockets are closed", || descriptors() < 64).await;
    assert_eq!(callee.identities()[0].service, name("pricing"));
    certified(&callee, 1).await;
}
