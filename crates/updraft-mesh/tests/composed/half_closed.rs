//! Clients that end their half of the connection behind their request, as `nc -N` and some health
//! checks do: they get their answer. Those that have gone altogether are not worked for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use updraft_system::mesh::{IngressConfig, IngressRoute};

use crate::support::{Act, Setup, Upstream, name, port, report, soon, until};

const GET: &str = "GET /quotes/7 HTTP/1.1\r\nhost: pricing\r\n\r\n";
const POST: &str = "POST /q HTTP/1.1\r\nhost: pricing\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST /q HTTP/1.1\r\nhost: pricing\r\ntransfer-encoding: chunked\r\n\r\n\
                       5\r\nhello\r\n0\r\n\r\n";

/// Sends this and ends its half.
async fn ended(at: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    stream
}

/// All that comes until the other side ends as well.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    soon(stream.read_to_end(&mut all)).await.unwrap();
    String::from_utf8(all).unwrap()
}

fn with_ingress(upstream: &Upstream) -> (Setup, SocketAddr, SocketAddr) {
    let mut setup = Setup::of(upstream);
    let (listen, admin) = (port(), port());
    let routes = vec![IngressRoute { path: "/".to_owned(), to: name("pricing") }];
    let calls = Default::default();
    setup.config.ingress = Some(IngressConfig { listen, routes, calls, proxy_protocol: false });
    setup.config.admin = Some(admin);
    (setup, listen, admin)
}

#[tokio::test]
async fn a_client_that_ends_its_half_gets_its_answer() {
    let pricing = Upstream::http1(|_| Act::Held(Box::new(Act::Say("an answer".to_owned()))));
    let (setup, ingress, _) = with_ingress(&pricing);
    let _gateway = setup.start();
    for at in [setup.port, ingress] {
        for sent in [GET, POST, CHUNKED] {
            let stream = ended(at, sent).await;
            until("it is asked", || pricing.under_way() == 1).await;
            if sent == GET {
                // Longer than anybody is waited for who may have gone.
                tokio::time::sleep(Duration::from_millis(1500)).await;
                assert_eq!(pricing.under_way(), 1);
            }
            pricing.release();
            let said = rest(stream).await;
            assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
            assert!(said.ends_with("\r\n\r\nan answer"), "{said}");
            assert_eq!(pricing.asked().len(), 1);
        }
    }
}

#[tokio::test]
async fn each_request_that_came_before_the_end_is_answered() {
    let pricing = Upstream::http1(|asked| match asked.number {
        0 => Act::After(Duration::from_millis(200), Box::new(Act::Say("x".repeat(3_000_000)))),
        number => Act::Say(format!("answer {number}")),
    });
    let setup = Setup::of(&pricing);
    let _gateway = setup.start();
    let said = rest(ended(setup.port, &[GET, POST, CHUNKED].concat()).await).await;
    assert_eq!(said.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{}", &said[said.len() - 500..]);
    assert!(said.contains(&"x".repeat(3_000_000)) && said.ends_with("\r\n\r\nanswer 2"));
    // Half a request is none.
    let said = rest(ended(setup.port, &POST[..POST.len() - 1]).await).await;
    assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
    assert_eq!(rest(ended(setup.port, &GET[..GET.len() - 1]).await).await, "");
    assert_eq!(rest(ended(setup.port, "").await).await, "");
}

#[tokio::test]
async fn metrics_and_health_are_told_to_a_client_that_ends_its_half() {
    let pricing = Upstream::named("pricing");
    let (setup, _, admin) = with_ingress(&pricing);
    let _gateway = setup.start();
    for _ in 0..20 {
        let said = rest(ended(admin, "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await).await;
        assert!(said.ends_with("\r\n\r\nlive\n"), "{said}");
    }
}

#[tokio::test]
async fn nobody_works_for_a_client_that_has_gone() {
    let pricing = Upstream::http1(|_| Act::Hang);
    let (setup, ingress, _) = with_ingress(&pricing);
    let gateway = setup.start();
    for (at, from) in [(setup.port, "cart"), (ingress, "ingress")] {
        for half_first in [false, true] {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(POST.as_bytes()).await.unwrap();
            until("it is asked", || pricing.under_way() == 1).await;
            if half_first {
                stream.shutdown().await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
                assert_eq!(pricing.under_way(), 1);
            }
            let gone = Instant::now();
            drop(stream);
            until("it is given up", || pricing.under_way() == 0).await;
            let active = || report(&gateway, from, "pricing").active_requests;
            until("it is over", || active() == 0).await;
            assert!(gone.elapsed() < Duration::from_millis(600), "{:?}", gone.elapsed());
        }
    }
}
