//! How long a client may take, on time that the test moves.

use std::sync::Mutex;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;

use super::super::{Report, Rule, ScanLimits, StrictIo};
use super::*;

const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(300);
const LINGER: Duration = Duration::from_secs(1);

type Heard = Arc<Mutex<Vec<String>>>;

fn connection(room: usize) -> (StrictIo<DuplexStream>, DuplexStream, Heard) {
    let (server, client) = duplex(room);
    let heard = Heard::default();
    let note = |heard: &Heard| {
        let heard = Arc::clone(heard);
        move |text: String| heard.lock().unwrap().push(text)
    };
    let (rule, late) = (note(&heard), note(&heard));
    let report: Report = Arc::new(move |it: Rule| rule(it.name().to_owned()));
    let ended = Arc::new(move |it: Overdue| late(format!("{it:?}")));
    let patience = Patience { head: HEAD, idle: IDLE, stall: STALL, ended };
    let io = StrictIo::new(server, ScanLimits::default(), report).patient(patience, |_| {});
    (io, client, heard)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_refused_from_its_first_byte_on() {
    let (mut io, mut client, heard) = connection(1 << 16);
    let began = Instant::now();
    let (_, read) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx-drip: " {
                client.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                if !heard.lock().unwrap().is_empty() {
                    break;
                }
            }
        },
        async {
            let mut buffer = [0; 1024];
            io.read(&mut buffer).await
        }
    );
    assert_eq!(read.unwrap(), 0, "hyper sees an end and nothing of the head");
    assert_eq!(heard.lock().unwrap().as_slice(), ["head_timeout"]);
    let took = began.elapsed() - Duration::from_secs(30);
    assert!(HEAD <= took && took <= HEAD + LINGER + Duration::from_secs(1), "{took:?}");
    let mut text = String::new();
    drop(io);
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!(text.contains("connection: close"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_without_a_word() {
    let (mut io, mut client, heard) = connection(1 << 16);
    let began = Instant::now();
    assert_eq!(io.read(&mut [0; 64]).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), IDLE.as_secs());
    assert_eq!(heard.lock().unwrap().as_slice(), ["Request"]);
    drop(io);
    assert_eq!(client.read(&mut [0; 64]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_request_begins_the_waits_anew() {
    let (mut io, mut client, heard) = connection(1 << 16);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let mut buffer = [0; 64];
    for _ in 0..5 {
        tokio::time::sleep(IDLE / 2).await;
        client.write_all(&request[..9]).await.unwrap();
        // The head is looked at before the rest of it comes, but within its time.
        let early = timeout(HEAD / 2, io.read(&mut buffer)).await;
        assert!(early.is_err());
        client.write_all(&request[9..]).await.unwrap();
        assert_eq!(io.read(&mut buffer).await.unwrap(), request.len());
        // The answer may take its time; that is for others to bound.
        assert!(timeout(IDLE * 3, io.read(&mut buffer)).await.is_err());
        io.write_all(answer).await.unwrap();
        assert!(timeout(IDLE / 3, io.read(&mut buffer)).await.is_err());
    }
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_is_not_a_head() {
    let (mut io, mut client, heard) = connection(1 << 16);
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nbod").await.unwrap();
    let mut buffer = [0; 256];
    assert!(io.read(&mut buffer).await.unwrap() > 0);
    assert!(timeout(IDLE * 10, io.read(&mut buffer)).await.is_err());
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_let_go_and_a_slow_one_is_not() {
    let (mut io, mut client, heard) = connection(1000);
    let part = [0; 1000];
    for _ in 0..5 {
        io.write_all(&part).await.unwrap();
        tokio::join!(
            async {
                tokio::time::sleep(STALL - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 1000]).await.unwrap();
            },
            async { io.write_all(&part).await.unwrap() },
        );
        client.read_exact(&mut [0; 1000]).await.unwrap();
    }
    assert!(heard.lock().unwrap().is_empty());
    io.write_all(&part).await.unwrap();
    let began = Instant::now();
    let error = io.write_all(&part).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), STALL.as_secs());
    assert_eq!(heard.lock().unwrap().as_slice(), ["Answer"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However waits follow on each other, one ends exactly when its own time is over.
    #[test]
    fn a_wait_is_as_long_as_its_own_time(
        waits in prop::collection::vec((0_u8..3, 0_u64..20_000), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let patience = Patience {
                head: Duration::from_secs(4),
                idle: Duration::from_secs(9),
                stall: Duration::from_secs(6),
                ended: Arc::new(|_| {}),
            };
            let mut wait = Wait::default();
            for (kind, millis) in waits {
                let awaited = match kind {
                    0 => Awaited::Request,
                    1 => Awaited::Head,
                    _ => Awaited::Room,
                };
                wait.end();
                let (began, most) = (Instant::now(), patience.of(awaited));
                let given = Duration::from_millis(millis);
                let waiting = std::future::poll_fn(|cx| wait.poll(awaited, &patience, cx));
                let over = timeout(given, waiting).await.is_ok();
                assert_eq!(over, most <= given, "{awaited:?} {given:?}");
                assert_eq!(began.elapsed(), most.min(given));
            }
        });
    }
}
