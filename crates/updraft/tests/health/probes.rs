//! Where health is answered, by whom, and what the command `health` makes of it.

use crate::support::{Connection, Patient, ask, command, get, wait_until};

#[test]
fn health_is_terse_on_the_main_port_and_detailed_on_the_admin_port_alone() {
    let patient = Patient::web(&[]);
    for (path, text) in [
        ("/health/live", "live\n"),
        ("/livez", "live\n"),
        ("/health/ready", "ready\n"),
        ("/readyz", "ready\n"),
        ("/health/startup", "started\n"),
        ("/startupz", "started\n"),
    ] {
        for address in [&patient.main, &patient.admin] {
            let answer = get(address, path);
            assert_eq!((answer.status, answer.body.as_str()), (200, text), "{path}");
        }
    }
    for path in ["/health", "/metrics", "/attachments", "/version"] {
        assert_eq!(get(&patient.main, path).status, 404, "{path}");
        assert_eq!(get(&patient.admin, path).status, 200, "{path}");
    }
    let health = patient.health();
    assert_eq!((&health["ready"], &health["phase"]), (&true.into(), &"serving".into()));
    let version: serde_json::Value =
        serde_json::from_str(&get(&patient.admin, "/version").body).unwrap();
    assert_eq!(version["service"], "updraft");
}

#[test]
fn health_leaves_the_main_port_when_it_is_told_to() {
    let patient = Patient::web(&[("HEALTH_ON_PORT", "false")]);
    for path in ["/livez", "/readyz", "/startupz", "/health/live"] {
        assert_eq!(get(&patient.main, path).status, 404, "{path}");
        assert_eq!(get(&patient.admin, path).status, 200, "{path}");
    }
}

#[test]
fn a_condition_of_the_service_decides_readiness_and_nothing_else() {
    let patient = Patient::web(&[]);
    ask(&patient.main, "POST", "/unwell");
    let ready = get(&patient.main, "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "well\n"));
    assert_eq!(get(&patient.main, "/livez").status, 200);
    let condition = &patient.health()["conditions"][0];
    assert_eq!((&condition["met"], &condition["why"]), (&false.into(), &"it hurts".into()));
    assert_eq!(patient.sample("updraft_condition_met{condition=\"well\"}"), Some(0.0));
    ask(&patient.main, "POST", "/well");
    assert_eq!(get(&patient.main, "/readyz").status, 200);
}

#[test]
fn the_admin_port_answers_while_the_main_port_is_full() {
    let patient = Patient::web(&[("MAX_CONNECTIONS", "2")]);
    let mut held: Vec<_> = (0..2).map(|_| Connection::open(&patient.main).unwrap()).collect();
    for connection in &mut held {
        connection.send("GET /slow?ms=600000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
    let active = "http_server_active_requests{http_request_method=\"GET\"}";
    wait_until("both are in hand", || patient.sample(active) == Some(2.0));
    assert_eq!(patient.sample("updraft_http_connections_open"), Some(2.0));
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        assert_eq!(get(&patient.admin, path).status, 200, "{path}");
    }
}

#[test]
fn a_worker_has_health_and_metrics_too() {
    let patient = Patient::started("worker", &[]);
    assert_eq!(get(&patient.main, "/readyz").status, 200);
    assert_eq!(patient.sample("updraft_ready"), Some(1.0));
}

#[test]
fn the_command_asks_the_process_of_its_environment() {
    let patient = Patient::web(&[]);
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let (main, admin) = (port(&patient.main), port(&patient.admin));
    let health = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["health"], arguments].concat();
        let output = command(&arguments, variables).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let told = |code: i32, text: &str| (code, text.to_owned());
    assert_eq!(health(&[], &[("PORT", &main)]), told(0, "live\n"));
    assert_eq!(health(&["ready"], &[("ADMIN_PORT", &admin)]), told(0, "ready\n"));
    let both = [("PORT", "1"), ("ADMIN_PORT", &*admin), ("ADMIN_HOST", "0.0.0.0")];
    assert_eq!(health(&["startup"], &both), told(0, "started\n"), "the admin port comes first");
    ask(&patient.main, "POST", "/unwell");
    assert_eq!(health(&["ready"], &[("PORT", &main)]), told(1, "well\n"));
    assert_eq!(health(&["live"], &[("PORT", &main)]), told(0, "live\n"));
    drop(patient);
    let (code, text) = health(&[], &[("PORT", &main)]);
    assert!(code == 1 && text.starts_with("no answer from 127.0.0.1:"), "{text}");
    assert_eq!(health(&[], &[]).0, 1);
    assert_eq!(health(&[], &[("PORT", "0")]).0, 1);
    let secured = [("PORT", &*main), ("TLS_CERT", "/somewhere.pem")];
    let (code, text) = health(&[], &secured);
    assert!(code == 1 && text.contains("set ADMIN_PORT"), "{text}");
    assert_eq!(health(&["well"], &[("PORT", &main)]).0, 2);
    let (code, text) = health(&[], &[("ADMIN_PORT", "canary")]);
    assert!(code == 78 && text.contains("ADMIN_PORT") && !text.contains("canary"), "{text}");
}

#[test]
fn the_command_does_not_wait_for_ever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let mut command = command(&["health", "--timeout", "100ms"], &[("PORT", &port)]);
    assert_eq!(command.output().unwrap().status.code(), Some(1));
}
