//! HTTP/1 through the gateway: the forms of requests, and what happens besides one answer to
//! one request.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::client::Client;
use crate::support::mesh::Mesh;
use crate::support::until;
use crate::support::upstream::Upstream;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that reads until `after` is there, and then writes `answer`.
async fn server(
    after: &'static [u8],
    answer: &'static [u8],
) -> (std::net::SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut seen, mut part) = (Vec::new(), [0; 1024]);
        while !seen.windows(after.len()).any(|it| it == after) {
            let count = stream.read(&mut part).await.unwrap();
            assert!(count > 0, "{}", seen.escape_ascii());
            seen.extend_from_slice(&part[..count]);
        }
        stream.write_all(answer).await.unwrap();
        drop(stream.read_to_end(&mut seen).await);
        seen
    });
    (address, seen)
}

#[tokio::test]
async fn every_form_of_a_target_becomes_the_one_for_an_origin() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    for (index, (sent, line, host)) in [
        (
            "GET /a?b=c%20d HTTP/1.1\r\nhost: x.example:81",
            "GET /a?b=c%20d HTTP/1.1",
            "x.example:81",
        ),
        // RFC 9112, 3.2.2
        ("GET http://pricing/a?b HTTP/1.1\r\nhost: pricing", "GET /a?b HTTP/1.1", "pricing"),
        ("GET http://pricing:80/ HTTP/1.1\r\nhost: pricing:80", "GET / HTTP/1.1", "pricing:80"),
        ("GET http://pricing HTTP/1.1\r\nhost: pricing", "GET / HTTP/1.1", "pricing"),
        // RFC 9112, 3.2.4
        ("OPTIONS * HTTP/1.1\r\nhost: pricing", "OPTIONS * HTTP/1.1", "pricing"),
        (
            "OPTIONS /a HTTP/1.1\r\nhost: pricing\r\nmax-forwards: 2",
            "OPTIONS /a HTTP/1.1",
            "pricing",
        ),
        // RFC 9112, 2.5: a server of a lower version is spoken with in ours.
        ("GET /old HTTP/1.0\r\nhost: pricing", "GET /old HTTP/1.1", "pricing"),
        ("GET /older HTTP/1.0", "GET /older HTTP/1.1", "pricing"),
        ("PROPFIND /dav HTTP/1.1\r\nhost: a", "PROPFIND /dav HTTP/1.1", "a"),
        ("QUERY /q HTTP/1.1\r\nhost: a\r\ncontent-length: 0", "QUERY /q HTTP/1.1", "a"),
        ("\r\nGET /late HTTP/1.1\r\nhost: a", "GET /late HTTP/1.1", "a"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(mesh.edge).await;
        client.send(format!("{sent}\r\n\r\n").as_bytes()).await;
        assert_eq!(client.response().await.status, 200, "{sent}");
        let seen = &upstream.seen(index + 1).await[index];
        assert_eq!((seen.line(), seen.value("host").as_deref()), (line, Some(host)), "{sent}");
    }
    let counted = upstream.now().into_iter().find(|seen| seen.line().starts_with("OPTIONS /a"));
    assert_eq!(counted.unwrap().value("max-forwards").as_deref(), Some("1"));
}

#[tokio::test]
async fn what_is_refused_says_why_and_never_goes_on() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    for (sent, status, rule) in [
        ("TRACE / HTTP/1.1\r\nhost: a", 405, "method_not_allowed"),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80", 405, "connect"),
        ("BREW /pot HTTP/1.1\r\nhost: a", 405, "method_not_allowed"),
        ("GET http://other/ HTTP/1.1\r\nhost: pricing", 400, "host_mismatch"),
        ("GET / HTTP/1.1", 400, "missing_host"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b", 400, "duplicate_host"),
        ("GET /a/../b HTTP/1.1\r\nhost: a", 400, "dot_segment"),
        ("GET /a%2fb HTTP/1.1\r\nhost: a", 400, "encoded_slash"),
        ("GET / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok", 417, "unknown_expectation"),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: host", 400, "nominated_field"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nauthorization: a\r\nauthorization: b",
            400,
            "duplicate_field",
        ),
        ("GET / HTTP/2.0\r\nhost: a", 505, "unsupported_version"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked",
            501,
            "unknown_transfer_encoding",
        ),
    ] {
        let mut client = Client::connect(mesh.edge).await;
        client.send(format!("{sent}\r\n\r\n").as_bytes()).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{sent}");
        let body = String::from_utf8_lossy(&response.body).into_owned();
        assert!(body.contains(&format!("\"{rule}\"")), "{sent}: {body}");
        assert_eq!(response.value("content-type").as_deref(), Some("application/problem+json"));
        // RFC 9110, 15.5.6
        assert_eq!(response.value("allow").is_some(), status == 405, "{sent}");
        let series = format!("updraft_mesh_gate_rules_broken_total{{rule=\"{rule}\"}}");
        assert!(mesh.count(&series) > 0, "{series} in {}", mesh.gateway.metrics());
    }
    assert!(upstream.now().is_empty());
}

#[tokio::test]
async fn max_forwards_of_none_is_answered_here() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    for _ in 0..2 {
        client.send(b"OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: 0\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!(response.status, 204);
        assert!(response.value("allow").unwrap().contains("GET"));
    }
    assert!(upstream.now().is_empty());
}

#[tokio::test]
async fn old_clients_get_what_they_understand() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let upstream = Upstream::answering(chunked).await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    client.send(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).unwrap().to_ascii_lowercase();
    assert!(text.starts_with("http/1.") && text.ends_with("\r\n\r\nok"), "{text}");
    assert!(!text.contains("transfer-encoding"), "{text}");
}

#[tokio::test]
async fn a_connection_lives_as_long_as_both_want() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    for (sent, stays) in [
        ("HTTP/1.1\r\nhost: a", true),
        ("HTTP/1.1\r\nhost: a\r\nconnection: close", false),
        ("HTTP/1.1\r\nhost: a\r\nconnection: Close", false),
        ("HTTP/1.0\r\nhost: a", false),
        ("HTTP/1.0\r\nhost: a\r\nconnection: keep-alive", true),
    ] {
        let mut client = Client::connect(mesh.edge).await;
        client.send(format!("GET / {sent}\r\n\r\n").as_bytes()).await;
        let first = client.response().await;
        assert_eq!(first.status, 200);
        if stays {
            client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
            assert_eq!(client.response().await.value("connection").as_deref(), Some("close"));
        } else if sent.starts_with("HTTP/1.1") {
            assert_eq!(first.value("connection").as_deref(), Some("close"), "{sent}");
        }
        assert!(client.is_closed().await, "{sent}");
    }
}

#[tokio::test]
async fn expect_is_met_before_the_body_is_sent() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    client
        .send(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 100);
    client.send(b"hello").await;
    assert_eq!(client.response().await.status, 200);
    let seen = &upstream.seen(1).await[0];
    assert_eq!((seen.value("expect"), &seen.message.body[..]), (None, &b"hello"[..]));
}

#[tokio::test]
async fn a_refused_request_that_expects_is_not_asked_for_its_body() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    client
        .send(
            b"PUT /a/../b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.status, 400);
    assert!(upstream.now().is_empty());
}

#[tokio::test]
async fn interim_answers_do_no_harm() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
                   HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(answer).await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    for _ in 0..2 {
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut response = client.response().await;
        while response.status < 200 {
            assert!([102, 103].contains(&response.status), "{response:?}");
            response = client.response().await;
        }
        assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    }
}

#[tokio::test]
async fn an_early_answer_comes_while_the_request_still_streams() {
    let (address, seen) =
        server(b"begin", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly").await;
    let mesh = Mesh::http1(address);
    let mut client = Client::connect(mesh.edge).await;
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 14\r\n\r\nbegin").await;
    let response = client.response().await;
    assert_eq!((response.status, &response.body[..]), (200, &b"early"[..]));
    client.send(b", and end").await;
    drop(client);
    drop(mesh);
    let seen = seen.await.unwrap();
    assert!(seen.windows(5).any(|it| it == b"begin"));
}

#[tokio::test]
async fn a_request_that_breaks_off_never_looks_whole() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::http1(upstream.address);
    for part in [
        &b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nhello"[..],
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nz\r\n",
    ] {
        let mut client = Client::connect(mesh.edge).await;
        client.send(part).await;
        drop(client);
    }
    until("connections to the endpoint that end", || {
        let (all, open) = upstream.connections();
        all == 3 && open == 0
    })
    .await;
    assert!(upstream.now().is_empty(), "{:?}", upstream.now());
    assert_eq!(upstream.left().len(), 3);
}

#[tokio::test]
async fn a_websocket_passes_and_nothing_else_of_its_kind() {
    let handshake = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let granted =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi";
    let (address, seen) = server(b"\r\n\r\n", granted).await;
    let mesh = Mesh::http1(address);
    let mut client = Client::connect(mesh.edge).await;
    client.send(format!("GET /chat HTTP/1.1\r\nhost: a\r\n{handshake}\r\n").as_bytes()).await;
    let response = client.response().await;
    assert_eq!(response.status, 101);
    assert_eq!(response.value("upgrade").as_deref(), Some("websocket"));
    client.send(b"\x81\x83mask\x05\x04\x0a").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"\x81\x02hi");
    let seen = seen.await.unwrap();
    assert!(seen.ends_with(b"\r\n\r\n\x81\x83mask\x05\x04\x0a"), "{}", seen.escape_ascii());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_clients_fault_alone() {
    let upstream = Upstream::answering(OK).await;
    let mesh = Mesh::start("http1", upstream.address, "", "timeout = \"200ms\"");
    for _ in 0..8 {
        let mut client = Client::connect(mesh.edge).await;
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe").await;
        assert_eq!(client.statuses().await, [408]);
    }
    let mut client = Client::connect(mesh.edge).await;
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200, "the circuit is closed");
}
