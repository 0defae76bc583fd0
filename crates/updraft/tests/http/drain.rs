//! The end of a process under load, over both versions of HTTP, and what may not hold it up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;

use crate::support::{Connection, Process, wait_until};
use crate::wire::tcp;

/// Rounds in all, and at the same time.
const ROUNDS: usize = 50;
const LANES: usize = 2;

/// For how long a process serves on after its signal.
const DELAY: Duration = Duration::from_millis(250);

/// What a load balancer does over HTTP/1: it keeps its connection until it is told to close,
/// and opens none where readiness is gone. Gives the first request that was lost, if any was.
fn http1_client(address: &str, answered: &AtomicU64) -> Result<(), String> {
    loop {
        // Who asks no more for as long as the delay is cannot be told. That is what a busy
        // machine may do to a client, and no fault of the process.
        let mut asked = Instant::now();
        let fate = |asked: Instant, lost: String| match asked.elapsed() < DELAY {
            true => Err(lost),
            false => Ok(()),
        };
        let ready = Connection::open(address).and_then(|mut probe| probe.get("/readyz"));
        if !ready.is_ok_and(|ready| ready.status == 200) {
            return Ok(());
        }
        let mut connection = match Connection::open(address) {
            Ok(connection) => connection,
            Err(error) => return fate(asked, format!("no connection: {error}")),
        };
        loop {
            let now = Instant::now();
            match connection.get("/slow?ms=3") {
                Ok(answer) if answer.status == 200 => {
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.closes() {
                        break;
                    }
                    asked = now;
                }
                Ok(other) => return Err(format!("{other:?}")),
                Err(error) => return fate(asked, format!("no answer: {error}")),
            }
        }
    }
}

/// A client of HTTP/2 with several requests at once on one connection, until nobody listens
/// any more. What was provably not read it sends again, as RFC 9113 (section 8.7) has it.
fn http2_client(address: &str, answered: &AtomicU64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Empty<bytes::Bytes>>();
    let url: http::Uri = format!("http://{address}/slow?ms=3").parse().unwrap();
    let one = async || {
        loop {
            match client.get(url.clone()).await {
                Ok(answer) if answer.status() == 200 => {
                    let body = answer.into_body().collect().await;
                    body.map_err(|error| format!("half an answer: {error:?}"))?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.is_connect() => return Ok(()),
                Err(error) if was_not_sent(&error) => {}
                Ok(other) => return Err(format!("{other:?}")),
                Err(error) => return Err(format!("no answer: {error:?}")),
            }
        }
    };
    runtime.block_on(async { tokio::try_join!(one(), one(), one()) }).map(drop)
}

/// The connection ended before it took the request, of which the client itself tells only
/// where the connection had taken another before.
fn was_not_sent(error: &dyn std::error::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_canceled)
}

fn round(number: usize) {
    let (process, address) = Process::web(&[("DRAIN_DELAY", &format!("{}ms", DELAY.as_millis()))]);
    let (http1, http2) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(scope.spawn(|| http1_client(&address, &http1)));
        }
        clients.push(scope.spawn(|| http2_client(&address, &http2)));
        // Each round is cut at another moment.
        let wanted = 10 + number as u64;
        wait_until("some load of both", || {
            wanted < http1.load(Ordering::Relaxed) && wanted < http2.load(Ordering::Relaxed)
        });
        process.signal(Signal::TERM);
        assert_eq!(process.end().0.code(), Some(0), "round {number}");
        for client in clients {
            assert_eq!(client.join().unwrap(), Ok(()), "round {number}");
        }
    });
}

#[test]
fn in_fifty_ends_under_load_no_request_fails() {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || (lane..ROUNDS).step_by(LANES).for_each(round));
        }
    });
}

#[test]
fn event_streams_and_half_requests_hold_nothing_up() {
    let (process, address) = Process::web(&[("SHUTDOWN_GRACE", "20s"), ("BODY_TIMEOUT", "1s")]);
    let mut events = tcp(&address);
    events.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert_eq!(events.head().unwrap().header("content-type"), Some("text/event-stream"));
    assert_eq!(events.chunk().unwrap().unwrap(), b"data: first\n\n");
    let mut half_body = tcp(&address);
    half_body.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    let mut half_header = tcp(&address);
    half_header.send("GET / HTTP/1.1\r\nho").unwrap();
    let began = Instant::now();
    process.signal(Signal::TERM);
    // The stream ends as if it were complete, not in the middle of something.
    assert_eq!(events.chunk().unwrap(), None);
    assert_eq!(half_body.answer().unwrap().status, 408);
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(half_header.rest(), b"");
}

#[test]
fn a_handler_that_asks_learns_of_the_stop_at_once_and_a_stream_goes_on_until_the_close() {
    let (mut process, address) = Process::web(&[("DRAIN_DELAY", "1s"), ("LOG_LEVEL", "debug")]);
    let mut events = tcp(&address);
    events.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    events.head().unwrap();
    events.chunk().unwrap();
    let mut waiting = tcp(&address);
    waiting.send("GET /until-stop HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    process.wait_for("waiting for the stop");
    let began = Instant::now();
    process.signal(Signal::TERM);
    assert_eq!(waiting.answer().unwrap().text(), "asked");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(events.chunk().unwrap(), None);
    assert!(Duration::from_secs(1) <= began.elapsed(), "{:?}", began.elapsed());
    assert_eq!(process.end().0.code(), Some(0));
}
