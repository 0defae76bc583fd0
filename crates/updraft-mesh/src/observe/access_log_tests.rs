//! Lines of the access log are read back, and cost no memory.

use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NAMES: &[&str] = &[
    "time",
    "trace_id",
    "span_id",
    "request_id",
    "from",
    "to",
    "operation",
    "method",
    "path",
    "status",
    "duration_ms",
    "request_bytes",
    "response_bytes",
    "attempts",
    "endpoint",
    "refused",
    "protocol",
];

#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    full: bool,
}

impl EventSink for Lines {
    fn event(&self, line: &str) -> bool {
        self.lines.lock().unwrap().push(line.to_owned());
        !self.full
    }
}

static FROM: LazyLock<Name> = LazyLock::new(|| "cart".parse().unwrap());
static TO: LazyLock<Name> = LazyLock::new(|| "pricing".parse().unwrap());

fn record<'r>() -> AccessRecord<'r> {
    let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    AccessRecord {
        unix_nanos: 1_700_000_000_123_456_789,
        trace: TraceContext::parse(trace).unwrap(),
        request_id: "r-1",
        from: &FROM,
        to: Some(&TO),
        operation: "GET /quotes/{id}",
        method: "GET",
        path: "/quotes/7?token=secret#secret",
        status: Some(200),
        duration: Duration::from_micros(12_034),
        request_bytes: 0,
        response_bytes: 17,
        attempts: 2,
        endpoint: Some("127.0.0.1:9000".parse().unwrap()),
        refused: None,
        protocol: Protocol::Http1,
    }
}

fn json(record: &AccessRecord<'_>) -> Value {
    let mut line = String::new();
    record.write_json(&mut line).unwrap();
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_line_has_exactly_its_fields_in_their_order() {
    let mut line = String::new();
    record().write_json(&mut line).unwrap();
    assert_eq!(
        line,
        r#"{"time":"2023-11-14T22:13:20.123456Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","#
            .to_owned()
            + r#""span_id":"00f067aa0ba902b7","request_id":"r-1","from":"cart","to":"pricing","#
            + r#""operation":"GET /quotes/{id}","method":"GET","path":"/quotes/7","status":200,"#
            + r#""duration_ms":12.034,"request_bytes":0,"response_bytes":17,"attempts":2,"#
            + r#""endpoint":"127.0.0.1:9000","refused":null,"protocol":"http1"}"#
    );
}

#[test]
fn what_is_not_known_is_null_and_still_there() {
    let value = json(&AccessRecord {
        to: None,
        status: None,
        endpoint: None,
        refused: Some(Refused::RateLimited),
        ..record()
    });
    assert_eq!(value["to"], Value::Null);
    assert_eq!(value["status"], Value::Null);
    assert_eq!(value["endpoint"], Value::Null);
    assert_eq!(value["refused"], "rate_limited");
    assert_eq!(value.as_object().unwrap().len(), NAMES.len());
}

#[test]
fn a_line_has_a_bound() {
    let long = "ä".repeat(100_000);
    let value = json(&AccessRecord { method: &long, path: &long, ..record() });
    assert_eq!(value["method"].as_str().unwrap().len(), METHOD_MAX);
    assert_eq!(value["path"].as_str().unwrap().len(), PATH_MAX);
}

#[test]
fn a_line_that_the_sink_loses_is_counted() {
    for full in [false, true] {
        let lines = Arc::new(Lines { full, ..Lines::default() });
        let dropped = Arc::new(AtomicU64::new(0));
        let log = AccessLog::new(Arc::<Lines>::clone(&lines), Arc::clone(&dropped));
        log.write(&record());
        assert_eq!(dropped.load(Ordering::Relaxed), u64::from(full));
        assert_eq!(lines.lines.lock().unwrap().len(), 1);
    }
}

#[test]
fn lines_after_the_first_are_written_without_an_allocation() {
    struct Nothing;
    impl EventSink for Nothing {
        fn event(&self, line: &str) -> bool {
            !line.is_empty()
        }
    }
    let log = AccessLog::new(Arc::new(Nothing), Arc::default());
    let record = record();
    log.write(&record);
    let info = allocation_counter::measure(|| log.write(&record));
    assert_eq!(info.count_total, 0);
}

proptest! {
    #[test]
    fn any_text_is_read_back_as_it_was_and_no_query_is_told(
        path in "/[^?#]{0,60}",
        query in "[a-z]{8}",
        id in ".{0,40}",
        operation in any::<String>(),
    ) {
        let full = format!("{path}?{query}={query}");
        let value = json(&AccessRecord {
            path: &full,
            request_id: &id,
            operation: &operation,
            ..record()
        });
        prop_assert_eq!(value["path"].as_str().unwrap(), path);
        prop_assert_eq!(value["request_id"].as_str().unwrap(), id);
        prop_assert_eq!(value["operation"].as_str().unwrap(), operation);
        let names: Vec<&String> = value.as_object().unwrap().keys().collect();
        prop_assert_eq!(names.len(), NAMES.len());
        prop_assert!(NAMES.iter().all(|name| value.get(name).is_some()));
    }

    #[test]
    fn any_time_and_duration_is_valid(unix_nanos: u64, micros: u64) {
        let value = json(&AccessRecord {
            unix_nanos,
            duration: Duration::from_micros(micros),
            ..record()
        });
        let time: Timestamp = value["time"].as_str().unwrap().parse().unwrap();
        prop_assert_eq!(time.as_nanosecond(), i128::from(unix_nanos / 1000 * 1000));
        let told = value["duration_ms"].as_f64().unwrap();
        prop_assert!((told - micros as f64 / 1000.0).abs() <= told * 1e-12);
    }
}
