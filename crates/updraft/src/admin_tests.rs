//! What the admin listener answers, over a socket.

use super::*;
use crate::drain::{Drain, Phase};
use crate::log::Directives;
use std::io::{Read, Write};

/// The status and the text of an answer. The listener is on another thread's runtime.
async fn asked(address: SocketAddr, request: &str) -> (String, String) {
    let request = format!("{request}\r\n\r\n");
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asking.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), format!("{head}\n\n{body}"))
}

fn shown(drain: &Drain, log_control: LogControl) -> Shown {
    let health = Health::new(drain.sender(), Duration::from_secs(5));
    let release = Release::of_build("shop", "1.2.3");
    Shown { health, metrics: Metrics::default(), release, log_control }
}

fn log_control() -> LogControl {
    LogControl::new(Directives::default(), || {})
}

fn listening(shown: Shown) -> (Admin, SocketAddr) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let closing = watch::Sender::new(false);
    let accepting = tokio::spawn(accept(listener, Arc::new(shown), closing.subscribe()));
    (Admin { accepting, closing }, address)
}

#[tokio::test]
async fn each_path_answers_what_it_is_for() {
    let drain = Drain::new(Duration::ZERO);
    let (admin, address) = listening(shown(&drain, log_control()));
    drain.advance(Phase::Serving);
    for (path, status, text) in [
        ("/", "200", "/metrics"),
        ("/livez", "200", "live"),
        ("/health/ready", "200", "ready"),
        ("/startupz", "503", "starting"),
        ("/health", "200", "\"phase\": \"serving\""),
        ("/attachments", "200", "[]"),
        ("/version", "200", "\"version\": \"1.2.3\""),
        ("/metrics", "200", "version=0.0.4"),
        ("/log-level", "200", "info\n"),
        ("/debug", "404", "problem+json"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close");
        let (got, answer) = asked(address, &request).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.contains(text), "{path}: {answer}");
    }
    let request = "DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close";
    assert_eq!(asked(address, request).await.0, "405");
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Accept: application/openmetrics-text;version=1.0.0";
    let (_, answer) = asked(address, request).await;
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    admin.close().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn the_level_of_the_logs_is_changed_for_a_while() {
    let drain = Drain::new(Duration::ZERO);
    let control = log_control();
    let (_admin, address) = listening(shown(&drain, control.clone()));
    let put = |query: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "PUT /log-level{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        async move { asked(address, &request).await }
    };
    assert!(put("?for=10m", "info,shop=debug\n").await.1.ends_with("info,shop=debug\n"));
    let back_in = control.level().changes_back_in.unwrap();
    assert!(Duration::from_secs(500) < back_in && back_in <= Duration::from_secs(600));
    for (query, body) in [("", "loud"), ("?for=ever", "debug"), ("", &*"x".repeat(5000))] {
        let (status, answer) = put(query, body).await;
        assert_eq!(status, "400", "{answer}");
    }
    let get = "GET /log-level HTTP/1.1\r\nHost: x\r\nConnection: close";
    assert!(asked(address, get).await.1.ends_with("info,shop=debug\n"));
}
