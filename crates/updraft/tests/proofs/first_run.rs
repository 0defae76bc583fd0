//! What somebody does in the first minute.

use rustix::process::Signal;

use crate::support::{Process, command, get};

/// The exit code of a verb, and what it prints.
fn said(words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = command(words[0], variables).args(&words[1..]).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn with_nothing_set_but_a_port_a_service_serves_and_attached_it_migrates_on_command() {
    let (web, address) = Process::web(&[]);
    assert_eq!(get(&address, "/").body, "hello");
    assert_eq!(get(&address, "/readyz").status, 200);
    web.signal(Signal::TERM);
    assert!(web.end().0.success());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db.sqlite3");
    let url = format!("sqlite://{}", file.display());
    let attached = [("DB_URL", url.as_str()), ("JOBS_URL", "same:db")];
    let (code, list) = said(&["attachments"], &attached);
    assert_eq!(code, 0, "{list}");
    for part in ["DB_URL", "JOBS_URL", file.to_str().unwrap()] {
        assert!(list.contains(part), "no {part} in {list}");
    }
    assert!(!file.exists(), "listing connects to nothing");

    // The start of a process never migrates; it waits for who does.
    let all = [("PORT", "0"), ("ADMIN_PORT", "0"), ("DRAIN_DELAY", "0s"), attached[0], attached[1]];
    let mut web = Process::start("web", &all);
    let admin = web.wait_for("admin listening")["address"].as_str().unwrap().to_owned();
    web.wait_for("the schema is behind");
    assert_eq!(get(&admin, "/readyz").status, 503);
    assert_eq!(get(&admin, "/livez").status, 200);
    let unmet = "updraft_condition_met{condition=\"schema\"} 0";
    assert!(get(&admin, "/metrics").body.contains(unmet), "no {unmet}");
    let health = get(&admin, "/health").body;
    assert!(health.contains("behind: ") && health.contains("specimen_1"), "{health}");
    assert_eq!(said(&["migrate", "--check"], &attached).0, 3, "the start has changed nothing");
    assert_eq!(said(&["migrate"], &attached).0, 0);
    web.wait_for("ready");
    assert_eq!(get(&admin, "/readyz").status, 200);
    let shown: serde_json::Value = serde_json::from_str(&get(&admin, "/attachments").body).unwrap();
    assert!(shown.to_string().contains(file.to_str().unwrap()), "{shown}");
    web.signal(Signal::TERM);
    assert!(web.end().0.success());
}
