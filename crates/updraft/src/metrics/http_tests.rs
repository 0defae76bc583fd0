//! What the HTTP server measures, and what cannot make it grow.

use super::super::Format;
use super::*;

fn exposition(server: &HttpServer) -> String {
    let mut out = String::new();
    server.write(&mut Text::new(&mut out, Format::OpenMetrics));
    out
}

fn method(name: &str) -> Method {
    Method::of(&::http::Method::from_bytes(name.as_bytes()).unwrap())
}

fn record(server: &HttpServer, route: &Route, name: &str, status: u16) {
    let sizes = Sizes { request: Some(3), response: 5 };
    server.series(route, method(name), status).record(Duration::from_millis(2), sizes, None);
}

#[test]
fn requests_are_counted_by_route_method_and_status() {
    let server = HttpServer::default();
    let orders = server.route("/orders/{id}");
    assert!(Arc::ptr_eq(&orders, &server.route("/orders/{id}")));
    for (name, status) in [("GET", 200), ("GET", 200), ("GET", 404), ("POST", 201)] {
        record(&server, &orders, name, status);
    }
    let text = exposition(&server);
    for (name, status, count) in [("GET", 200, 2), ("GET", 404, 1), ("POST", 201, 1)] {
        let line = format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"{name}\",\
             http_route=\"/orders/{{id}}\",http_response_status_code=\"{status}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("updraft_http_series_overflowed_total 0\n"));
}

#[test]
fn words_that_anybody_can_choose_make_no_series() {
    let server = HttpServer::default();
    let lines = |server: &HttpServer| exposition(server).lines().count();
    record(&server, server.unmatched(), "FIRST", 404);
    let before = lines(&server);
    for number in 0..10_000 {
        record(&server, server.unmatched(), &format!("METHOD{number}"), 404);
    }
    assert_eq!(lines(&server), before);
    assert!(exposition(&server).contains("http_request_method=\"_OTHER\""));
}

#[test]
fn series_are_bounded_and_nothing_is_lost_beyond_the_bound() {
    let server = HttpServer::default();
    let mut recorded = 0;
    for route in 0..ROUTES_MOST + 50 {
        let route = server.route(&format!("/r{route}"));
        for status in 200..203 {
            record(&server, &route, "GET", status);
            recorded += 1;
        }
    }
    // One handler with more statuses than there are places for.
    let wild = server.route("/r0");
    for status in 300..400 {
        record(&server, &wild, "PUT", status);
        recorded += 1;
    }
    let text = exposition(&server);
    let counts: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("http_server_request_duration_seconds_count"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), SERIES_MOST + 1);
    assert_eq!(counts.iter().sum::<u64>(), recorded);
    assert!(text.contains(OVERFLOW));
    assert!(!text.contains("updraft_http_series_overflowed_total 0\n"));
}

#[test]
fn many_threads_that_meet_at_new_statuses_make_one_series_each() {
    let server = HttpServer::default();
    let route = server.route("/");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..100 {
                    record(&server, &route, "GET", 200 + round % 8);
                }
            });
        }
    });
    let text = exposition(&server);
    let count = |status: u16| {
        let status = format!("status_code=\"{status}\"}} ");
        let of = |line: &&str| {
            line.starts_with("http_server_request_duration_seconds_count") && line.contains(&status)
        };
        text.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>()
    };
    for status in 200..204 {
        assert_eq!(count(status), ["52"], "{text}");
    }
}

#[test]
fn active_requests_come_and_go() {
    let server = HttpServer::default();
    server.begin(method("GET"));
    server.begin(method("GET"));
    server.end(method("GET"));
    let active = "http_server_active_requests{http_request_method=\"GET\"} 1\n";
    assert!(exposition(&server).contains(active));
}
