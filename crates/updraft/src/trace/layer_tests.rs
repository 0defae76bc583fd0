//! Spans of a service, as they come out at the other end.

use tokio::sync::mpsc::Receiver;
use tracing_subscriber::layer::SubscriberExt;
use updraft_trace::RequestId;

use super::super::{RequestSpan, current, current_traceparent, inject, job, root, work};
use super::*;
use crate::trace::record::{Attribute, Status};
use crate::trace::{CallSpan, TraceId};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ALL: Sampler = Sampler { share: Sampling::ALL, parent_based: true };
const NONE: Sampler = Sampler { share: Sampling::NONE, parent_based: true };

/// Runs with spans that are exported, and gives those that ended.
fn exported(sampler: Sampler, work: impl FnOnce()) -> Vec<FinishedSpan> {
    let (queue, mut spans) = SpanQueue::of_test(64);
    within(sampler, Some(queue), work);
    drain(&mut spans)
}

fn within(sampler: Sampler, queue: Option<SpanQueue>, work: impl FnOnce()) {
    let layer = SpanLayer::new(sampler, queue);
    let filter = layer.filter();
    let subscriber = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .with(KeepsEntries.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, work);
}

/// Stands for the layer of the log, for which requests and jobs are spans in any case.
struct KeepsEntries;

impl
    Layer<
        tracing_subscriber::layer::Layered<
            tracing_subscriber::filter::Filtered<SpanLayer, SpanFilter, Registry>,
            Registry,
        >,
    > for KeepsEntries
{
}

fn drain(spans: &mut Receiver<FinishedSpan>) -> Vec<FinishedSpan> {
    std::iter::from_fn(|| spans.try_recv().ok()).collect()
}

fn request(traceparent: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::new(());
    request.headers_mut().insert("x-request-id", "r-1".parse().unwrap());
    if let Some(traceparent) = traceparent {
        request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
        request.headers_mut().insert("tracestate", "a=1".parse().unwrap());
    }
    request
}

fn begin(traceparent: Option<&str>) -> RequestSpan {
    let request = request(traceparent);
    let id = RequestId::kept(request.headers(), true).unwrap();
    RequestSpan::begin(&request, traceparent.is_some(), &id, None)
}

fn named<'s>(spans: &'s [FinishedSpan], name: &str) -> &'s FinishedSpan {
    let found = spans.iter().find(|span| span.record.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

fn trace_id() -> TraceId {
    current().expect("a trace").trace_id
}

#[test]
fn spans_inside_of_a_request_are_its_children_also_through_spans_that_are_not_exported() {
    let spans = exported(ALL, || {
        let request = begin(Some(CALLER));
        request.made().unwrap().in_scope(|| {
            tracing::debug_span!("detail").in_scope(|| {
                tracing::info_span!("child", n = 3).in_scope(|| {
                    tracing::info_span!("grandchild", otel.name = "renamed").in_scope(|| {});
                });
            });
        });
        request.ended(&http::Method::GET, Some("/x/{id}"), Some(200));
    });
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let server = named(&spans, "GET /x/{id}");
    let child = named(&spans, "child");
    assert_eq!(server.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(child.parent, Some(server.context.span_id));
    assert_eq!(named(&spans, "renamed").parent, Some(child.context.span_id));
    assert_eq!(child.record.attributes.list, [("n", Attribute::Int(3))]);
    for span in &spans {
        assert_eq!(span.context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.state.as_ref().unwrap(), "a=1");
        assert!(span.record.start_nanos <= span.end_nanos);
    }
}

#[test]
fn work_that_outlives_its_request_does_not_make_the_request_longer() {
    let mut ended = 0;
    let spans = exported(ALL, || {
        let request = begin(None);
        let child = request.made().unwrap().in_scope(|| tracing::info_span!("later"));
        request.ended(&http::Method::GET, None, Some(200));
        recorded(request.made().unwrap(), |record| ended = record.now());
        drop(request);
        drop(child);
    });
    assert!(named(&spans, "GET").end_nanos <= ended);
}

#[test]
fn what_is_not_sampled_is_followed_and_costs_no_record() {
    let not_sampled = CALLER.replace("-01", "-00");
    let spans = exported(ALL, || {
        let request = begin(Some(&not_sampled));
        request.made().unwrap().in_scope(|| {
            tracing::info_span!("child").in_scope(|| {
                let mut headers = http::HeaderMap::new();
                inject(&mut headers);
                let sent = headers["traceparent"].to_str().unwrap();
                assert!(sent.starts_with(&not_sampled[..36]) && sent.ends_with("-00"), "{sent}");
                assert_eq!(headers["tracestate"], "a=1");
                let call = CallSpan::begin(&http::Method::GET, &"http://h/".parse().unwrap());
                call.inject(&mut headers);
                assert_eq!(headers["traceparent"], sent_of(&headers));
            });
        });
        request.ended(&http::Method::GET, None, Some(200));
    });
    assert!(spans.is_empty(), "{spans:#?}");
}

fn sent_of(headers: &http::HeaderMap) -> String {
    assert_eq!(headers.get_all("traceparent").iter().count(), 1);
    current_traceparent().unwrap()
}

#[test]
fn with_nothing_exported_there_are_ids_and_no_records() {
    within(ALL, None, || {
        let request = begin(None);
        request.made().unwrap().in_scope(|| {
            let outer = current_traceparent().unwrap();
            tracing::info_span!("child").in_scope(|| {
                assert_eq!(current_traceparent().as_deref(), Some(outer.as_str()));
            });
            recorded(request.made().unwrap(), |_| panic!("nobody asked for a record"));
        });
        assert!(current().is_none());
    });
}

#[test]
fn a_sampler_that_asks_no_parent_decides_for_all() {
    let never = Sampler { parent_based: false, ..NONE };
    let always = Sampler { parent_based: false, ..ALL };
    let not_sampled = CALLER.replace("-01", "-00");
    for (sampler, caller, count) in [
        (ALL, CALLER, 1),
        (NONE, CALLER, 1),
        (ALL, &*not_sampled, 0),
        (never, CALLER, 0),
        (always, &*not_sampled, 1),
    ] {
        let spans = exported(sampler, || drop(begin(Some(caller))));
        assert_eq!(spans.len(), count, "{sampler:?} {caller}");
        let spans = exported(sampler, || drop(job("q", "k", "1", Some(caller))));
        assert_eq!(spans.len(), count, "{sampler:?} {caller}");
    }
}

#[test]
fn jobs_go_on_with_a_trace_and_tasks_begin_one() {
    let mut ids = Vec::new();
    let spans = exported(ALL, || {
        job("mail", "remind", "7", Some(CALLER)).in_scope(|| ids.push(trace_id()));
        job("mail", "orphan", "8", Some("nonsense")).in_scope(|| ids.push(trace_id()));
        root("task", "sweep").in_scope(|| ids.push(trace_id()));
    });
    let job = named(&spans, "process remind");
    assert_eq!(job.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(named(&spans, "process orphan").parent, None);
    assert_eq!(named(&spans, "task sweep").parent, None);
    assert_eq!(ids[0].to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let exported: Vec<_> = spans.iter().map(|span| span.context.trace_id).collect();
    assert_eq!(exported, ids);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn events_links_and_failures_are_part_of_a_span() {
    let spans = exported(ALL, || {
        let other = tracing::info_span!("other");
        let span = tracing::info_span!("span", late = tracing::field::Empty);
        span.follows_from(&other);
        span.record("late", 5);
        span.in_scope(|| {
            tracing::info!("too small");
            tracing::warn!(why = "rain", "slow");
            tracing::error!(error = "boom", "failed");
        });
    });
    let span = named(&spans, "span");
    let events: Vec<_> = span.record.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["slow", "failed"]);
    assert!(span.record.events[0].attributes.list.contains(&("why", "rain".into())));
    assert_eq!(span.record.links, [named(&spans, "other").context]);
    assert_eq!(span.record.attributes.list, [("late", Attribute::Int(5))]);
    assert_eq!(span.record.status, Status::Error("boom".to_owned()));
    assert_eq!(named(&spans, "other").record.status, Status::Unset);
}

#[test]
fn a_call_is_a_span_between_its_caller_and_what_is_called() {
    let mut headers = http::HeaderMap::new();
    let spans = exported(ALL, || {
        root("task", "t").in_scope(|| {
            let uri = "http://orders:8080/secret?token=x".parse().unwrap();
            let call = CallSpan::begin(&http::Method::POST, &uri);
            call.inject(&mut headers);
            call.answered(503);
        });
    });
    let call = named(&spans, "POST");
    assert_eq!(call.parent, Some(named(&spans, "task t").context.span_id));
    assert_eq!(headers["traceparent"].as_bytes(), call.context.format());
    assert!(!format!("{:?}", call.record.attributes).contains("secret"));
    for attribute in [
        ("server.address", "orders".into()),
        ("server.port", Attribute::Int(8080)),
        ("http.response.status_code", Attribute::Int(503)),
        ("error.type", "503".into()),
    ] {
        assert!(call.record.attributes.list.contains(&attribute), "{attribute:?}");
    }
}

#[test]
fn a_full_queue_loses_spans_counts_them_and_waits_for_nobody() {
    let (queue, mut spans) = SpanQueue::of_test(2);
    within(ALL, Some(queue.clone()), || {
        for _ in 0..5 {
            drop(tracing::info_span!("span"));
        }
    });
    assert_eq!((drain(&mut spans).len(), queue.lost()), (2, 3));
}

#[test]
fn ids_of_threads_are_not_the_same() {
    let draw = || with_random(|random| random.u64(..));
    let mut ids: Vec<u64> = (0..64).map(|_| std::thread::spawn(draw).join().unwrap()).collect();
    ids.extend([draw(), draw()]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 66);
}

#[test]
fn a_span_ends_with_its_work_whoever_still_holds_it_and_once() {
    let (queue, mut spans) = SpanQueue::of_test(64);
    within(ALL, Some(queue), || {
        let mut held = None;
        let span = job("mail", "note", "1", None);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(work::within(span, async { held = Some(Span::current()) }));
        let ended = drain(&mut spans);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].record.name, "process note");
        // What begins inside of it later is still of its trace.
        let inside = held.as_ref().unwrap().in_scope(|| tracing::info_span!("late"));
        drop(inside);
        assert_eq!(drain(&mut spans)[0].context.trace_id, ended[0].context.trace_id);
    });
    assert_eq!(drain(&mut spans).len(), 0);
}
