//! Streams under those who mean ill: the connection ends, memory stays bounded, and others are
//! served meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::frame::{
    CANCEL, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, WHOLE, block,
    continuation, data, get, headers, literal, ping, post, reset, settings,
};
use crate::support::mesh::Mesh;
use crate::support::peer::{Event, Peer, Server, full};

/// What this process may grow by while it is flooded: the frames that a test sends are more.
const GROWTH: usize = 48 * 1024 * 1024;

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Fails if this process has grown by too much. Only one of its own can tell, as nextest gives
/// each test: others of the same process grow as well.
fn assert_bounded(before: usize) {
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH || std::env::var_os("NEXTEST").is_none(), "grown by {grown} bytes");
}

/// Whether another client gets an answer, in a time that a person would not notice much.
async fn serves_others(mesh: &Mesh) {
    let began = Instant::now();
    let mut other = Peer::connect(mesh.edge).await;
    other.send(&headers(1, WHOLE, &get())).await;
    assert!(other.find(|frame| frame.kind == HEADERS && frame.stream == 1).await.is_some());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// Sends `part` until nobody takes it any more, at most `times` times.
async fn flood(peer: &mut Peer, times: usize, part: impl Fn(usize) -> Vec<u8>) -> usize {
    for time in 0..times {
        if !peer.send(&part(time)).await {
            return time;
        }
    }
    times
}

fn stream(number: usize) -> u32 {
    u32::try_from(1 + 2 * number).unwrap()
}

#[tokio::test]
async fn a_rapid_reset_ends_its_connection() {
    let (upstream, before) = (Server::start().await, resident());
    let mesh = Mesh::h2c(upstream.address);
    let mut peer = Peer::connect(mesh.edge).await;
    // CVE-2023-44487: requests that are withdrawn at once.
    let burst = |time: usize| -> Vec<u8> {
        let pair = |at| [headers(stream(at), WHOLE, &get()), reset(stream(at), CANCEL)].concat();
        (time * 200..(time + 1) * 200).flat_map(pair).collect()
    };
    flood(&mut peer, 100, burst).await;
    assert_eq!(peer.goodbye().await, Some(ENHANCE_YOUR_CALM));
    assert!(upstream.requests() < 2000, "{} went on", upstream.requests());
    assert_bounded(before);
    serves_others(&mesh).await;
}

#[tokio::test]
async fn a_reset_of_each_answered_stream_costs_no_more_than_its_request() {
    let upstream = Server::start().await;
    let mesh = Mesh::h2c(upstream.address);
    let mut peer = Peer::connect(mesh.edge).await;
    for number in 0..300 {
        peer.send(&headers(stream(number), END_HEADERS, &post())).await;
        peer.send(&reset(stream(number), CANCEL)).await;
        peer.send(&ping(0, b"together")).await;
        let pong = peer.find(|frame| frame.kind == crate::support::frame::PING).await;
        if pong.is_none() {
            break;
        }
    }
    serves_others(&mesh).await;
}

#[tokio::test]
async fn endless_continuation_ends_its_connection() {
    let (upstream, before) = (Server::start().await, resident());
    let mesh = Mesh::h2c(upstream.address);
    let mut peer = Peer::connect(mesh.edge).await;
    // CVE-2024-27316: a field block that never ends.
    peer.send(&headers(1, 0, &get())).await;
    let more = block(&[("x-more", "of the same")]);
    let sent = flood(&mut peer, 200_000, |_| continuation(1, 0, &more).repeat(64)).await;
    assert!(peer.goodbye().await.is_some(), "it goes on after {sent}");
    assert_eq!(upstream.requests(), 0);
    assert_bounded(before);
    serves_others(&mesh).await;
}

#[tokio::test]
async fn a_field_list_beyond_the_limit_is_refused() {
    let upstream = Server::start().await;
    let mesh = Mesh::start("h2c", upstream.address, "head_bytes = 4096", "");
    let mut peer = Peer::connect(mesh.edge).await;
    let fields = literal("x-long", &"x".repeat(5000));
    peer.send(&headers(1, WHOLE, &[get(), fields].concat())).await;
    // 431, as RFC 6585 names it, or the end of the stream.
    let ends = |it: &crate::support::frame::Frame| {
        it.stream == 1 && matches!(it.kind, HEADERS | RST_STREAM)
    };
    assert!(peer.find(ends).await.is_some());
    assert_eq!(upstream.requests(), 0);
    serves_others(&mesh).await;
}

#[tokio::test]
async fn a_bomb_of_indexed_fields_is_refused() {
    let (upstream, before) = (Server::start().await, resident());
    let mesh = Mesh::h2c(upstream.address);
    let mut peer = Peer::connect(mesh.edge).await;
    // One long field in the dynamic table, then a byte for each time that it is meant.
    let long = [vec![0x40, 6], b"x-bomb".to_vec(), vec![0x7f, 0xa1, 0x1e], vec![b'x'; 4000]];
    peer.send(&headers(1, WHOLE, &[get(), long.concat()].concat())).await;
    for number in 1..40 {
        let bomb = [get(), vec![0xbe; 10_000]].concat();
        if !peer.send(&headers(stream(number), WHOLE, &bomb)).await {
            break;
        }
    }
    assert_bounded(before);
    assert!(upstream.requests() <= 1);
    serves_others(&mesh).await;
}

#[tokio::test]
async fn floods_of_settings_and_pings_that_nobody_reads_are_held_back() {
    let (upstream, before) = (Server::start().await, resident());
    let mesh = Mesh::h2c(upstream.address);
    for part in [settings(&[]), ping(0, b"flooding")] {
        let mut peer = Peer::connect(mesh.edge).await;
        // Answers are owed for all of them, and nobody takes the answers.
        let part = part.repeat(1000);
        let many = async { flood(&mut peer, 5000, |_| part.clone()).await };
        let sent = tokio::time::timeout(Duration::from_secs(2), many).await;
        println!("flood: {sent:?}, grown by {}", resident().saturating_sub(before));
        assert_bounded(before);
        serves_others(&mesh).await;
    }
}

#[tokio::test]
async fn a_client_that_opens_no_window_is_let_go() {
    let upstream = Server::answering(|_, _, _| http::Response::new(full(vec![0; 1 << 20]))).await;
    let mesh = Mesh::start("h2c", upstream.address, "", "idle = \"1s\"");
    let mut peer = Peer::with(mesh.edge, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    peer.send(&headers(1, WHOLE, &get())).await;
    assert!(peer.find(|frame| frame.kind == HEADERS).await.is_some());
    let mut ended = false;
    // It answers pings and does nothing else.
    for _ in 0..40 {
        peer.send(&ping(0, b"still on")).await;
        match peer.next().await {
            Event::Closed => ended = true,
            Event::Frame(frame) if frame.kind == RST_STREAM => ended = true,
            Event::Frame(_) | Event::Silence => {}
        }
        if ended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ended, "a stream that cannot go on is kept");
    serves_others(&mesh).await;
    assert_eq!(mesh.gateway.report().len(), 2);
}

#[tokio::test]
async fn a_body_beyond_the_window_is_an_error_of_flow_control() {
    let upstream = Server::start().await;
    let mesh = Mesh::h2c(upstream.address);
    let mut peer = Peer::connect(mesh.edge).await;
    peer.send(&headers(1, END_HEADERS, &post())).await;
    let part = data(1, 0, &[0; 16_384]);
    // The server reads as it comes, so the window has to be overrun at once.
    let sent = flood(&mut peer, 4000, |_| part.repeat(32)).await;
    assert!(sent < 4000 || peer.goodbye().await.is_some());
    serves_others(&mesh).await;
}
