//! Real servers go away in all the ways they can, while the service is under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::attachments::load;
use crate::support::{Patient, get, wait_until};
use rustix::process::Signal;
use updraft::testing::server::{Kind, Server};

/// Stops, kills and stalls the server behind the attachment `name`, each time under load, and
/// brings it back.
fn every_trouble(server: &Server, name: &str, variable: &str) {
    let url = server.url();
    let variables = [(variable, url.as_str()), ("READY_NEEDS", name), ("HEALTH_INTERVAL", "250ms")];
    let patient = Patient::web(&variables);
    let ready = || get(&patient.admin, "/readyz").status == 200;
    wait_until("ready", ready);
    wait_until("it works", || get(&patient.main, "/remember").status == 200);
    let end = Arc::new(AtomicBool::new(false));
    let loaded = load(&patient, &end);
    for trouble in ["stopped", "killed", "stalled"] {
        match trouble {
            "stopped" => server.stop().unwrap(),
            "killed" => server.kill().unwrap(),
            _ => server.stall().unwrap(),
        }
        wait_until(trouble, || !ready());
        assert_eq!(get(&patient.main, "/readyz").body, format!("{name} is down\n"), "{trouble}");
        let attachment = patient.health()["attachments"][0].clone();
        assert_eq!(attachment["name"], name);
        assert_eq!(attachment["state"], "down", "{attachment}");
        match trouble {
            "stalled" => server.resume().unwrap(),
            _ => server.restart().unwrap(),
        }
        wait_until("recovered", ready);
        wait_until("it works again", || get(&patient.main, "/remember").status == 200);
    }
    end.store(true, Ordering::SeqCst);
    let (good, bad) = loaded();
    assert_eq!(bad, 0, "what needs no server was answered, and it was alive throughout");
    assert!(50 < good, "{good}");
    patient.signal(Signal::TERM);
    assert_eq!(patient.end().0.code(), Some(0));
}

#[test]
fn postgresql_stopped_killed_and_stalled_is_told_and_recovered_from() {
    every_trouble(&Server::start(Kind::Postgres).unwrap(), "db", "DB_URL");
}

#[test]
fn redis_stopped_killed_and_stalled_is_told_and_recovered_from() {
    every_trouble(&Server::start(Kind::Redis).unwrap(), "cache", "CACHE_URL");
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for_and_the_start_is_not() {
    let server = Server::start(Kind::Postgres).unwrap();
    server.stop().unwrap();
    let url = server.url();
    let variables = [("DB_URL", url.as_str()), ("READY_NEEDS", "db"), ("HEALTH_INTERVAL", "250ms")];
    let patient = Patient::web(&variables);
    assert_eq!(get(&patient.admin, "/startupz").status, 200);
    assert_eq!(get(&patient.admin, "/readyz").body, "db is down\n");
    server.restart().unwrap();
    wait_until("ready", || get(&patient.admin, "/readyz").status == 200);
}
