//! A process that is stuck says so, and one that is only slow does not.

use std::time::{Duration, Instant};

use crate::support::{Patient, get, wait_until};
use rustix::process::Signal;

#[test]
fn a_blocked_runtime_is_not_alive_until_it_runs_again() {
    let mut patient = Patient::web(&[("WATCHDOG_INTERVAL", "200ms")]);
    get(&patient.main, "/block-all?ms=1000");
    wait_until("not live", || {
        let live = get(&patient.admin, "/livez");
        assert!(live.status == 200 || live.body == "stuck: runtime\n", "{live:?}");
        live.status == 503
    });
    let told = patient.wait_for("the process is stuck");
    assert_eq!(told["stuck"], "runtime");
    assert!(told["workers"].as_u64() < told["alive_tasks"].as_u64(), "{told}");
    assert_eq!(patient.health()["live"], false);
    assert_eq!(patient.sample("updraft_live"), Some(0.0));
    wait_until("live again", || get(&patient.admin, "/livez").status == 200);
    patient.wait_for("the process is no longer stuck");
    assert_eq!(get(&patient.main, "/").status, 200);
    // The task that waited in line has told how long.
    let slow = patient.sample("updraft_runtime_delay_seconds_bucket{le=\"+Inf\"}").unwrap()
        - patient.sample("updraft_runtime_delay_seconds_bucket{le=\"0.5\"}").unwrap();
    assert!(1.0 <= slow, "{slow}");
}

#[test]
fn one_blocked_worker_of_several_is_no_reason_for_a_restart() {
    let patient = Patient::web(&[("WATCHDOG_INTERVAL", "300ms"), ("TOKIO_WORKER_THREADS", "4")]);
    let main = patient.main.clone();
    let blocking = std::thread::spawn(move || get(&main, "/block?ms=2000"));
    while !blocking.is_finished() {
        let live = get(&patient.admin, "/livez");
        assert_eq!(live.status, 200, "{live:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(blocking.join().unwrap().body, "blocked");
}

#[test]
fn a_process_that_was_stopped_as_a_whole_has_missed_nothing() {
    let patient = Patient::web(&[("WATCHDOG_INTERVAL", "400ms")]);
    patient.signal(Signal::STOP);
    // The length of the stop is what is tried: longer than any verdict takes.
    let began = Instant::now();
    wait_until("a long stop", || Duration::from_millis(2500) < began.elapsed());
    patient.signal(Signal::CONT);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        assert_eq!(get(&patient.admin, "/livez").status, 200);
    }
    patient.signal(Signal::TERM);
    let (status, lines) = patient.end();
    assert_eq!(status.code(), Some(0));
    let stuck = |line: &serde_json::Value| line["message"].as_str().unwrap().contains("stuck");
    assert!(!lines.iter().any(stuck), "{lines:#?}");
}

#[test]
fn a_blocked_runtime_cannot_hold_up_the_exit() {
    let variables = [("WATCHDOG_INTERVAL", "100ms"), ("SHUTDOWN_GRACE", "1s")];
    let mut patient = Patient::web(&variables);
    get(&patient.main, "/block-all?ms=600000");
    patient.wait_for("the process is stuck");
    let began = Instant::now();
    patient.signal(Signal::TERM);
    patient.wait_for("stopping");
    let cut = patient.wait_for("work was cut off");
    assert_eq!(cut["background"], "");
    let (status, _) = patient.end();
    assert_eq!(status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
