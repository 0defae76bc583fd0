//! What is told of requests is what happened: metrics, traces, the access log, taps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use updraft_mesh::{EventSink, Gateway, Options};
use updraft_system::mesh::{Protocol, Share, Tapped};

use crate::support::{
    Act, Answer, Lines, Pair, Session, Setup, Source, Upstream, ask, cluster, edge, get, name,
    operation, port, report, request, send, soon, until,
};

/// The samples of the metrics, by name with labels.
fn samples(gateway: &Gateway) -> BTreeMap<String, f64> {
    let text = gateway.metrics();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> u64 {
    let fits = |key: &&String| {
        key.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| key.contains(label))
    };
    let all: f64 = samples.iter().filter(|(key, _)| fits(key)).map(|(_, value)| *value).sum();
    format!("{all}").parse().unwrap()
}

#[tokio::test]
async fn metrics_are_what_was_sent_and_no_caller_adds_a_series() {
    let pricing = Upstream::http1(|asked| match asked.uri.path() {
        "/quotes/missing" => Act::Status(404),
        "/quotes/broken" => Act::Status(500),
        "/quotes/flaky" if asked.number % 2 == 0 => Act::Break,
        "/quotes/flaky" => Act::Status(200),
        _ => Act::Say("0123456789".to_owned()),
    });
    let mut setup = Setup::of(&pricing);
    for text in ["GET /quotes/{id}", "POST /orders"] {
        setup.cluster().operations.insert(operation(text), Default::default());
    }
    setup.edge().calls.retry.budget = "100%+100/s".parse().unwrap();
    setup.edge().calls.breaker.consecutive = 1000;
    setup.edge().calls.breaker.failures = "100%".parse().unwrap();
    setup.config.telemetry.access_log = true;
    let gateway = setup.start();
    for number in 0..20 {
        get(setup.port, &format!("/quotes/{number}")).await;
    }
    for path in ["missing", "missing", "missing", "broken", "broken"] {
        get(setup.port, &format!("/quotes/{path}")).await;
    }
    for _ in 0..4 {
        if pricing.count() % 2 == 1 {
            get(setup.port, "/quotes/x").await;
        }
        assert_eq!(get(setup.port, "/quotes/flaky").await.status, 200);
    }
    let plain = pricing.asked().iter().filter(|it| it.uri == "/quotes/x").count();
    for length in [0, 7, 5000] {
        ask(setup.port, Method::POST, "/orders", &"x".repeat(length)).await;
    }
    ask(setup.port, Method::PUT, "/other", "").await;
    let before = samples(&gateway);
    let request_of = |operation: &str, class: &str| {
        let labels = [&*format!("operation=\"{operation}\""), &*format!("code_class=\"{class}\"")];
        let all = samples(&gateway);
        let found = all
            .keys()
            .find(|key| labels.iter().all(|label| key.contains(label)) && key.contains("requests"));
        let found = found.unwrap_or_else(|| panic!("{labels:?} in {:?}", all.keys())).clone();
        format!("{}", all[&found])
    };
    assert_eq!(request_of("GET /quotes/{id}", "2xx"), format!("{}", 20 + 4 + plain));
    assert_eq!(request_of("GET /quotes/{id}", "4xx"), "3");
    assert_eq!(request_of("GET /quotes/{id}", "5xx"), "2");
    assert_eq!(request_of("POST /orders", "2xx"), "3");
    assert_eq!(request_of("other", "2xx"), "1");
    let all = sum(&before, "updraft_mesh_retries_total", &["reason=\"reset\""]);
    assert_eq!(all, 4);
    let told = report(&gateway, "cart", "pricing");
    assert_eq!(told.request_bytes, 5007);
    let bytes = 10 * (20 + 3 + 1 + u64::try_from(plain).unwrap());
    assert_eq!(told.response_bytes, bytes);
    let all = 20 + 3 + 2 + 4 + 3 + 1 + u64::try_from(plain).unwrap();
    assert_eq!(told.totals.classes.all(), all);
    assert_eq!(sum(&before, "updraft_mesh_request_duration_seconds_count", &[]), all);

    for number in 0..300 {
        let method = ["GET", "PUT", "DELETE", "PATCH"][number % 4].parse().unwrap();
        let mut odd = request(method, &format!("/n{number}/x?y={number}"), "");
        odd.headers_mut().insert("host", format!("h{number}").parse().unwrap());
        odd.headers_mut().insert("user-agent", format!("a{number}").parse().unwrap());
        send(setup.port, odd).await;
    }
    let after = samples(&gateway);
    let new: Vec<_> = after.keys().filter(|key| !before.contains_key(*key)).collect();
    assert!(new.is_empty(), "{new:?}");
    assert_eq!(request_of("other", "2xx"), "301");
}

/// A receiver of spans.
fn receiver() -> (Upstream, Arc<Mutex<Vec<Value>>>) {
    let spans: Arc<Mutex<Vec<Value>>> = Arc::default();
    let all = Arc::clone(&spans);
    let receiver = Upstream::http1(move |asked| {
        assert_eq!(asked.uri, "/v1/traces");
        let message: Value = serde_json::from_slice(&asked.body).unwrap();
        for resource in message["resourceSpans"].as_array().unwrap() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                all.lock().unwrap().extend(scope["spans"].as_array().unwrap().clone());
            }
        }
        Act::Say("{}".to_owned())
    });
    (receiver, spans)
}

/// A program that answers with what another one says, and passes the trace on.
async fn relaying(to: std::net::SocketAddr) -> std::net::SocketAddr {
    use hyper::service::service_fn;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let service =
                    service_fn(|asked: http::Request<hyper::body::Incoming>| async move {
                        let mut on = request(Method::GET, "/stock/7", "");
                        // As reverse proxies do it: all fields go on.
                        *on.headers_mut() = asked.headers().clone();
                        let Answer { status, body, .. } = send(to, on).await;
                        let answer = http::Response::builder().status(status);
                        answer.body(http_body_util::Full::new(body))
                    });
                let io = hyper_util::rt::TokioIo::new(stream);
                drop(
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await,
                );
            });
        }
    });
    address
}

#[tokio::test]
async fn one_trace_leads_through_two_gateways_and_the_program_between() {
    let (receiver, spans) = receiver();
    let stock = Upstream::named("stock");
    let on = port();
    let mut pair = Pair::new(Source::local(), relaying(on).await, Protocol::Http1);
    pair.callee.clusters.insert(name("stock"), cluster(&[stock.address]));
    pair.callee.edges.push(edge("pricing", "stock", Some(on)));
    for config in [&mut pair.caller, &mut pair.callee] {
        config.telemetry.otlp = Some(format!("http://{}", receiver.address));
    }
    let (caller, callee) = pair.start().await;
    let mut traced = request(Method::GET, "/quotes/7", "");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    traced.headers_mut().insert("traceparent", parent.parse().unwrap());
    let answer = send(pair.port, traced).await;
    assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "stock"));
    let last = stock.only();
    caller.drain().await;
    callee.drain().await;
    // The receiver hears before a gateway has ended.
    let spans = spans.lock().unwrap().clone();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let text = |span: &Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
    assert!(spans.iter().all(|span| text(span, "traceId") == "4bf92f3577b34da6a3ce929d0e0e4736"));
    let mut above = "00f067aa0ba902b7".to_owned();
    for _ in 0..3 {
        let span = spans.iter().find(|span| text(span, "parentSpanId") == above);
        above = text(span.unwrap_or_else(|| panic!("{above}: {spans:#?}")), "spanId");
    }
    let end = last.header("traceparent").unwrap();
    assert_eq!(end, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{above}-01"));
    let kinds: Vec<_> = spans.iter().map(|span| span["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == 2).count(), 1, "{kinds:?}");
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_the_tap_hides_what_is_secret() {
    let pricing = Upstream::http1(|_| Act::Field(200, "set-cookie", "session=secret-e"));
    let mut setup = Setup::of(&pricing);
    setup.cluster().operations.insert(operation("GET /quotes/{id}"), Default::default());
    setup.edge().only = vec![operation("GET /quotes/{id}")];
    setup.config.telemetry.access_log = true;
    let lines = Arc::new(Lines::default());
    let log = Some(Arc::clone(&lines) as Arc<dyn EventSink>);
    let gateway = setup.start_with(Options { log, ..Options::default() });
    let mut taps = gateway.tap(None, Some(&name("pricing")), Share::percent(100)).unwrap();
    let mut secret = request(Method::GET, "/quotes/7?token=secret-a", "");
    for (name, value) in [
        ("authorization", "Bearer secret-b"),
        ("cookie", "sid=secret-c"),
        ("x-api-key", "secret-d"),
        ("x-request-id", "request-1"),
        ("accept", "text/plain"),
    ] {
        secret.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(send(setup.port, secret).await.status, 200);
    let refused = ask(setup.port, Method::POST, "/admin", "").await;
    until("both are told", || lines.json().len() == 2).await;
    let told = lines.json();
    assert_eq!(
        (&told[0]["from"], &told[0]["to"], &told[0]["operation"], &told[0]["status"]),
        (&"cart".into(), &"pricing".into(), &"GET /quotes/{id}".into(), &200.into())
    );
    assert_eq!(
        (&told[0]["path"], &told[0]["request_id"]),
        (&"/quotes/7".into(), &"request-1".into())
    );
    assert_eq!(told[0]["endpoint"], pricing.address.to_string());
    assert_eq!((&told[1]["status"], &told[1]["refused"]), (&403.into(), &"unauthorized".into()));
    assert_eq!(told[1]["request_id"], refused.problem("request_id"));
    let said = format!("{told:?}");
    assert!(!said.contains("secret"), "{said}");

    for expected in [200, 403] {
        let Tapped { event, dropped, .. } = soon(taps.next()).await.unwrap();
        assert_eq!(dropped, 0);
        assert_eq!(event.status, Some(expected));
        let text = serde_json::to_string(&event).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert!(expected == 403 || text.contains("text/plain"), "{text}");
    }
    drop(taps);
    let mut session = Session::http1(setup.port).await;
    let sent = session.send(request(Method::GET, "/quotes/8", ""));
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(5), sent).await.unwrap().unwrap().status,
        200
    );
}
