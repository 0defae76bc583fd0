//! Canaries: secrets that are logged, sent and set by mistake, looked for in all that comes out.

use rustix::process::Signal;

use crate::collector::{Collector, Mood};
use crate::support::Connection;
use crate::web;

#[test]
fn no_canary_comes_out_in_logs_or_spans() {
    let collector = Collector::start(Mood::Takes);
    let (process, address) = web(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary9"),
        ("LOG_LEVEL", "trace"),
    ]);
    let mut connection = Connection::open(&address).unwrap();
    connection
        .send(
            "GET /secrets?password=canary10&token=canary11 HTTP/1.1\r\nhost: t\r\n\
             authorization: Bearer canary12\r\ncookie: session=canary13\r\n\
             x-api-key: canary14\r\nproxy-authorization: Basic canary15\r\n\r\n",
        )
        .unwrap();
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("canary"), "{}", answer.body);
    drop(connection);
    process.signal(Signal::TERM);
    let (status, lines) = process.end();
    assert!(status.success());

    let text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("canary"), "{text}");
    for kept in ["a request with", "no cache", "paid", "[redacted]", "redis://[redacted]@h:1/0"] {
        assert!(text.contains(kept), "no {kept} in {text}");
    }
    let raw = collector.raw();
    let raw = String::from_utf8_lossy(&raw);
    assert!(!raw.contains("canary"), "{raw}");
    for kept in ["GET /secrets", "no cache", "redis://[redacted]@h:1/0"] {
        assert!(raw.contains(kept), "no {kept} in {raw}");
    }
    assert!(collector.heads().contains("authorization: Bearer canary9"), "it is for the collector");
}
