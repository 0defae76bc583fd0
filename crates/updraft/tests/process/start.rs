//! The start of a process: the command line, the configuration, the port.

use crate::support::{Connection, Process, command, get};

#[test]
fn six_wrong_variables_are_one_report_and_nothing_is_started() {
    let output = command(
        "web",
        &[
            ("PORT", "canary-1"),
            ("HOST", "canary-2"),
            ("DRAIN_DELAY", "5 canary-3"),
            ("LOG_LEVEL", "canary-4"),
            ("DB_URL", "postgres://user:canary-5@db.example/orders?password=canary-6"),
            ("JOBS_URL", "sqlite:///tmp/canary-7.db?queue=jobs&max_attempts=none"),
        ],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
    let report = String::from_utf8(output.stderr).unwrap();
    for variable in ["PORT", "HOST", "DRAIN_DELAY", "LOG_LEVEL", "DB_URL", "JOBS_URL"] {
        assert_eq!(report.matches(&format!("\n  {variable} ")).count(), 1, "{report}");
    }
    assert!(report.contains("6 environment variables are wrong"), "{report}");
    // The kinds that this build has are named, what was given is not.
    assert!(report.contains("sqlite:///absolute/path/file.db"), "{report}");
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn a_web_process_without_a_port_is_refused() {
    let output = command("web", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("PORT is not set"));
}

#[test]
fn the_command_line_names_one_process_type_or_task() {
    let help = command("--help", &[]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["web", "worker", "all", "migrate"] {
        assert!(help.contains(word), "{help}");
    }
    for arguments in [&["wbe"][..], &[][..], &["web", "worker"][..]] {
        let specimen = command("web", &[]);
        let mut wrong = std::process::Command::new(specimen.get_program());
        let output = wrong.args(arguments).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("Usage:"));
    }
}

#[test]
fn a_port_in_use_is_said_with_its_address() {
    let (_process, address) = Process::web(&[]);
    let port = address.rsplit(':').next().unwrap();
    let (status, lines) = Process::start("web", &[("PORT", port)]).end();
    assert_eq!(status.code(), Some(1));
    let error = lines.last().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.contains(&address) && error.contains("in use"), "{error}");
}

#[test]
fn a_worker_answers_health_where_it_has_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}/db.sqlite3", folder.path().display());
    let jobs = format!("{db}?queue=jobs");
    let variables = [("DB_URL", db.as_str()), ("JOBS_URL", jobs.as_str()), ("PORT", "0")];

    // Boot never migrates: without its schema it waits, alive and not ready.
    let mut process = Process::start("worker", &variables);
    let address = process.wait_for("listening")["address"].as_str().unwrap().to_owned();
    process.wait_for("the schema is behind: run `migrate`");
    assert_eq!(get(&address, "/readyz").status, 503);
    assert_eq!(get(&address, "/livez").status, 200);
    assert!(!process.has_said("ready"));
    assert!(Process::start("migrate", &variables).end().0.success());
    process.wait_for("ready");
    assert_eq!(get(&address, "/readyz").status, 200);
    assert_eq!(get(&address, "/livez").status, 200);
    assert_eq!(get(&address, "/").status, 404);
    let mut connection = Connection::open(&address).unwrap();
    process.signal(rustix::process::Signal::TERM);
    assert!(process.end().0.success());
    assert_eq!(connection.rest(), "");
}
