//! A request without a span looks from within like one that has one.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request};
use tracing::Span;
use updraft_trace::{RequestId, Sampling};

use super::*;
use crate::config::Variable as _;
use crate::log::{Directives, Identity, Logs};
use crate::telemetry::subscriber;
use crate::trace::export::SpanQueue;
use crate::trace::{RequestSpan, SpanLayer, current, inject};
use crate::web::Peer;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Runs within the subscriber of a process with a log of this level that exports spans or not.
/// Gives the lines of the log, and how many spans were exported.
fn within(level: &str, exports: bool, work: impl FnOnce()) -> (Vec<serde_json::Value>, usize) {
    let directives = Directives::parse(level).unwrap();
    let (logs, events, lines) = Logs::kept(Identity::new("s", "p", "r"), directives, 0);
    let (queue, mut spans) = SpanQueue::of_test(64);
    let sampler = Sampler { share: Sampling::ALL, parent_based: true };
    let spans_layer = SpanLayer::new(sampler, exports.then_some(queue));
    let subscriber = subscriber(spans_layer, events, logs.control());
    tracing::subscriber::with_default(subscriber, work);
    let read = |line: &String| serde_json::from_str(line).unwrap();
    let exported = std::iter::from_fn(|| spans.try_recv().ok()).count();
    (lines.all().iter().map(read).collect(), exported)
}

/// A request whose caller records its trace (`01`), or does not (`00`).
fn hand(flags: &str) -> Arc<InHand> {
    let mut request = Request::new(());
    let parent = HeaderValue::try_from(format!("00-{TRACE}-{CALLER}-{flags}")).unwrap();
    request.headers_mut().insert("traceparent", parent);
    request.headers_mut().insert("tracestate", HeaderValue::from_static("a=1"));
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("r-1"));
    let id = RequestId::kept(request.headers(), true).unwrap();
    let span = RequestSpan::begin(&request, true, &id, None);
    Arc::new(InHand::new(id, span, Peer::default()))
}

#[test]
fn what_is_quiet_gets_no_span_and_knows_its_trace() {
    let (lines, exported) = within("info", true, || {
        let hand = hand("00");
        let entered = hand.enter();
        tracing::debug!("nobody wants this");
        let here = current().unwrap();
        assert_eq!(Some(here), hand.span().context());
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert_eq!(headers["traceparent"].as_bytes(), here.format());
        assert_eq!(headers["tracestate"], "a=1");
        assert!(InHand::without_span().is_some());
        drop(entered);
        assert!(InHand::current(|_| ()).is_none());
    });
    assert_eq!((lines.len(), exported), (0, 0));
}

#[test]
fn an_event_has_the_ids_of_its_request_in_each_poll_and_none_outside() {
    for exports in [false, true] {
        let (lines, exported) = within("info", exports, || {
            let hand = hand("00");
            for poll in 0..2 {
                let _entered = hand.enter();
                tracing::info!(poll, "inside");
                assert!(InHand::without_span().is_none());
                assert_eq!(current(), hand.span().context());
            }
            tracing::info!("outside");
            assert_eq!(current(), None);
            let _entered = hand.enter();
            tracing::warn!("inside again");
        });
        assert_eq!((lines.len(), exported), (4, 0));
        for line in lines.iter().filter(|line| line["message"] != "outside") {
            assert_eq!((&line["request_id"], &line["trace_id"]), (&"r-1".into(), &TRACE.into()));
        }
        assert_eq!(lines[2]["trace_id"], serde_json::Value::Null);
        assert_eq!(lines[2]["request_id"], serde_json::Value::Null);
    }
}

#[test]
fn a_span_of_the_handler_is_within_that_of_the_request_and_starts_no_trace() {
    for exports in [false, true] {
        let (lines, exported) = within("info", exports, || {
            let hand = hand("00");
            let _entered = hand.enter();
            tracing::info_span!("inner", step = 3).in_scope(|| {
                tracing::info!("inside");
                assert_eq!(current(), hand.span().context());
            });
        });
        assert_eq!(exported, 0);
        assert_eq!((&lines[0]["step"], &lines[0]["request_id"]), (&3.into(), &"r-1".into()));
    }
    // The same when an event comes first, which the filter of exported spans does not let through.
    let (_, exported) = within("info", true, || {
        let hand = hand("00");
        let _entered = hand.enter();
        tracing::info!("first");
        tracing::info_span!("inner").in_scope(|| assert_eq!(current(), hand.span().context()));
    });
    assert_eq!(exported, 0);
}

#[test]
fn the_span_that_is_asked_for_is_that_of_the_request_also_on_another_thread() {
    let (lines, _) = within("info", false, || {
        let hand = hand("00");
        let entered = hand.enter();
        let span = Span::current();
        assert!(!span.is_disabled());
        tracing::info!("here");
        drop(entered);
        let dispatch = dispatcher::get_default(Clone::clone);
        let other = std::thread::spawn(move || {
            dispatcher::with_default(&dispatch, || span.in_scope(|| tracing::info!("there")));
        });
        other.join().unwrap();
        let _entered = hand.enter();
        tracing::info!("here again");
    });
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!((&line["request_id"], &line["trace_id"]), (&"r-1".into(), &TRACE.into()));
    }
    assert_eq!(lines[0]["span_id"], lines[1]["span_id"]);
}

#[test]
fn a_span_from_elsewhere_is_entered_within_the_request() {
    let (lines, _) = within("info", false, || {
        let elsewhere = tracing::info_span!("elsewhere", place = "far");
        let hand = hand("00");
        let _entered = hand.enter();
        let inside = elsewhere.enter();
        tracing::info!("in both");
        drop(inside);
        tracing::info!("in the request");
    });
    assert_eq!(lines[0]["place"], "far");
    assert_eq!(lines[1]["request_id"], "r-1");
    assert_eq!(lines[1]["place"], serde_json::Value::Null);
}

#[test]
fn what_the_level_keeps_out_stays_out_when_an_event_makes_the_span() {
    let (lines, exported) = within("off", true, || {
        let hand = hand("00");
        let _entered = hand.enter();
        tracing::error!("of interest to the exporter alone");
    });
    assert_eq!((lines.len(), exported), (0, 0));
}

#[test]
fn a_recorded_request_has_its_span_at_once_and_is_exported() {
    let (lines, exported) = within("info", true, || {
        let hand = hand("01");
        let _entered = hand.enter();
        assert!(InHand::without_span().is_none());
        tracing::info!("inside");
        hand.span().ended(&http::Method::GET, Some("/x"), Some(200));
    });
    assert_eq!(exported, 1);
    assert_eq!(lines[0]["request_id"], "r-1");
}

#[test]
fn a_request_within_a_request_is_the_one_in_hand_until_it_is_left() {
    let (lines, _) = within("info", false, || {
        let (outer, inner) = (hand("00"), hand("00"));
        let entered = outer.enter();
        let within = inner.enter();
        tracing::info!("inner");
        drop(within);
        tracing::info!("outer");
        drop(entered);
    });
    assert_ne!(lines[0]["span_id"], lines[1]["span_id"]);
}
