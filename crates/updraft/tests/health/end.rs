//! The end of a process: its phases, its exit code, and who can still be asked.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::{Connection, Patient, get, wait_until};
use rustix::process::Signal;

#[test]
fn the_admin_port_answers_through_all_phases_of_the_drain() {
    let variables = [("DRAIN_DELAY", "1s"), ("WATCHDOG_INTERVAL", "300ms")];
    let mut patient = Patient::web(&variables);
    let mut slow = Connection::open(&patient.main).unwrap();
    slow.send("GET /slow?ms=3000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    patient.wait_for("slow work begins");
    patient.signal(Signal::TERM);
    patient.wait_for("stopping");
    let phase = |name| format!("updraft_phase{{phase=\"{name}\"}}");
    let ready = get(&patient.admin, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "draining\n"));
    assert_eq!(patient.sample(&phase("draining")), Some(1.0));
    assert_eq!(get(&patient.main, "/").status, 200, "it still serves");
    wait_until("closing", || patient.sample(&phase("closing")) == Some(1.0));
    // Nobody new comes in, and the platform still sees a living process.
    wait_until("closed", || std::net::TcpStream::connect(&patient.main).is_err());
    for path in ["/livez", "/startupz", "/health", "/metrics"] {
        assert_eq!(get(&patient.admin, path).status, 200, "{path}");
    }
    assert_eq!(slow.answer().unwrap().body, "slow");
    // The listener is closed because it should be, which is not what the watchdog looks for.
    let told = patient.wait_for("stopped");
    let ms = |phase: &str| told[phase].as_f64().unwrap();
    assert!(1000.0 <= ms("draining_ms") && 500.0 <= ms("closing_ms"), "{told}");
    let (status, lines) = patient.end();
    assert_eq!(status.code(), Some(0));
    let stuck = |line: &serde_json::Value| line["message"].as_str().unwrap().contains("stuck");
    assert!(!lines.iter().any(stuck), "{lines:#?}");
}

#[test]
fn the_exit_code_and_the_log_tell_clean_from_cut() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port().to_string();
    let clean = ("stopped", "");
    for (process, variables, signals, code, (message, detail)) in [
        ("web", &[][..], &[Signal::TERM][..], 0, clean),
        ("web", &[], &[Signal::INT], 0, clean),
        ("worker", &[], &[Signal::TERM], 0, clean),
        ("all", &[("STUBBORN", "100ms")], &[Signal::TERM], 0, clean),
        (
            "worker",
            &[("STUBBORN", "10m"), ("SHUTDOWN_GRACE", "500ms")],
            &[Signal::TERM],
            1,
            ("work was cut off: SHUTDOWN_GRACE is over", "stubborn"),
        ),
        (
            "all",
            &[("STUBBORN", "10m")],
            &[Signal::TERM, Signal::INT],
            1,
            ("work was cut off: a second signal came", "stubborn"),
        ),
        ("web", &[("PORT", &*taken)], &[], 1, ("cannot serve HTTP", "PORT")),
        (
            "web",
            &[("ADMIN_PORT", &*taken)],
            &[],
            1,
            ("cannot serve the admin listener", "ADMIN_PORT"),
        ),
    ] {
        let mut all = vec![("PORT", "0"), ("DRAIN_DELAY", "0s")];
        all.retain(|(name, _)| variables.iter().all(|(other, _)| name != other));
        all.extend_from_slice(variables);
        let mut patient = Patient::start(process, &all);
        if !signals.is_empty() {
            patient.wait_for("ready");
        }
        for (signal, seen) in signals.iter().zip(["stopping", "work was cut off"]) {
            patient.signal(*signal);
            if seen == "stopping" {
                patient.wait_for(seen);
            }
        }
        let case = format!("{process} {variables:?}");
        let (status, lines) = patient.end();
        assert_eq!(status.code(), Some(code), "{case}: {lines:#?}");
        let told = lines.iter().find(|line| line["message"] == message);
        let told = told.unwrap_or_else(|| panic!("{case}: {lines:#?}")).to_string();
        assert!(told.contains(detail), "{case}: {told}");
    }
}

#[test]
fn budgets_that_cannot_work_out_are_told_at_the_start() {
    let variables = [
        ("DRAIN_DELAY", "20s"),
        ("SHUTDOWN_GRACE", "2s"),
        ("TERMINATION_GRACE", "2s"),
        ("PORT", "0"),
    ];
    let mut patient = Patient::start("web", &variables);
    patient.wait_for("DRAIN_DELAY is more than half of SHUTDOWN_GRACE");
    patient.wait_for("SHUTDOWN_GRACE is not less than TERMINATION_GRACE");
    patient.wait_for("ready");
    let began = std::time::Instant::now();
    patient.signal(Signal::TERM);
    assert_eq!(patient.end().0.code(), Some(0), "the delay is cut to what leaves time to close");
    assert!(Duration::from_secs(1) <= began.elapsed());
}
