//! TCP: what goes in comes out, each direction ends on its own, a break is passed on.

use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::{any, prop_assert_eq, proptest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, duplex};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{EndReason, LIMITS, TunnelCounters, TunnelEnd, connection, relay};

struct Tunnel {
    client: TcpStream,
    server: TcpStream,
    counters: Arc<TunnelCounters>,
    end: JoinHandle<TunnelEnd>,
}

impl Tunnel {
    async fn start() -> Self {
        let (client, a) = connection().await;
        let (server, b) = connection().await;
        let counters = Arc::new(TunnelCounters::default());
        let shared = Arc::clone(&counters);
        let end = tokio::spawn(async move { relay(a, b, LIMITS, &shared, pending()).await });
        Self { client, server, counters, end }
    }
}

/// Bytes in which each place differs from its neighbours, also those at powers of two.
fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

#[tokio::test]
async fn each_direction_ends_on_its_own() {
    let Tunnel { mut client, mut server, counters, end } = Tunnel::start().await;
    client.write_all(b"question").await.expect("write");
    client.shutdown().await.expect("end");
    let mut seen = String::new();
    server.read_to_string(&mut seen).await.expect("the end is passed on");
    assert_eq!(seen, "question");
    for part in ["long ", "answer"] {
        server.write_all(part.as_bytes()).await.expect("the other direction is open");
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 11];
    client.read_exact(&mut answer).await.expect("answer");
    assert_eq!(&answer, b"long answer");
    // The count is live, while the tunnel is open.
    assert_eq!(counters.up.load(Ordering::Relaxed), 8);
    assert_eq!(counters.down.load(Ordering::Relaxed), 11);
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).await.expect("end"), 0);
    let end = end.await.expect("task");
    let finished = TunnelEnd { bytes_up: 8, bytes_down: 11, reason: EndReason::Finished };
    assert_eq!(end, finished);
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    for from_client in [true, false] {
        let Tunnel { client, server, end, .. } = Tunnel::start().await;
        let (breaking, mut other) = if from_client { (client, server) } else { (server, client) };
        breaking.set_zero_linger().expect("linger");
        drop(breaking);
        let error = other.read(&mut [0; 1]).await.expect_err("a reset, not an end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(end.await.expect("task").reason, EndReason::Reset);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_pass_through_the_kernel_unchanged() {
    const SIZE: usize = 100 << 20;
    let Tunnel { client, server, counters, end } = Tunnel::start().await;
    let sent = Arc::new(pattern(SIZE, 1));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upload = Arc::clone(&sent);
    let writing = tokio::spawn(async move {
        to_client.write_all(&upload).await.expect("write");
        to_client.shutdown().await.expect("end");
    });
    let echo = tokio::spawn(async move {
        tokio::io::copy(&mut from_server, &mut to_server).await.expect("echo");
        to_server.shutdown().await.expect("end");
    });
    let mut seen = Vec::with_capacity(SIZE);
    from_client.read_to_end(&mut seen).await.expect("read");
    assert!(seen == *sent, "the bytes are the same");
    writing.await.expect("written");
    echo.await.expect("echoed");
    let size = u64::try_from(SIZE).expect("size");
    let finished = TunnelEnd { bytes_up: size, bytes_down: size, reason: EndReason::Finished };
    assert_eq!(end.await.expect("task"), finished);
    let spliced = counters.spliced.load(Ordering::Relaxed);
    assert!(spliced > size, "{spliced} of {} were spliced", 2 * size);
}

#[tokio::test]
async fn a_direction_that_becomes_quiet_gives_its_pipe_back_and_goes_on() {
    let Tunnel { client, mut server, counters, end } = Tunnel::start().await;
    let (from_client, mut to_client) = client.into_split();
    let mut seen = vec![0; 1 << 20];
    for seed in 0..3 {
        let burst = pattern(16 << 20, seed);
        let (written, ()) = tokio::join!(to_client.write_all(&burst), async {
            for part in burst.chunks(seen.len()) {
                server.read_exact(&mut seen).await.expect("read");
                assert!(seen == part);
            }
        });
        written.expect("write");
        let spliced = counters.spliced.load(Ordering::Relaxed);
        for word in 0..200_u8 {
            to_client.write_u8(word).await.expect("write");
            assert_eq!(server.read_u8().await.expect("read"), word);
        }
        let since = counters.spliced.load(Ordering::Relaxed) - spliced;
        assert!(since <= 40, "{since} of 200 single bytes were spliced");
    }
    assert!(counters.spliced.load(Ordering::Relaxed) > 1 << 20);
    drop((from_client, to_client, server));
    assert_eq!(end.await.expect("task").reason, EndReason::Finished);
}

#[tokio::test]
async fn what_a_stream_holds_back_is_flushed_when_no_more_comes() {
    let (mut client, a) = duplex(64);
    let (mut server, b) = duplex(64);
    let end = tokio::spawn(async move {
        let (a, b) = (BufStream::new(a), BufStream::new(b));
        relay(a, b, LIMITS, &TunnelCounters::default(), pending()).await
    });
    for word in 0..5 {
        client.write_u8(word).await.expect("write");
        assert_eq!(server.read_u8().await.expect("read"), word);
        server.write_u8(word).await.expect("write");
        assert_eq!(client.read_u8().await.expect("read"), word);
    }
    drop((client, server));
    assert_eq!(end.await.expect("task").reason, EndReason::Finished);
}

/// Sends parts with pauses, and reads with others.
async fn exchange<S>(stream: S, sent: Vec<u8>, part: usize) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        for chunk in sent.chunks(part) {
            write.write_all(chunk).await.expect("write");
            tokio::task::yield_now().await;
        }
        write.shutdown().await.expect("end");
    };
    let reading = async {
        let mut seen = Vec::new();
        read.read_to_end(&mut seen).await.expect("read");
        seen
    };
    tokio::join!(writing, reading).1
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    /// Whatever the sizes of what is written, of the buffers, and whoever ends first.
    #[test]
    fn what_goes_in_comes_out(
        (up, down) in (0..700_000_usize, 0..700_000_usize),
        (up_part, down_part) in (1..150_000_usize, 1..150_000_usize),
        capacity in 1..70_000_usize,
        sockets in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sent_up, sent_down) = (pattern(up, seed), pattern(down, !seed));
        let expected = (sent_up.clone(), sent_down.clone());
        let capacity = capacity.max(up.max(down) / 2000);
        let (up_part, down_part) = (up_part.max(up / 2000), down_part.max(down / 2000));
        let (seen_up, seen_down, end) = runtime.block_on(async {
            let counters = TunnelCounters::default();
            if sockets {
                let (client, a) = connection().await;
                let (server, b) = connection().await;
                let (down, up, end) = tokio::join!(
                    exchange(client, sent_up, up_part),
                    exchange(server, sent_down, down_part),
                    relay(a, b, LIMITS, &counters, pending())
                );
                (up, down, end)
            } else {
                let (client, a) = duplex(capacity);
                let (server, b) = duplex(capacity);
                let (down, up, end) = tokio::join!(
                    exchange(client, sent_up, up_part),
                    exchange(server, sent_down, down_part),
                    relay(a, b, LIMITS, &counters, pending())
                );
                (up, down, end)
            }
        });
        prop_assert_eq!(end.reason, EndReason::Finished);
        prop_assert_eq!(end.bytes_up, u64::try_from(up).expect("size"));
        prop_assert_eq!(end.bytes_down, u64::try_from(down).expect("size"));
        assert!((seen_up, seen_down) == expected, "the bytes are the same");
    }
}
