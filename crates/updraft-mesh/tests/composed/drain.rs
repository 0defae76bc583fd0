//! The end of a gateway in peace, and one that takes over from another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use updraft_mesh::{Gateway, Options, handover};
use updraft_system::mesh::Protocol;

use crate::support::{
    Act, Session, Setup, Upstream, cluster, edge, get, name, port, raw_echo, request, soon, until,
};

#[tokio::test]
async fn what_is_under_way_ends_in_peace_and_nothing_new_begins() {
    let held = || Act::Held(Box::new(Act::Say("done".to_owned())));
    let (one, two) = (Upstream::http1(move |_| held()), Upstream::http2(move |_| held()));
    let mut setup = Setup::of(&one);
    let (h2, tcp) = (port(), port());
    for (to, at, address, protocol) in
        [("orders", h2, two.address, Protocol::H2c), ("db", tcp, raw_echo().await, Protocol::Tcp)]
    {
        let mut cluster = cluster(&[address]);
        cluster.protocol = protocol;
        setup.config.clusters.insert(name(to), cluster);
        setup.config.edges.push(edge("cart", to, Some(at)));
    }
    setup.config.limits.drain = Duration::from_millis(1500);
    let gateway = setup.start();
    let at = setup.port;
    let under_way = tokio::spawn(get_closing(at));
    let mut streams = Session::http2(h2).await;
    let stream = tokio::spawn(async move {
        let began = streams.begin(request(Method::GET, "http://pricing/", "")).await;
        (began.unwrap().status(), streams)
    });
    let mut tunnel = TcpStream::connect(tcp).await.unwrap();
    tunnel.write_all(b"?").await.unwrap();
    soon(tunnel.read_exact(&mut [0])).await.unwrap();
    until("both are under way", || one.under_way() == 1 && two.under_way() == 1).await;
    one.become_(|_| Act::Say("done".to_owned()));
    let mut idle = TcpStream::connect(at).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: pricing\r\n\r\n").await.unwrap();
    assert!(soon(idle.read(&mut [0; 512])).await.unwrap() > 0);

    let began = Instant::now();
    let draining = tokio::spawn(gateway.drain());
    // An idle connection has nothing to wait for.
    assert!(!matches!(soon(idle.read(&mut [0; 16])).await, Ok(1..)));
    let refused = async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(refused).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    one.release();
    two.release();
    assert_eq!(soon(under_way).await.unwrap(), ("done".to_owned(), true));
    let (status, mut streams) = soon(stream).await.unwrap();
    assert_eq!(status, 200);
    let more = soon(streams.send(request(Method::GET, "http://pricing/", ""))).await;
    assert!(more.is_err(), "after GOAWAY there are no new streams");
    // The tunnel works until the time is over.
    tunnel.write_all(b"!").await.unwrap();
    soon(tunnel.read_exact(&mut [0])).await.unwrap();
    assert!(!draining.is_finished());
    assert!(!matches!(soon(tunnel.read(&mut [0])).await, Ok(1..)));
    soon(draining).await.unwrap();
    let took = began.elapsed().as_millis();
    assert!((1400..5000).contains(&took), "{took} ms");
}

/// The answer's text, and whether it says that the connection ends.
async fn get_closing(at: std::net::SocketAddr) -> (String, bool) {
    let answer = get(at, "/").await;
    (answer.text(), answer.header("connection") == Some("close"))
}

/// Callers that make a connection for each request, which is never sent twice, and callers
/// that keep theirs as long as they may.
fn load(at: std::net::SocketAddr, over: &Arc<AtomicBool>, done: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for keeps in [false, false, true] {
        let (over, done) = (Arc::clone(over), Arc::clone(done));
        load.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let mut session = Session::http1(at).await;
                loop {
                    let sent = session.send(request(Method::POST, "/", "x")).await;
                    let answer = match sent {
                        Ok(answer) => answer,
                        // A connection that has served may end before the next request.
                        Err(_) if keeps => break,
                        Err(error) => panic!("{error:?}"),
                    };
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                    let closes = answer.header("connection") == Some("close");
                    if closes || !keeps || over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            }
        });
    }
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_takes_over_from_another_and_no_caller_notices() {
    let pricing = Upstream::named("pricing");
    let setup = Setup::of(&pricing);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heirs.sock");
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut present = setup.start();
    let load = load(setup.port, &over, &done);
    for _ in 0..6 {
        let before = done.load(Ordering::SeqCst);
        until("requests go on", || done.load(Ordering::SeqCst) > before + 30).await;
        let heirs = handover::Heirs::open(&path).unwrap();
        let old = present;
        let waiting = tokio::task::spawn_blocking(move || {
            heirs.hand_over(|| old.listeners()).unwrap();
            old
        });
        let path = path.clone();
        let config = setup.config.clone();
        present = tokio::task::spawn_blocking(move || {
            let inherited = handover::inherit(&path).unwrap();
            assert!(inherited.is_some());
            let new = Gateway::start(&config, Options { inherited, ..Options::default() }).unwrap();
            new.taken_over();
            new
        })
        .await
        .unwrap();
        soon(async { waiting.await.unwrap().drain().await }).await;
    }
    let before = done.load(Ordering::SeqCst);
    until("requests go on", || done.load(Ordering::SeqCst) > before + 30).await;
    over.store(true, Ordering::SeqCst);
    load.join_all().await;
    present.drain().await;
    assert_eq!(u64::try_from(pricing.count()).unwrap(), done.load(Ordering::SeqCst));
}
