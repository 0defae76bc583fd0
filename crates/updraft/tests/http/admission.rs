//! Too many requests: who waits, who is refused, and what they are told.

use std::time::Duration;

use crate::support::{Process, wait_until};
use crate::wire::{Wire, ask, tcp};

fn slow(address: &str) -> Wire<std::net::TcpStream> {
    let mut connection = tcp(address);
    connection.send("GET /until-stop HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    connection
}

#[test]
fn beyond_the_cap_a_few_wait_and_the_others_are_refused_but_health_is_not() {
    let variables = [("MAX_REQUESTS", "2"), ("LOG_LEVEL", "debug"), ("REQUEST_TIMEOUT", "0s")];
    let (mut process, address) = Process::web(&variables);
    let mut working = [slow(&address), slow(&address)];
    for _ in &working {
        process.wait_for("waiting for the stop");
    }
    // One waits in the line, for a second. Who of these it is nobody knows.
    let refused: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| ask(&address, "/", &[]))).collect();
        assert_eq!(ask(&address, "/livez", &[]).status, 200);
        assert_eq!(ask(&address, "/readyz", &[]).status, 200);
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for refused in refused {
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    process.signal(rustix::process::Signal::TERM);
    for working in &mut working {
        assert_eq!(working.answer().unwrap().text(), "asked");
    }
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn a_place_comes_back_when_its_client_goes_away_or_its_time_is_over() {
    let (_process, address) = Process::web(&[("MAX_REQUESTS", "1"), ("REQUEST_TIMEOUT", "20s")]);
    for _ in 0..3 {
        drop(slow(&address));
        wait_until("the place is back", || ask(&address, "/", &[]).status == 200);
    }
    let mut impatient = tcp(&address);
    let headers = [("x-envoy-expected-rq-timeout-ms", "50")];
    let answer = impatient.ask("GET", "/until-stop", &headers, b"").unwrap();
    assert_eq!(answer.status, 504);
    assert_eq!(ask(&address, "/", &[]).status, 200);
}

#[test]
fn one_client_cannot_ask_more_than_its_rate_and_others_are_not_touched() {
    let variables = [("RATE_LIMIT", "3/h"), ("TRUSTED_PROXIES", "127.0.0.0/8")];
    let (_process, address) = Process::web(&variables);
    let of = |client: &str| ask(&address, "/", &[("x-forwarded-for", client)]);
    for left in ["2", "1", "0"] {
        let answer = of("203.0.113.1");
        assert_eq!(answer.status, 200);
        let told = answer.header("ratelimit").unwrap();
        assert!(told.starts_with(&format!("\"client\";r={left};t=")), "{told}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"client\";q=3;w=3600"));
    }
    let refused = of("203.0.113.1");
    assert_eq!(refused.status, 429);
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1190..=1200).contains(&retry_after), "{retry_after}");
    assert_eq!(of("203.0.113.2").status, 200);
    // Probes are not counted.
    for _ in 0..5 {
        assert_eq!(ask(&address, "/livez", &[]).status, 200);
    }
}

#[test]
fn without_trust_a_header_makes_nobody_another_client() {
    let (_process, address) = Process::web(&[("RATE_LIMIT", "2/h")]);
    for (number, status) in [(1, 200), (2, 200), (3, 429)] {
        let claim = format!("203.0.113.{number}");
        assert_eq!(ask(&address, "/", &[("x-forwarded-for", &claim)]).status, status);
    }
}

#[test]
fn connections_beyond_the_cap_wait_for_a_place() {
    let (_process, address) = Process::web(&[("MAX_CONNECTIONS", "2")]);
    let mut held = [tcp(&address), tcp(&address)];
    for held in &mut held {
        assert_eq!(held.ask("GET", "/", &[], b"").unwrap().status, 200);
    }
    let mut third = tcp(&address);
    third.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    third.0.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.head().is_err(), "it waits in the kernel's queue");
    drop(held);
    third.0.get_ref().set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    assert_eq!(third.answer().unwrap().status, 200);
}
