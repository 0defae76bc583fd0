//! Bounds of time and size: what is too much or too slow is cut, and says why.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::support::Process;
use crate::wire::{Answer, ask, tcp};
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;

fn post(address: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    tcp(address).ask("POST", "/echo", headers, body).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends a byte again and again; how long it took to be cut.
fn drip(address: &str, begin: &str) -> (Duration, Vec<u8>) {
    // Before the server can know of it.
    let began = Instant::now();
    let mut connection = tcp(address);
    connection.0.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    connection.send(begin).unwrap();
    let mut seen = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        match std::io::Read::read(connection.0.get_mut(), &mut bytes) {
            Ok(0) => return (began.elapsed(), seen),
            Ok(length) => seen.extend_from_slice(&bytes[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                // It may be gone already, which the next read tells.
                drop(connection.send("x"));
            }
            Err(_reset) => return (began.elapsed(), seen),
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "never cut");
    }
}

#[test]
fn a_header_or_a_body_that_drips_is_cut() {
    let (_process, address) =
        Process::web(&[("HEADER_TIMEOUT", "500ms"), ("BODY_TIMEOUT", "700ms")]);
    let (took, seen) = drip(&address, "GET / HTTP/1.1\r\nx-long: ");
    assert!(Duration::from_millis(450) < took, "{took:?}");
    assert_eq!(seen, b"");
    let chunked = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
    let (took, seen) = drip(&address, chunked);
    assert!(Duration::from_millis(650) < took, "{took:?}");
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.starts_with("HTTP/1.1 408 "), "{seen}");
    assert!(seen.contains("application/problem+json") && seen.contains("connection: close"));
    // The same process serves others.
    assert_eq!(ask(&address, "/", &[]).status, 200);
}

#[test]
fn what_is_too_large_is_refused() {
    let (_process, address) =
        Process::web(&[("MAX_BODY_BYTES", "1000"), ("MAX_HEADER_BYTES", "16384")]);
    let long = "x".repeat(20_000);
    assert_eq!(ask(&address, "/", &[("x-long", &long)]).status, 431);
    let many: Vec<_> = (0..101).map(|_| ("x-many", "1")).collect();
    assert_eq!(ask(&address, "/", &many).status, 431);
    let path = format!("/?{}", "x".repeat(9_000));
    let answer = ask(&address, &path, &[]);
    assert_eq!(answer.status, 414);
    assert!(answer.text().contains("8192 bytes"), "{}", answer.text());
    assert_eq!(post(&address, &[], &[b'x'; 1000]).status, 200);
    assert_eq!(post(&address, &[], &[b'x'; 1001]).status, 413);
}

#[test]
fn who_still_sends_what_was_refused_gets_the_answer_and_no_reset() {
    let (process, address) = Process::web(&[("MAX_BODY_BYTES", "1000")]);
    let begins = [
        "content-length: 50000000\r\n\r\n",
        // Which is too large only when it comes.
        "transfer-encoding: chunked\r\n\r\n7d0\r\n",
    ];
    for begin in begins {
        let mut connection = tcp(&address);
        connection.send(format!("POST /echo HTTP/1.1\r\nhost: test\r\n{begin}")).unwrap();
        connection.send([b'x'; 2000]).unwrap();
        let refused = Instant::now();
        let answer = connection.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
        assert_eq!(connection.rest(), b"");
        // It is closed by its other side, which still takes what comes.
        let sent = (0..100).try_for_each(|_| connection.send([b'x'; 1000]));
        assert!(sent.is_ok() || Duration::from_secs(1) <= refused.elapsed(), "{sent:?}");
    }
    // Nobody is waited for who has sent all, and for nobody longer than a second.
    let mut all = tcp(&address);
    let close = [("connection", "close")];
    assert_eq!(all.ask("POST", "/echo", &close, b"short").unwrap().text(), "short");
    process.signal(Signal::TERM);
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn a_packed_body_is_unpacked_within_the_same_bound() {
    let (_process, address) = Process::web(&[("MAX_BODY_BYTES", "100000")]);
    let packed = [("content-encoding", "gzip")];
    let text = "unpacked ".repeat(1000);
    let answer = post(&address, &packed, &gzip(text.as_bytes()));
    assert_eq!((answer.status, answer.text()), (200, text));
    // A bomb: 4 MiB that look like few bytes.
    let bomb = gzip(&vec![0; 4 * 1024 * 1024]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let bomb = post(&address, &packed, &bomb);
    assert_eq!(bomb.status, 413, "{}", bomb.text());
    let broken = post(&address, &packed, b"this was never packed");
    assert_eq!(broken.status, 400);
    assert!(broken.text().contains("Content-Encoding"), "{}", broken.text());
    let cut = gzip(b"half of this is missing");
    assert_eq!(post(&address, &packed, &cut[..cut.len() / 2]).status, 400);
    let unknown = post(&address, &[("content-encoding", "br")], b"x");
    assert_eq!((unknown.status, unknown.header("accept-encoding")), (415, Some("gzip")));
}

#[test]
fn a_request_has_a_deadline_and_the_caller_may_have_less() {
    let (_process, address) = Process::web(&[("REQUEST_TIMEOUT", "400ms")]);
    let late = ask(&address, "/slow?ms=60000", &[]);
    assert_eq!((late.status, late.header("retry-after")), (503, Some("1")));
    assert_eq!(late.header("content-type"), Some("application/problem+json"));
    // What leaves no time to others has no more of it either.
    assert_eq!(ask(&address, "/greedy", &[]).status, 503);
    for header in [("x-envoy-expected-rq-timeout-ms", "100"), ("grpc-timeout", "100m")] {
        assert_eq!(ask(&address, "/slow?ms=60000", &[header]).status, 504, "{header:?}");
    }
    let left = |headers: &[(&str, &str)]| {
        ask(&address, "/deadline", headers).text().parse::<u64>().unwrap()
    };
    // The clock of policies has a resolution of some milliseconds.
    assert!((300..=410).contains(&left(&[])), "{}", left(&[]));
    assert!(left(&[("x-envoy-expected-rq-timeout-ms", "100")]) <= 110);
    // A caller cannot take more than there is.
    assert!(left(&[("x-envoy-expected-rq-timeout-ms", "100000")]) <= 410);
    for nonsense in ["soon", "-1", "0"] {
        assert!(300 <= left(&[("x-envoy-expected-rq-timeout-ms", nonsense)]), "{nonsense}");
    }
}

#[test]
fn a_connection_that_asks_nothing_is_closed_when_its_time_is_over() {
    let (_process, address) = Process::web(&[("IDLE_TIMEOUT", "400ms")]);
    let mut idle = tcp(&address);
    idle.ask("GET", "/", &[], b"").unwrap();
    let began = Instant::now();
    // Work that takes longer is not idleness.
    assert_eq!(idle.ask("GET", "/slow?ms=1000", &[], b"").unwrap().status, 200);
    assert!(Duration::from_millis(1000) <= began.elapsed());
    let began = Instant::now();
    assert_eq!(idle.rest(), b"");
    assert!(Duration::from_millis(390) <= began.elapsed(), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    let (_process, address) = Process::web(&[("WRITE_TIMEOUT", "300ms"), ("MAX_CONNECTIONS", "1")]);
    // 64 MiB, of which no byte is read: more than the kernel holds.
    let mut deaf = tcp(&address);
    deaf.send("GET /huge HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let began = Instant::now();
    // There is room for another only when that one is gone.
    assert_eq!(ask(&address, "/", &[]).status, 200);
    assert!(Duration::from_millis(250) < began.elapsed(), "{:?}", began.elapsed());
    assert!(deaf.rest().len() < 64 * 1024 * 1024);
}

#[test]
fn expect_continue_is_answered_only_when_the_body_is_wanted() {
    let (_process, address) = Process::web(&[("MAX_BODY_BYTES", "10")]);
    let begin = |length: usize| {
        let mut connection = tcp(&address);
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.send(head).unwrap();
        (connection.head().unwrap().status, connection)
    };
    let (status, mut connection) = begin(5);
    assert_eq!(status, 100);
    connection.send("hello").unwrap();
    assert_eq!(connection.answer().unwrap().text(), "hello");
    assert_eq!(begin(11).0, 413);
}

#[test]
fn http2_has_the_same_bounds() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (_process, address) = Process::web(&[
        ("MAX_BODY_BYTES", "1000"),
        ("MAX_HEADER_BYTES", "16384"),
        ("IDLE_TIMEOUT", "600ms"),
    ]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        let connection = tokio::spawn(connection);
        let mut ask = async |path: &str, header: usize, body: usize| {
            let request = http::Request::post(format!("http://{address}{path}"))
                .header("x-long", "x".repeat(header))
                .body(Full::new(bytes::Bytes::from(vec![b'x'; body])))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status().as_u16();
            // It may be cut short when the body was not wanted.
            drop(answer.into_body().collect().await);
            status
        };
        assert_eq!(ask("/echo", 10, 1000).await, 200);
        assert_eq!(ask("/echo", 10, 1001).await, 413);
        assert_eq!(ask("/echo", 20_000, 0).await, 431);
        assert_eq!(ask(&format!("/?{}", "x".repeat(9_000)), 10, 0).await, 414);
        // Nothing more is asked: it is told to go, and does not stay for ever.
        connection.await.unwrap().unwrap();
    });
}
