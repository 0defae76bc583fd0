//! The end of a process: nothing in hand is lost, and nothing can hold the exit.

use std::time::{Duration, Instant};

use crate::support::{Connection, Process, get};
use rustix::process::Signal;

#[test]
fn a_request_in_flight_outlives_the_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut process, address) = Process::web(&[("LOG_LEVEL", "debug")]);
        let mut connection = Connection::open(&address).unwrap();
        connection.send("GET /slow?ms=700 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        process.wait_for("slow work begins");
        process.signal(signal);
        process.wait_for("stopping");
        let answer = connection.answer().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "slow"));
        assert!(answer.closes(), "{}", answer.head);
        let (status, _) = process.end();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn the_process_is_unready_and_alive_and_serves_until_the_delay_is_over() {
    let (mut process, address) = Process::web(&[("DRAIN_DELAY", "1s")]);
    assert_eq!(get(&address, "/readyz").status, 200);
    assert_eq!(get(&address, "/health/ready").status, 200);
    let began = Instant::now();
    process.signal(Signal::TERM);
    process.wait_for("stopping");
    let ready = get(&address, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "draining\n"));
    for path in ["/livez", "/health/live", "/"] {
        let answer = get(&address, path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.closes(), "{path}");
    }
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(0));
    assert!(Duration::from_secs(1) <= began.elapsed());
}

#[test]
fn idle_connections_and_half_a_header_hold_nothing_up() {
    let (process, address) = Process::web(&[("SHUTDOWN_GRACE", "20s")]);
    let mut idle = Connection::open(&address).unwrap();
    assert_eq!(idle.get("/").unwrap().status, 200);
    let mut silent = Connection::open(&address).unwrap();
    let mut half = Connection::open(&address).unwrap();
    half.send("GET / HTTP/1.1\r\nHost: te").unwrap();
    let mut preface = Connection::open(&address).unwrap();
    preface.send("PRI * HT").unwrap();
    let mut second_half = Connection::open(&address).unwrap();
    assert_eq!(second_half.get("/").unwrap().status, 200);
    second_half.send("GET / HTTP/1.1\r\n").unwrap();

    let began = Instant::now();
    process.signal(Signal::TERM);
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for connection in [&mut idle, &mut silent, &mut half, &mut preface, &mut second_half] {
        assert_eq!(connection.rest(), "");
    }
}

#[test]
fn a_second_signal_forces_the_exit() {
    let (mut process, address) = Process::web(&[("LOG_LEVEL", "debug")]);
    let mut connection = Connection::open(&address).unwrap();
    connection.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    process.wait_for("slow work begins");
    process.signal(Signal::INT);
    process.wait_for("stopping");
    process.signal(Signal::INT);
    let cut = process.wait_for("work was cut off");
    assert!(cut["message"].as_str().unwrap().contains("second signal"), "{cut}");
    assert_eq!(cut["requests"], 1);
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn the_budget_is_kept_and_what_was_cut_is_said() {
    let (mut process, address) =
        Process::web(&[("SHUTDOWN_GRACE", "300ms"), ("LOG_LEVEL", "debug")]);
    let mut connection = Connection::open(&address).unwrap();
    connection.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    process.wait_for("slow work begins");
    process.signal(Signal::TERM);
    let cut = process.wait_for("work was cut off");
    assert_eq!(cut["requests"], 1);
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn connections_on_their_way_are_answered_when_the_listener_closes() {
    let (process, address) = Process::web(&[]);
    // More than are accepted in one go; their requests are sent before the signal.
    let mut connections: Vec<_> = (0..200)
        .map(|_| {
            let mut connection = Connection::open(&address).unwrap();
            connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
            connection
        })
        .collect();
    process.signal(Signal::TERM);
    for connection in &mut connections {
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn a_component_that_ends_takes_the_process_down() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}/db.sqlite3", folder.path().display());
    let jobs = format!("{db}?queue=jobs");
    let variables = [("DB_URL", db.as_str()), ("JOBS_URL", jobs.as_str())];
    assert!(Process::start("migrate", &variables).end().0.success());
    for (doom, message) in [
        ("fails", "a background component died"),
        ("panics", "a background component died"),
        ("ends", "a background component ended unasked"),
    ] {
        let variables = [&variables[..], &[("DOOM", doom)]].concat();
        let (status, lines) = Process::start("worker", &variables).end();
        assert_eq!(status.code(), Some(1), "{doom}");
        let said = lines.iter().any(|line| line["message"] == message);
        assert!(said, "{doom}: {lines:#?}");
    }
}
