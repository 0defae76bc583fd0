//! Lines, as machines and as people read them.

use super::*;

fn identity() -> Identity {
    Identity::new("orders", "web", "orders@1.2.3")
}

fn line(style: Style, trace: Option<TraceContext>) -> String {
    let mut buffers = Buffers::default();
    let mut outer = SpanFields::default();
    outer.set(style, "request_id", Value::Text("abc"));
    outer.set(style, "quantity", Value::Signed(9));
    outer.set(style, "message", Value::Text("of the span"));
    outer.set(style, "request_id", Value::Text("abcd"));
    let time = jiff::Timestamp::UNIX_EPOCH;
    let (mut line, _) = Line::begin(&mut buffers, style, time, Level::INFO);
    line.field("message", Value::Text("order \"placed\"\nreally"));
    line.field("level", Value::Text("high"));
    line.field("quantity", Value::Signed(3));
    line.field("api_key", Value::Text("canary"));
    line.span(&outer);
    line.end("orders::web", &identity(), trace);
    buffers.line
}

#[test]
fn the_json_form_is_one_object_on_one_line() {
    let trace =
        TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    assert_eq!(
        line(Style::Json, Some(trace)),
        concat!(
            r#"{"time":"1970-01-01T00:00:00.000000Z","level":"INFO","#,
            r#""message":"order \"placed\"\nreally","level_":"high","quantity":3,"#,
            r#""api_key":"[redacted]","request_id":"abcd","target":"orders::web","#,
            r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","#,
            r#""service":"orders","process":"web","release":"orders@1.2.3"}"#,
            "\n"
        )
    );
}

#[test]
fn the_readable_form_lets_no_control_character_through() {
    let text = line(Style::Plain, None);
    assert_eq!(
        text,
        "00:00:00.000  INFO order \"placed\"\u{fffd}really level=high quantity=3 \
         api_key=[redacted] request_id=abcd\n"
    );
}

#[test]
fn a_line_has_a_bound_and_says_when_it_meets_it() {
    let mut buffers = Buffers::default();
    let text = "\u{1}".repeat(1024);
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let time = jiff::Timestamp::UNIX_EPOCH;
    let (mut line, _) = Line::begin(&mut buffers, Style::Json, time, Level::INFO);
    for name in NAMES {
        line.field(name, Value::Text(&text));
    }
    line.end("t", &identity(), None);
    assert!(buffers.line.len() < 40 * 1024, "{}", buffers.line.len());
    let value: serde_json::Value = serde_json::from_str(&buffers.line).unwrap();
    assert_eq!(value["truncated"], true);
    assert_eq!(value["message"], "");
    assert_eq!(value["service"], "orders");
    assert!(value["a"].is_string() && value["h"].is_null());
}

#[test]
fn the_clock_says_what_the_time_says() {
    let mut clock = Clock::default();
    for (second, nanosecond) in [(0, 1_000), (0, 999_999_999), (1_700_000_000, 5), (59, 120_000)] {
        let time = jiff::Timestamp::new(second, nanosecond).unwrap();
        let mut text = String::new();
        clock.write(time, &mut text);
        assert_eq!(text, format!("{time:.6}"));
    }
}

#[test]
fn who_logs_while_a_line_is_made_gets_buffers_of_their_own() {
    with_buffers(|outer| {
        outer.line.push_str("outer");
        with_buffers(|inner| assert_eq!(inner.line, ""));
        assert_eq!(outer.line, "outer");
    });
}
