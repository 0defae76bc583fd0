//! Many connections at once: those that do nothing, and those that do not read.

use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{
    Act, Session, Setup, Upstream, alone, descriptors, report, request, resident, soon, until,
};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: pricing\r\n\r\n";

/// As many connections as this process can have both ends of, at most 10,000.
fn possible(ends: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(20_000, |limit| usize::try_from(limit).unwrap());
    ((limit - 300) / ends).min(10_000)
}

/// With a small window, so that the kernel does not read in the caller's place.
async fn asked(at: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_cost_little_and_bother_nobody() {
    if !alone("load::ten_thousand_idle_connections_cost_little_and_bother_nobody") {
        return;
    }
    let pricing = Upstream::named("pricing");
    let setup = Setup::of(&pricing);
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    for _ in 0..50 {
        assert_eq!(session.send(request(Method::GET, "/", "")).await.unwrap().status, 200);
    }
    let (before, open) = (resident(), descriptors());
    let count = possible(2);
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        if number % 100 == 0 {
            pricing.asked();
        }
        // Every other one has never said anything.
        let stream = if number % 2 == 0 {
            let mut stream = asked(setup.port).await;
            assert!(soon(stream.read(&mut [0; 512])).await.unwrap() > 0);
            stream
        } else {
            TcpStream::connect(setup.port).await.unwrap()
        };
        idle.push(stream);
    }
    pricing.asked();
    let each = resident().saturating_sub(before) / u64::try_from(count).unwrap();
    println!("{count} idle connections: {each} bytes each, with the client's end");
    assert!(each < 40 * 1024, "{each} bytes each");
    let connections = || report(&gateway, "cart", "pricing").connections.caller;
    until("all are open", || connections() == u64::try_from(count).unwrap() + 1).await;
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(session.send(request(Method::GET, "/", "")).await.unwrap().status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    drop(idle);
    until("all have ended", || connections() == 1).await;
    until("all sockets are closed", || descriptors() <= open + 8).await;
}

/// Answers with more than anybody keeps, but for `/small`.
fn big() -> Upstream {
    let big = bytes::Bytes::from(vec![b'b'; 8 << 20]);
    Upstream::http1(move |asked| match asked.uri.path() {
        "/small" => Act::Say("small".to_owned()),
        _ => Act::Bytes(big.clone()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_that_do_not_read_hold_little_and_stop_nobody() {
    if !alone("load::a_thousand_callers_that_do_not_read_hold_little_and_stop_nobody") {
        return;
    }
    let pricing = big();
    let mut setup = Setup::of(&pricing);
    // How fast this machine opens a thousand connections is not the question.
    setup.config.limits.connect_timeout = crate::support::DEADLINE;
    setup.edge().calls.timeout = crate::support::DEADLINE;
    let gateway = setup.start();
    let (before, open) = (resident(), descriptors());
    let count = possible(4).min(1000);
    let mut slow = Vec::with_capacity(count);
    for _ in 0..count {
        slow.push(asked(setup.port).await);
    }
    let active = || report(&gateway, "cart", "pricing").active_requests;
    let wanted = u64::try_from(count).unwrap();
    until("all wait for their caller", || active() == wanted).await;
    for _ in 0..50 {
        let answer = crate::support::get(setup.port, "/small");
        assert_eq!(soon(answer).await.text(), "small");
    }
    // All ends of everything are here, the server's too.
    let each = resident().saturating_sub(before) / wanted;
    println!("{count} callers that do not read: {} KiB each, with all ends", each / 1024);
    assert!(each < 400 * 1024, "{each} bytes each");
    drop(slow);
    until("all have ended", || active() == 0).await;
    until("all sockets are closed", || descriptors() <= open + 40).await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_has_its_time() {
    let pricing = big();
    let mut setup = Setup::of(&pricing);
    setup.edge().calls.idle = Duration::from_millis(500);
    let gateway = setup.start();
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(asked(setup.port).await);
    }
    let classes = || report(&gateway, "cart", "pricing").totals.classes;
    until("their time is over", || classes().error == 10).await;
    until("the server hears of it", || pricing.under_way() == 0).await;
    assert_eq!(report(&gateway, "cart", "pricing").active_requests, 0);
}
