//! One trace through caller, service, call, second service and job, with the right parents; and
//! the same ids in the logs, whether anything is exported or not.

use rustix::process::Signal;
use serde_json::Value;

use crate::collector::{Collector, Mood, Received, find, text};
use crate::support::{Answer, Connection, Process, get};
use crate::{command, listening, web};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn get_traced(address: &str, path: &str, traceparent: &str) -> Answer {
    let mut connection = Connection::open(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: t\r\ntraceparent: {traceparent}\r\n\r\n");
    connection.send(&head).unwrap();
    connection.answer().unwrap()
}

fn line<'l>(lines: &'l [Value], message: &str) -> &'l Value {
    let found = lines.iter().find(|line| line["message"] == message);
    found.unwrap_or_else(|| panic!("no {message} in {lines:#?}"))
}

fn ended(process: Process) -> Vec<Value> {
    process.signal(Signal::TERM);
    let (status, lines) = process.end();
    assert!(status.success(), "{lines:#?}");
    lines
}

/// The lines of both processes after a request through the chain.
fn run_chain(otlp: &[(&str, &str)], traceparent: &str) -> (Vec<Value>, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}/t.db", folder.path().display());
    let mut leaf = otlp.to_vec();
    leaf.push(("OTEL_SERVICE_NAME", "second"));
    let (mut second, address) = web(&leaf);
    let next = format!("http://{address}");
    let mut first = otlp.to_vec();
    let jobs = format!("{db}?queue=later");
    first.extend([("OTEL_SERVICE_NAME", "first"), ("DB_URL", &db), ("JOBS_URL", &jobs)]);
    first.push(("NEXT_URL", &next));
    let migrated = command("migrate", &first).output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stdout));
    let mut all = command("all", &first);
    all.env("PORT", "0");
    let (mut first, address) = listening(all);
    assert_eq!(get_traced(&address, "/chain", traceparent).status, 200);
    first.wait_for("later");
    second.wait_for("leaf");
    second.wait_for("leaf");
    (ended(first), ended(second))
}

#[test]
fn one_trace_goes_from_the_caller_through_services_and_jobs() {
    let collector = Collector::start(Mood::Takes);
    let otlp = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    let (first, second) = run_chain(&otlp, &format!("00-{TRACE}-{SPAN}-01"));

    // What had ended was flushed before the exit.
    let spans = collector.spans();
    let spans: Vec<Received> = spans.into_iter().filter(|it| it.trace_id() == TRACE).collect();
    assert_eq!(spans.len(), 7, "{spans:#?}");
    let request = find(&spans, "first", "GET /chain");
    assert_eq!((request.parent().as_str(), request.span.kind), (SPAN, 2));
    let thought = find(&spans, "first", "think");
    assert_eq!((thought.parent(), thought.span.kind), (request.span_id(), 1));
    assert_eq!(thought.text("topic").as_deref(), Some("tea"));
    let job = find(&spans, "first", "process later");
    assert_eq!((job.parent(), job.span.kind), (request.span_id(), 5));
    let calls: Vec<_> = spans.iter().filter(|it| it.span.kind == 3).collect();
    let leaves: Vec<_> = spans.iter().filter(|it| it.service == "second").collect();
    for caller in [request, job] {
        let call = calls.iter().find(|it| it.parent() == caller.span_id()).expect("a call");
        let leaf = leaves.iter().find(|it| it.parent() == call.span_id()).expect("a leaf");
        assert_eq!((leaf.span.name.as_str(), leaf.span.kind), ("GET /leaf", 2));
        assert!(call.span.start_time_unix_nano <= call.span.end_time_unix_nano);
    }
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/chain"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(request.text(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(request.text("url.path"), None);

    for (lines, message, span) in [
        (&first, "chain", request.span_id()),
        (&first, "thinking", thought.span_id()),
        (&first, "request", request.span_id()),
        (&first, "later", job.span_id()),
    ] {
        let line = line(lines, message);
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(line["span_id"], span, "{line}");
    }
    assert!(leaves.iter().any(|leaf| line(&second, "leaf")["span_id"] == leaf.span_id()));
    assert_eq!(line(&second, "leaf")["trace_id"], TRACE);
    assert!(line(&first, "ready")["trace_id"].is_null(), "it belongs to no request");
}

#[test]
fn without_a_collector_the_logs_of_all_services_have_the_same_trace() {
    let (first, second) = run_chain(&[], &format!("00-{TRACE}-{SPAN}-01"));
    let request = line(&first, "chain")["span_id"].as_str().unwrap();
    assert_ne!(request, SPAN);
    for (lines, message) in [
        (&first, "chain"),
        (&first, "thinking"),
        (&first, "request"),
        (&first, "later"),
        (&second, "leaf"),
        (&second, "request"),
    ] {
        let line = line(lines, message);
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    }
    assert_eq!(line(&first, "thinking")["span_id"], request);
    assert_ne!(line(&first, "later")["span_id"], request);
}

#[test]
fn a_trace_that_the_caller_does_not_record_is_followed_and_not_exported() {
    let collector = Collector::start(Mood::Takes);
    let otlp = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    let (first, _) = run_chain(&otlp, &format!("00-{TRACE}-{SPAN}-00"));
    assert_eq!(line(&first, "later")["trace_id"], TRACE);
    assert!(collector.spans().iter().all(|it| it.trace_id() != TRACE), "{:?}", collector.spans());
}

#[test]
fn traces_that_begin_here_are_recorded_as_the_sampler_says() {
    for (sampler, exported) in
        [("always_on", true), ("parentbased_always_on", true), ("parentbased_always_off", false)]
    {
        let collector = Collector::start(Mood::Takes);
        let (mut process, address) = web(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &collector.url),
            ("OTEL_TRACES_SAMPLER", sampler),
        ]);
        for path in ["/items/7", "/nowhere", "/livez"] {
            get(&address, path);
        }
        let id = process.wait_for("leaf")["trace_id"].as_str().unwrap().to_owned();
        ended(process);
        let names: Vec<String> = collector.spans().iter().map(|it| it.span.name.clone()).collect();
        match exported {
            // A probe is nobody's request, and a path that is no route names nothing.
            true => assert_eq!(names, ["GET /items/{id}", "GET"], "{sampler}"),
            false => assert!(names.is_empty(), "{sampler}: {names:?}"),
        }
        let of_line = collector.spans().iter().any(|it| it.trace_id() == id);
        assert_eq!(of_line, exported);
    }
}

#[test]
fn failures_are_told_and_the_service_says_who_it_is() {
    let collector = Collector::start(Mood::Takes);
    let (process, address) = web(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue%20one"),
        ("OTEL_RESOURCE_ATTRIBUTES", "region=eu"),
    ]);
    assert_eq!(get(&address, "/secrets?password=x").status, 500);
    ended(process);
    let spans = collector.spans();
    let failed = find(&spans, "updraft", "GET /secrets");
    assert_eq!(failed.span.status.as_ref().unwrap().code, 2);
    assert_eq!(failed.text("error.type").as_deref(), Some("500"));
    for (name, value) in [("region", "eu"), ("service.version", env!("CARGO_PKG_VERSION"))] {
        assert_eq!(text(&failed.resource, name).as_deref(), Some(value));
    }
    assert!(text(&failed.resource, "service.instance.id").is_some());
    assert!(collector.heads().contains("x-tenant: blue one\r\n"), "{}", collector.heads());
    assert!(collector.heads().starts_with("POST /v1/traces HTTP/1.1\r\n"));
}
