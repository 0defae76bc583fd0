//! A collector that is away, refuses or stalls: the service does not feel it, says so once, and
//! ends in time, on one core too.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::collector::{Collector, Mood};
use crate::support::{Connection, Process};
use crate::{command, listening, web};

/// More requests than the queue of spans has room for.
fn many_requests(address: &str, count: usize) {
    let mut connection = Connection::open(address).unwrap();
    for _ in 0..count {
        assert_eq!(connection.get("/leaf").unwrap().status, 200);
    }
}

fn ended(process: Process, within: Duration) -> Vec<Value> {
    let asked = Instant::now();
    process.signal(Signal::TERM);
    let (status, lines) = process.end();
    assert!(status.success(), "{lines:#?}");
    assert!(asked.elapsed() < within, "{:?}", asked.elapsed());
    lines
}

fn count(lines: &[Value], message: &str) -> usize {
    let begins = |line: &&Value| line["message"].as_str().unwrap().starts_with(message);
    lines.iter().filter(begins).count()
}

#[test]
fn a_collector_that_refuses_is_told_of_once_and_taken_up_again() {
    let collector = Collector::start(Mood::Refuses);
    let (mut process, address) = web(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    for messages in 1..=3 {
        many_requests(&address, 1);
        collector.wait_for_requests(messages);
    }
    process.wait_for("spans are not exported");
    collector.turn(Mood::Takes);
    many_requests(&address, 1);
    let again = process.wait_for("spans are exported again");
    assert!(3 <= again["lost"].as_u64().unwrap(), "{again}");
    collector.wait_for("a span", |spans| !spans.is_empty());
    let lines = ended(process, Duration::from_secs(20));
    assert_eq!(count(&lines, "spans are not exported"), 1);
}

#[test]
fn a_collector_that_is_away_is_not_felt() {
    let (process, address) = web(&[
        // Nobody can listen on the discard port of this machine but its owner.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("LOG_LEVEL", "warn,updraft::web=info,updraft::process=info"),
    ]);
    many_requests(&address, 3000);
    let lines = ended(process, Duration::from_secs(20));
    assert!(count(&lines, "spans are not exported") <= 1, "{lines:#?}");
}

#[test]
fn a_stalled_collector_holds_up_neither_requests_nor_the_exit_on_one_core() {
    let collector = Collector::start(Mood::Stalls);
    let of_service = command("web", &[]);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(of_service.get_program()).arg("web").env_clear().envs([
        ("PORT", "0"),
        ("DRAIN_DELAY", "0s"),
        ("SHUTDOWN_GRACE", "3s"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url),
        ("LOG_LEVEL", "info"),
        ("PATH", "/usr/bin:/bin"),
    ]);
    let (process, address) = listening(pinned);
    many_requests(&address, 100);
    collector.wait_for_requests(1);
    many_requests(&address, 3000);
    let lines = ended(process, Duration::from_secs(10));
    let at = |message: &str| -> jiff::Timestamp {
        let line = lines.iter().find(|line| line["message"] == message).expect(message);
        line["time"].as_str().unwrap().parse().unwrap()
    };
    let took = at("stopped").duration_since(at("stopping"));
    assert!(took < jiff::SignedDuration::from_secs(3), "{took}");
    assert_eq!(count(&lines, "the last spans were not exported"), 1, "{lines:#?}");
    assert_eq!(count(&lines, "stopped"), 1);
}
