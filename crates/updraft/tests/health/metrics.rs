//! What a scraper gets, also from a service that a scanner has found.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Connection, Patient, get, wait_until};

#[test]
fn requests_are_measured_by_route_and_so_is_what_the_service_measures_itself() {
    let patient = Patient::web(&[]);
    let mut connection = Connection::open(&patient.main).unwrap();
    for (method, path, headers) in [
        ("GET", "/", ""),
        ("GET", "/", ""),
        ("GET", "/items/7", ""),
        ("GET", "/items/8", ""),
        ("GET", "/nowhere", ""),
        ("BREW", "/", ""),
        ("GET", "/slow?ms=1", ""),
        ("GET", "/panics", ""),
    ] {
        connection.ask(method, path, headers).unwrap();
    }
    connection.send("POST /items/9 HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n").unwrap();
    connection.send(&"x".repeat(300)).unwrap();
    connection.answer().unwrap();
    let labels = |method: &str, route: &str, status: u16| {
        format!(
            "http_request_method=\"{method}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\""
        )
    };
    for (labels, count) in [
        (labels("GET", "/", 200), 2.0),
        (labels("GET", "/items/{id}", 200), 2.0),
        (labels("GET", "unmatched", 404), 1.0),
        (labels("_OTHER", "/", 405), 1.0),
        (labels("POST", "/items/{id}", 200), 1.0),
        (labels("GET", "/panics", 500), 1.0),
    ] {
        let of = |family: &str| patient.sample(&format!("{family}_count{{{labels}}}"));
        assert_eq!(of("http_server_request_duration_seconds"), Some(count), "{labels}");
        assert_eq!(of("http_server_response_body_size_bytes"), Some(count), "{labels}");
    }
    let sum = |family: &str| {
        let labels = labels("POST", "/items/{id}", 200);
        patient.sample(&format!("http_server_{family}_body_size_bytes_sum{{{labels}}}"))
    };
    assert_eq!((sum("request"), sum("response")), (Some(300.0), Some(300.0)));
    assert_eq!(patient.sample("patient_visits_total{visitor=\"family\"}"), Some(2.0));
    assert_eq!(patient.sample("patient_waiting_seconds_count"), Some(1.0));
    assert_eq!(patient.sample("updraft_http_connections_accepted_total"), Some(1.0));
    assert!(8.0 <= patient.sample("updraft_log_lines_total{level=\"info\"}").unwrap());
    for reason in ["rate_limit", "reader_slow"] {
        let dropped = format!("updraft_log_lines_dropped_total{{reason=\"{reason}\"}}");
        assert_eq!(patient.sample(&dropped), Some(0.0), "{reason}");
    }
    let release = "updraft_build_info{service=\"updraft\",version=\"";
    assert!(patient.metrics().contains(release));
}

#[test]
fn a_client_that_goes_away_is_counted_where_it_was() {
    let mut patient = Patient::web(&[]);
    let mut connection = Connection::open(&patient.main).unwrap();
    connection.send("GET /slow?ms=600000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    patient.wait_for("slow work begins");
    drop(connection);
    patient.wait_for("the client went away");
    let gone = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
        http_route=\"/slow\",http_response_status_code=\"499\"}";
    assert_eq!(patient.sample(gone), Some(1.0));
    let active = "http_server_active_requests{http_request_method=\"GET\"}";
    assert_eq!(patient.sample(active), Some(0.0));
    let closed = |patient: &Patient| {
        patient.sample("updraft_http_connections_closed_total{reason=\"broken\"}")
    };
    wait_until("the connection is closed", || closed(&patient) == Some(1.0));
    assert_eq!(patient.sample("updraft_http_connections_open"), Some(0.0));
}

#[test]
fn a_slow_bucket_leads_to_a_sampled_trace() {
    let patient = Patient::web(&[]);
    let mut connection = Connection::open(&patient.main).unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for (flags, path) in [("01", "/items/1"), ("00", "/")] {
        let header = format!("traceparent: 00-{trace}-b7ad6b7169203331-{flags}\r\n");
        connection.ask("GET", path, &header).unwrap();
    }
    let mut admin = Connection::open(&patient.admin).unwrap();
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open_metrics = admin.ask("GET", "/metrics", accept).unwrap();
    assert!(open_metrics.head.contains("application/openmetrics-text; version=1.0.0"));
    assert!(open_metrics.body.ends_with("# EOF\n"));
    let exemplars = open_metrics.body.lines().filter(|line| line.contains(trace));
    let exemplars: Vec<_> = exemplars.collect();
    assert_eq!(exemplars.len(), 1, "{exemplars:?}");
    assert!(exemplars[0].contains("http_route=\"/items/{id}\""), "{exemplars:?}");
    assert!(!patient.metrics().contains(trace), "the older format has none");
}

#[test]
fn a_scanner_cannot_make_the_metrics_grow() {
    let patient = Patient::web(&[]);
    let scan = |from: u32, to: u32| {
        let mut connection = Connection::open(&patient.main).unwrap();
        for begin in (from..to).step_by(100) {
            let request = |number| {
                let method = match number % 4 {
                    0 => "GET".to_owned(),
                    1 => "POST".to_owned(),
                    2 => format!("M{number}"),
                    _ => "PROPFIND".to_owned(),
                };
                format!("{method} /wp-{number}.php HTTP/1.1\r\nHost: {number}.test\r\n\r\n")
            };
            let batch: String = (begin..begin + 100).map(request).collect();
            connection.send(&batch).unwrap();
            (0..100).for_each(|_| assert_eq!(connection.answer().unwrap().status, 404));
        }
    };
    scan(0, 100);
    let before = patient.metrics().lines().count();
    scan(100, 20_000);
    let after = patient.metrics();
    assert_eq!(after.lines().count(), before);
    assert!(before < 1000, "{before}");
    assert!(!after.contains("wp-"), "{after}");
    let unmatched = after.lines().filter(|line| {
        line.starts_with("http_server_request_duration_seconds_count") && line.contains("unmatched")
    });
    let counts = unmatched.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(counts.sum::<u32>(), 20_000);
}

/// Where `promtool` of the package `prometheus` is installed, it is the judge.
#[test]
fn the_exposition_is_what_prometheus_expects() {
    let patient = Patient::web(&[]);
    get(&patient.main, "/");
    let exposition = patient.metrics();
    let mut families = Vec::new();
    for line in exposition.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().unwrap();
            assert!(!families.contains(&name), "{name} is there twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let family = families.last().unwrap();
            assert!(line.starts_with(family), "{line} is not of {family}");
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    let judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut judge) = judge else { return };
    judge.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
}
