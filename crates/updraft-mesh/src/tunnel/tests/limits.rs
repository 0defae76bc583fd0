//! Time: idle tunnels, lingering ones, and drains.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{EndReason, LIMITS, TunnelCounters, TunnelEnd, relay};

fn start(
    drained: impl Future<Output = ()> + Send + 'static,
) -> (DuplexStream, DuplexStream, JoinHandle<TunnelEnd>) {
    let (client, a) = duplex(64);
    let (server, b) = duplex(64);
    let end =
        tokio::spawn(async move { relay(a, b, LIMITS, &TunnelCounters::default(), drained).await });
    (client, server, end)
}

async fn ping(from: &mut DuplexStream, to: &mut DuplexStream) {
    from.write_u8(7).await.expect("write");
    assert_eq!(to.read_u8().await.expect("read"), 7);
}

#[tokio::test(start_paused = true)]
async fn an_open_tunnel_lives_as_long_as_bytes_pass_in_any_direction() {
    let (mut client, mut server, end) = start(pending());
    for round in 0..10 {
        sleep(Duration::from_secs(3599)).await;
        if round % 2 == 0 {
            ping(&mut client, &mut server).await;
        } else {
            ping(&mut server, &mut client).await;
        }
        assert!(!end.is_finished());
    }
    let last = Instant::now();
    let end = end.await.expect("task");
    assert_eq!(last.elapsed().as_secs(), 3600);
    assert_eq!(end, TunnelEnd { bytes_up: 5, bytes_down: 5, reason: EndReason::Idle });
    assert_eq!(client.read(&mut [0]).await.expect("end"), 0);
}

#[tokio::test(start_paused = true)]
async fn once_one_side_has_ended_the_other_has_to_show_life() {
    for client_first in [true, false] {
        let (client, server, end) = start(pending());
        let (mut ended, mut other) = if client_first { (client, server) } else { (server, client) };
        // Much later than the linger time would allow.
        sleep(Duration::from_secs(1000)).await;
        ended.shutdown().await.expect("end");
        assert_eq!(other.read(&mut [0]).await.expect("end"), 0);
        for _ in 0..10 {
            sleep(Duration::from_secs(29)).await;
            ping(&mut other, &mut ended).await;
        }
        let last = Instant::now();
        let end = end.await.expect("task");
        assert_eq!(last.elapsed().as_secs(), 30);
        assert_eq!(end.reason, EndReason::LingerOver);
        assert_eq!(end.bytes_up + end.bytes_down, 10);
    }
}

/// The other side need not have seen the end, or anything.
#[tokio::test(start_paused = true)]
async fn a_side_that_reads_nothing_does_not_keep_an_ended_tunnel() {
    let (mut client, _server, end) = start(pending());
    client.write_all(&[1; 60]).await.expect("write");
    client.shutdown().await.expect("end");
    let since = Instant::now();
    assert_eq!(end.await.expect("task").reason, EndReason::LingerOver);
    assert_eq!(since.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_tunnel_at_its_deadline() {
    let (drain, drained) = oneshot::channel();
    let (mut client, mut server, end) = start(async move { drop(drained.await) });
    ping(&mut client, &mut server).await;
    sleep(Duration::from_secs(60)).await;
    assert!(!end.is_finished());
    drain.send(()).expect("the tunnel is there");
    let end = end.await.expect("task");
    assert_eq!(end, TunnelEnd { bytes_up: 1, bytes_down: 0, reason: EndReason::Drained });
    assert_eq!(client.read(&mut [0]).await.expect("end"), 0);
    assert_eq!(server.read(&mut [0]).await.expect("end"), 0);
}
