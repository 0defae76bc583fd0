//! The gate under a real hyper, and under a reader that is hyper's worst case.

use std::sync::Mutex;

use http::Uri;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::gate::naive::{self, streams};
use crate::gate::recorder::{self, converse, ended, statuses};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A gate with all of `text` before it, what it reports, and the client's end.
fn gate(text: &[u8]) -> (StrictIo<DuplexStream>, Arc<Mutex<Vec<Rule>>>, DuplexStream) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let rules = Arc::new(Mutex::new(Vec::new()));
    let report: Report = {
        let rules = rules.clone();
        Arc::new(move |rule| rules.lock().unwrap().push(rule))
    };
    let wrote = fill(&mut client, text);
    assert!(wrote, "the pipe has room for all");
    (StrictIo::new(server, ScanLimits::default(), report), rules, client)
}

fn fill(client: &mut DuplexStream, text: &[u8]) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    text.is_empty()
        || matches!(Pin::new(client).poll_write(&mut cx, text), Poll::Ready(Ok(n)) if n == text.len())
}

/// Reads pieces of `size` bytes and answers only when no more comes.
async fn read_all(io: &mut StrictIo<DuplexStream>, size: usize) -> (Vec<u8>, bool) {
    let (mut passed, mut space) = (Vec::new(), vec![0; size]);
    loop {
        let answer = tokio::select! {
            biased;
            read = io.read(&mut space) => match read {
                Ok(0) => return (passed, true),
                Ok(count) => {
                    passed.extend_from_slice(&space[..count]);
                    false
                }
                Err(_) => return (passed, false),
            },
            () = std::future::ready(()) => true,
        };
        if answer && io.gate.answers.is_done() {
            // Only the client's end is missing.
            return (passed, true);
        } else if answer {
            io.write_all(OK).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn streams_that_are_right_pass_unchanged(requests in streams::valid(), size in 1..64_usize) {
        let text = requests.concat();
        runtime().block_on(async {
            let (mut io, rules, _client) = gate(&text);
            // A reader whose budget is used up would look like one that waits.
            let (passed, _) = tokio::task::unconstrained(read_all(&mut io, size)).await;
            prop_assert_eq!(passed.escape_ascii().to_string(), text.escape_ascii().to_string());
            prop_assert!(rules.lock().unwrap().is_empty());
            Ok(())
        })?;
    }

    /// The law of the gate.
    #[test]
    fn what_passes_is_a_begin_of_what_came_and_has_nothing_that_must_be_refused(
        text in prop_oneof![
            streams::near(),
            streams::salad(),
            proptest::collection::vec(any::<u8>(), 0..100),
        ],
        size in 1..64_usize,
    ) {
        runtime().block_on(async {
            let (mut io, rules, _client) = gate(&text);
            // A reader whose budget is used up would look like one that waits.
            let (passed, _) = tokio::task::unconstrained(read_all(&mut io, size)).await;
            prop_assert!(text.starts_with(&passed), "{}", passed.escape_ascii());
            let (of_all, of_passed) = (naive::read(&text), naive::read(&passed));
            prop_assert!(!of_passed.refused, "{}", passed.escape_ascii());
            prop_assert_eq!(of_passed.requests, of_all.requests);
            prop_assert_eq!(rules.lock().unwrap().len(), usize::from(of_all.refused));
            Ok(())
        })?;
    }

    /// Hyper and the reference agree about what they both accept.
    #[test]
    fn hyper_sees_the_requests_that_the_reference_sees(text in streams::near()) {
        let wanted = naive::read(&text);
        let (seen, answers) = runtime().block_on(serve_all(&text));
        let of = |request: &naive::Request| {
            // An address without a path has `/` once it is parsed.
            let target = request.target.parse::<Uri>().map(|uri| uri.to_string());
            let target = target.unwrap_or_else(|_| request.target.clone());
            (request.method.clone(), target, request.body.clone())
        };
        let all: Vec<_> = wanted.requests.iter().map(of).collect();
        prop_assert!(all.starts_with(&seen), "{:?} of {:?}", seen, all);
        if wanted.refused && all.len() == seen.len() {
            prop_assert_eq!(answers.len(), all.len() + 1, "{:?}", answers);
            prop_assert!(answers.last().is_some_and(|status| *status >= 400), "{:?}", answers);
        }
    }
}

type Seen = Vec<(String, String, Vec<u8>)>;

/// All of a stream through the gate and hyper, over a pipe in memory.
async fn serve_all(text: &[u8]) -> (Seen, Vec<u16>) {
    use http_body_util::{BodyExt, Full};
    let (io, _, mut client) = gate(text);
    let seen = Arc::new(Mutex::new(Seen::new()));
    let kept = seen.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
        let seen = kept.clone();
        async move {
            let (parts, body): (_, hyper::body::Incoming) = request.into_parts();
            let body = body.collect().await?.to_bytes().to_vec();
            seen.lock().unwrap().push((parts.method.to_string(), parts.uri.to_string(), body));
            Ok::<_, hyper::Error>(hyper::Response::new(Full::<bytes::Bytes>::default()))
        }
    });
    let io = hyper_util::rt::TokioIo::new(io);
    let mut builder = hyper::server::conn::http1::Builder::new();
    let served = builder.max_headers(100).serve_connection(io, service);
    let mut text = Vec::new();
    let read = async {
        let quiet = std::time::Duration::from_millis(10);
        let mut space = [0; 4096];
        // The clock stands still while there is anything to do.
        while let Ok(Ok(count @ 1..)) = tokio::time::timeout(quiet, client.read(&mut space)).await {
            text.extend_from_slice(&space[..count]);
        }
        drop(client);
    };
    let (_, ()) = tokio::join!(served, read);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, statuses(&text))
}

#[tokio::test]
async fn an_answer_that_is_owed_comes_before_the_refusal() {
    let (address, records) = recorder::serve().await;
    let text = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    let answer = converse(address, [&text[..]].into_iter(), 2).await;
    assert_eq!(statuses(&answer), [200, 400]);
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.rsplit_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close"), "{head}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["kind"], "duplicate_host");
    assert_eq!(body["status"], 400);
    let record = ended(&records, 0).await;
    assert_eq!((record.heads, record.rules), (1, vec![Rule::DuplicateHost]));
}

/// On other systems than Linux a reset also takes the answer that was not read yet.
#[tokio::test]
async fn a_client_that_is_still_sending_is_not_reset() {
    let (address, _) = recorder::serve().await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = b"POST /a/../b HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
    }
    for _ in 0..200 {
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut text).await.unwrap();
    assert_eq!(statuses(&text), [400]);
}

#[tokio::test]
async fn a_body_that_breaks_is_an_error_to_the_service_and_400_to_the_client() {
    let (address, records) = recorder::serve().await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let answer = converse(address, [&head[..], b"5\nhello"].into_iter(), 1).await;
    assert_eq!(statuses(&answer), [400]);
    let record = ended(&records, 0).await;
    assert_eq!((record.heads, record.broken_bodies, record.seen.len()), (1, 1, 0));
}

#[tokio::test]
async fn a_body_that_breaks_behind_a_begun_answer_is_no_clean_end() {
    let (mut io, rules, mut client) =
        gate(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    let mut space = [0; 1024];
    assert_ne!(io.read(&mut space).await.unwrap(), 0);
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    client.write_all(b"G\r\n").await.unwrap();
    assert_eq!(io.read(&mut space).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(io.write_all(b"rest").await.is_err());
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("half"), "{text}");
    assert_eq!(*rules.lock().unwrap(), [Rule::InvalidChunkSize]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_go_is_waited_for_a_bounded_time() {
    let (mut io, _, client) = gate(b"BAD\r\n");
    let before = tokio::time::Instant::now();
    assert_eq!(io.read(&mut [0; 64]).await.unwrap(), 0);
    let waited = before.elapsed();
    assert!(waited > std::time::Duration::ZERO && waited < std::time::Duration::from_secs(5));
    drop(client);
}

#[tokio::test]
async fn bytes_behind_an_upgrade_wait_for_the_101_and_then_all_passes() {
    let (mut io, rules, mut client) =
        gate(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\0\x01raw");
    let mut space = [0; 1024];
    let count = io.read(&mut space).await.unwrap();
    assert!(space[..count].ends_with(b"\r\n\r\n"));
    tokio::select! {
        biased;
        read = io.read(&mut space) => panic!("{read:?} before the answer"),
        () = std::future::ready(()) => {}
    }
    io.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await.unwrap();
    let count = io.read(&mut space).await.unwrap();
    assert_eq!(&space[..count], b"\0\x01raw");
    client.write_all(b"GET\n\n").await.unwrap();
    let count = io.read(&mut space).await.unwrap();
    assert_eq!(&space[..count], b"GET\n\n");
    assert!(rules.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_upgrade_echoes_through_hyper() {
    let (address, records) = recorder::serve().await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(&[head.as_bytes(), b"\x81\x01early"].concat()).await.unwrap();
    stream.write_all(b"\0late\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    assert!(text.ends_with(b"\x81\x01early\0late\n"), "{}", text.escape_ascii());
    assert_eq!(ended(&records, 0).await.seen, ["GET /chat upgrade"]);
}

#[tokio::test]
async fn a_client_that_goes_while_it_is_served_is_noticed() {
    let (mut io, _, client) = gate(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut space = [0; 1024];
    assert_ne!(io.read(&mut space).await.unwrap(), 0);
    drop(client);
    assert_eq!(io.read(&mut space).await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_kept_for_a_connection_that_sends_whole_heads() {
    let (mut io, _, mut client) = gate(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut space = [0; 1024];
    for _ in 0..3 {
        assert_ne!(io.read(&mut space).await.unwrap(), 0);
        io.write_all(OK).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    }
    assert_eq!(io.gate.held.bytes.capacity() + io.gate.answers.kept(), 0);
}
