//! The short way says what the event would have said, to the byte.

use proptest::prelude::*;
use tracing_subscriber::layer::SubscriberExt;

use super::super::Directives;
use super::*;
use crate::config::Variable as _;
use crate::log::Logs;

fn identity() -> Identity {
    Identity::new("orders", "web", "1.2.3+ab")
}

fn kept(id: &str) -> RequestId {
    let headers = [(http::HeaderName::from_static("x-request-id"), id.parse().unwrap())];
    RequestId::kept(&headers.into_iter().collect(), true).unwrap()
}

/// The line as an event of these values within the span of the request makes it.
fn by_event(request: &AnsweredRequest<'_>, (method, route, status): (&str, &str, u16)) -> String {
    let (_logs, layer, lines) = Logs::kept(identity(), Directives::default(), 0);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let id = request.id.as_str();
        let _inside = tracing::info_span!("request", request_id = id).entered();
        let duration_ms = request.took.as_micros() as f64 / 1000.0;
        let bytes = request.bytes;
        tracing::info!(target: REQUESTS, method, route, status, duration_ms, bytes, "request");
    });
    lines.all().concat()
}

fn by_short_way(request: &AnsweredRequest<'_>) -> String {
    let mut buffers = Buffers::default();
    request.line(jiff::Timestamp::now(), &identity(), &mut buffers);
    String::from_utf8(buffers.access).unwrap()
}

/// Without its time, and without the ids of the trace, which has no layer here.
fn comparable(line: &str) -> String {
    let mut line = line.to_owned();
    for name in ["\"time\":\"", ",\"trace_id\":\"", ",\"span_id\":\""] {
        if let Some(at) = line.find(name) {
            let end = line[at + name.len()..].find('"').unwrap() + at + name.len();
            line.replace_range(at..=end, "");
        }
    }
    line
}

proptest! {
    #[test]
    fn the_short_way_and_the_event_make_the_same_line(
        method in prop::sample::select(vec!["GET", "POST", "PATCH", "BREW", "A|B", "X#TOKEN"]),
        route in prop::sample::select(vec!["/", "/items/{id}", "/a\"b\\c", "/ä/{*rest}", "/x?token=1"]),
        id in prop::sample::select(vec!["0194f1c2-7b3a-7c00-8000-0123456789ab", "token=abc", "a:b/c+d"]),
        status in 100_u16..=999,
        micros in prop_oneof![0_u64..3_000_000, any::<u32>().prop_map(u64::from)],
        bytes in any::<u64>(),
    ) {
        let (kind, id) = (RequestKind::new(method, route, status), kept(id));
        let trace = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let request = AnsweredRequest {
            kind: &kind,
            took: Duration::from_micros(micros),
            bytes,
            id: &id,
            trace: trace.unwrap(),
        };
        let (event, short) = (by_event(&request, (method, route, status)), by_short_way(&request));
        prop_assert_eq!(comparable(&event), comparable(&short));
        let read: serde_json::Value = serde_json::from_str(&short).unwrap();
        prop_assert_eq!(&read["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        prop_assert_eq!(&read["span_id"], "00f067aa0ba902b7");
        prop_assert_eq!(read["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), true);
    }
}

#[test]
fn requests_are_logged_as_long_as_the_level_says_so() {
    let (logs, layer, lines) = Logs::kept(identity(), Directives::parse("info").unwrap(), 0);
    let access = layer.access(logs.control()).unwrap();
    let (kind, id) = (RequestKind::new("GET", "/", 200), kept("r-1"));
    let trace = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let write = || {
        access.write(&AnsweredRequest {
            kind: &kind,
            took: Duration::ZERO,
            bytes: 0,
            id: &id,
            trace: trace.unwrap(),
        });
        lines.all().len()
    };
    assert_eq!(write(), 1);
    logs.control().set("info,updraft::request=warn", Duration::from_secs(60)).unwrap();
    let quiet = lines.all().len();
    assert_eq!(write(), quiet);
    logs.control().reset();
    let loud = lines.all().len();
    assert_eq!(write(), loud + 1);
}
