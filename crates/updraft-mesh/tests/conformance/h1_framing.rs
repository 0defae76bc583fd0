//! HTTP/1 through the gateway: where a message ends, on both sides (RFC 9112, 6 to 9).

use crate::support::client::Client;
use crate::support::mesh::Mesh;
use crate::support::upstream::Upstream;

async fn through(answer: &'static [u8]) -> (Upstream, Mesh, Client) {
    let upstream = Upstream::answering(answer).await;
    let mesh = Mesh::http1(upstream.address);
    let client = Client::connect(mesh.edge).await;
    (upstream, mesh, client)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn answers_without_a_body_have_none() {
    for (method, answer, status, length) in [
        ("HEAD", &b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"[..], 200, Some("1234")),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, None),
        ("HEAD", b"HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n", 404, Some("7")),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", 304, None),
        // RFC 9110, 8.6 lets it be there; hyper takes it away.
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", 304, None),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, Some("0")),
    ] {
        let (_upstream, _mesh, mut client) = through(answer).await;
        // Twice, for a body that is none would be read as the next answer.
        for _ in 0..2 {
            client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await;
            let response = client.answer(method == "HEAD").await.unwrap();
            assert_eq!(response.status, status, "{}", answer.escape_ascii());
            assert_eq!(response.value("content-length").as_deref(), length);
            assert!(response.body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_body_ends_where_its_framing_says() {
    for (answer, body) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..], &b"hello"[..]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    ] {
        let (_upstream, _mesh, mut client) = through(answer).await;
        for _ in 0..2 {
            client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let response = client.answer(false).await;
            let response = response.unwrap_or_else(|| panic!("{}", answer.escape_ascii()));
            assert_eq!((response.status, &response.body[..]), (200, body));
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 50\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nz\r\nhello\r\n",
    ] {
        let (_upstream, _mesh, mut client) = through(answer).await;
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let whole = client.answer(false).await;
        let broken = whole.as_ref().is_none_or(|response| response.status == 502);
        assert!(broken, "{}: {whole:?}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_a_bad_gateway() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\0\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: x\r\nconnection: content-length\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n",
        b"HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let (upstream, _mesh, mut client) = through(answer).await;
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!(response.status, 502, "{}", answer.escape_ascii());
        assert_eq!(response.value("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(upstream.now().len(), 1, "not repeated: {}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_request_goes_on_with_one_clear_framing() {
    let (upstream, _mesh, mut client) = through(OK).await;
    for (index, (sent, framing, body)) in [
        ("content-length: 5\r\n\r\nhello", "content-length: 5", "hello"),
        ("content-length: 0\r\n\r\n", "content-length: 0", ""),
        (
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
            "hello!",
        ),
        (
            "transfer-encoding: chunked\r\n\r\n5;ext=\"x\"\r\nhello\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
            "hello",
        ),
        ("transfer-encoding: chunked\r\n\r\n0\r\n\r\n", "", ""),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(format!("POST /{index} HTTP/1.1\r\nhost: a\r\n{sent}").as_bytes()).await;
        assert_eq!(client.response().await.status, 200, "{sent:?}");
        let seen = &upstream.seen(index + 1).await[index];
        assert_eq!(seen.message.body, body.as_bytes(), "{sent:?}");
        let text = String::from_utf8_lossy(&seen.raw).to_ascii_lowercase();
        assert!(text.contains(framing), "{text}");
        assert!(!text.contains("ext="), "extensions of chunks end at each hop");
    }
}

#[tokio::test]
async fn trailers_of_known_purpose_pass_both_ways() {
    let answer =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: server-timing, x-own\r\n\r\n\
                   2\r\nok\r\n0\r\nserver-timing: db;dur=2\r\nx-own: 1\r\n\r\n";
    let (upstream, _mesh, mut client) = through(answer).await;
    client
        .send(
            b"POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\
              transfer-encoding: chunked\r\ntrailer: content-digest, x-own\r\n\r\n\
              5\r\nhello\r\n0\r\ncontent-digest: sha-256=:x:\r\nx-own: 1\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    let seen = &upstream.seen(1).await[0];
    let digest = ("content-digest".to_owned(), "sha-256=:x:".to_owned());
    assert_eq!(seen.message.trailers, [digest]);
    let timing = ("server-timing".to_owned(), "db;dur=2".to_owned());
    assert_eq!(response.message.trailers, [timing]);
}

#[tokio::test]
async fn a_trailer_that_frames_or_routes_is_refused() {
    let (upstream, _mesh, mut client) = through(OK).await;
    client
        .send(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
        )
        .await;
    assert_eq!(client.statuses().await, [400]);
    assert!(upstream.now().is_empty(), "half a request is none");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::start(|seen| {
        let path = seen.line().split(' ').nth(1).unwrap();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len()).into_bytes()
    })
    .await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    let mut all = Vec::new();
    for number in 0..20 {
        let body = "x".repeat(number);
        let length = body.len();
        all.extend_from_slice(
            format!("PUT /{number} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}")
                .as_bytes(),
        );
    }
    all.extend_from_slice(
        b"GET /bad HTTP/1.1\r\n bad\r\n\r\nGET /never HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    client.send(&all).await;
    for number in 0..20 {
        let response = client.response().await;
        assert_eq!(response.body, format!("/{number}").into_bytes());
    }
    assert_eq!(client.statuses().await, [400]);
    assert_eq!(upstream.now().len(), 20);
}
