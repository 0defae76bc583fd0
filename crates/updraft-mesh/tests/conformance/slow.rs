//! Clients that take their time on purpose: slow heads (slowloris), slow bodies, slow reading.
//! The gateway serves others meanwhile, and lets the slow ones go within its limits.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::client::Client;
use crate::support::mesh::Mesh;
use crate::support::program::{command, run, said};
use crate::support::until;
use crate::support::upstream::Upstream;

/// Slow clients at once.
const SLOW: usize = 40;
const LIMITS: &str = "head_timeout = \"1s\"\nkeep_alive = \"20s\"";
const CALLS: &str = "timeout = \"1s\"\nidle = \"1s\"";
/// The longest that anybody else waits meanwhile.
const OTHERS: Duration = Duration::from_secs(6);

/// Runs slowhttptest for some seconds, and another client beside it.
async fn attacked(mesh: &Mesh, way: &[&str]) -> String {
    let url = format!("http://{}/", mesh.edge);
    let mut slow = command("slowhttptest", "slowhttptest");
    slow.args(["-c", &SLOW.to_string(), "-r", "20", "-l", "6", "-p", "2", "-u", &url]).args(way);
    let attack = tokio::spawn(run(slow, Duration::from_secs(15)));
    let mut served = 0;
    while !attack.is_finished() {
        let began = Instant::now();
        let mut client = Client::connect(mesh.edge).await;
        client.send(b"GET /fast HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
        assert!(began.elapsed() < OTHERS, "{:?}", began.elapsed());
        served += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(served > 3, "{served}");
    let output = attack.await.unwrap();
    let text = said(&output);
    let plain: String =
        text.split('\u{1b}').map(|it| it.split_once('m').map_or(it, |(_, it)| it)).collect();
    println!("{plain}");
    plain
}

/// What slowhttptest says once all its connections have been ended by the other side.
const ALL_ENDED: &str = "No open connections left";

async fn mesh(answer: &'static [u8]) -> (Upstream, Mesh) {
    let upstream = Upstream::answering(answer).await;
    let mesh = Mesh::start("http1", upstream.address, LIMITS, CALLS);
    (upstream, mesh)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn slow_heads_end_by_the_head_timeout() {
    let (upstream, mesh) = mesh(OK).await;
    let text = attacked(&mesh, &["-H", "-i", "1", "-x", "8"]).await;
    assert!(text.contains(ALL_ENDED), "{text}");
    assert!(mesh.limit("head_timeout") >= SLOW as u64);
    // What goes on are the probes of slowhttptest itself.
    let slow = upstream.now().into_iter().filter(|seen| !seen.line().contains("/fast"));
    assert!(slow.count() < SLOW / 2);
}

#[tokio::test]
async fn slow_bodies_end_by_the_timeout_of_the_call() {
    let (upstream, mesh) = mesh(OK).await;
    // Others that get an answer mean as well that no circuit opens for what clients do.
    let text = attacked(&mesh, &["-B", "-i", "1", "-s", "4096", "-x", "8"]).await;
    assert!(text.contains(ALL_ENDED), "{text}");
    assert!(upstream.now().iter().all(|seen| seen.line().starts_with("GET ")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_let_go() {
    let upstream = Upstream::start(|seen| {
        let length = if seen.line().contains("/fast") { 2 } else { 6_000_000 };
        let mut answer = Vec::with_capacity(length + 100);
        answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        answer.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        answer.resize(answer.len() + length, b'x');
        answer
    })
    .await;
    let mesh = Mesh::start("http1", upstream.address, LIMITS, "timeout = \"15s\"\nidle = \"1s\"");
    let way = ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "1", "-k", "1"];
    let text = attacked(&mesh, &way).await;
    // It does not look whether it was let go, so that the gateway has to tell.
    assert!(!text.is_empty());
    assert!(mesh.sum("updraft_mesh_requests_total", "code_class=\"error\"") >= SLOW as u64);
    assert!(upstream.connections().1 < SLOW / 4, "{:?}", upstream.connections());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_reset() {
    let upstream = Upstream::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n".to_vec();
        [head, vec![b'x'; 30_000_000]].concat()
    })
    .await;
    let mesh = Mesh::start("http1", upstream.address, LIMITS, "timeout = \"9s\"\nidle = \"500ms\"");
    let mut client = Client::connect(mesh.edge).await;
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // The endpoint's connection, which nobody can use for anything else, is let go.
    until("the end of the endpoint's connection", || upstream.connections() == (1, 0)).await;
    assert!(client.answer(false).await.is_none(), "an answer that is whole");
}
