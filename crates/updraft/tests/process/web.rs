//! What every request meets around the routes of a service.

use crate::support::{Connection, Process, get};
use rustix::process::Signal;

#[test]
fn failures_are_problem_documents_that_give_nothing_away() {
    let (process, address) = Process::web(&[("MAX_BODY_BYTES", "100")]);
    let post = |path: &str, kind: &str, body: &str| {
        let mut connection = Connection::open(&address).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.send(&request).unwrap();
        connection.answer().unwrap()
    };
    let chunked = || {
        let mut connection = Connection::open(&address).unwrap();
        let head = "POST /size HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("80\r\n{}\r\n0\r\n\r\n", "x".repeat(128));
        connection.send(&format!("{head}{chunk}")).unwrap();
        connection.answer().unwrap()
    };
    let answers = [
        (404, get(&address, "/nowhere")),
        (405, post("/", "text/plain", "")),
        (400, get(&address, "/slow?ms=soon")),
        (415, post("/json", "text/plain", "{}")),
        (400, post("/json", "application/json", "{")),
        (413, post("/size", "text/plain", &"x".repeat(101))),
        (413, chunked()),
        (500, get(&address, "/panics")),
        (500, get(&address, "/fails")),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        assert!(answer.head.contains("application/problem+json"), "{answer:?}");
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["status"], *status);
        assert!(!answer.body.contains("secret") && !answer.body.contains("purpose"), "{answer:?}");
    }
    // A panic and a failure were that request's alone.
    assert_eq!(post("/size", "text/plain", &"x".repeat(100)).body, "100");
    process.signal(Signal::TERM);
    let (status, lines) = process.end();
    assert_eq!(status.code(), Some(0));
    let logged = |key: &str, text: &str| {
        let matching = lines.iter().filter(|line| line[key] == text);
        let matching: Vec<_> = matching.collect();
        assert_eq!(matching.len(), 1, "{text}: {lines:#?}");
        assert!(matching[0]["request_id"].is_string());
    };
    logged("panic", "a handler panicked on purpose");
    logged("error", "secret of the house");
}

#[test]
fn each_request_has_one_access_line_with_its_route_and_its_id() {
    let (mut process, address) = Process::web(&[]);
    let mut connection = Connection::open(&address).unwrap();
    let ask = |connection: &mut Connection, path: &str, id: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nX-Request-Id: {id}\r\n\r\n");
        connection.send(&request).unwrap();
        connection.answer().unwrap()
    };
    let answer = ask(&mut connection, "/items/7", "abc-123");
    assert!(answer.head.contains("x-request-id: abc-123\r\n"), "{}", answer.head);
    let line = process.wait_for("request");
    assert_eq!(line["route"], "/items/{id}");
    assert_eq!((&line["status"], &line["method"]), (&200.into(), &"GET".into()));
    assert_eq!(line["request_id"], "abc-123");
    assert!(line["duration_ms"].is_f64());

    // What anybody can choose is neither a route nor, when it is unsound, an id.
    let answer = ask(&mut connection, "/wp-login.php", &"x".repeat(200));
    assert!(!answer.head.contains("xxx"), "{}", answer.head);
    let line = process.wait_for("request");
    assert_eq!(line["route"], "unmatched");
    assert!(line["request_id"].as_str().unwrap().len() < 64);

    // Probes would fill the log.
    ask(&mut connection, "/livez", "probe-1");
    ask(&mut connection, "/", "after-probe");
    assert_eq!(process.wait_for("request")["request_id"], "after-probe");
}

#[test]
fn half_a_header_is_closed_and_slow_work_and_idleness_are_not() {
    let (_process, address) = Process::web(&[("HEADER_TIMEOUT", "1s")]);
    let mut idle = Connection::open(&address).unwrap();
    idle.get("/").unwrap();
    // Its body comes later than a header may.
    let mut upload = Connection::open(&address).unwrap();
    upload.send("POST /size HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab").unwrap();
    let mut slow = Connection::open(&address).unwrap();
    slow.send("GET /slow?ms=1500 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut silent = Connection::open(&address).unwrap();
    let mut half = Connection::open(&address).unwrap();
    half.send("GET / HTTP/1.1\r\nHo").unwrap();
    let mut later_half = Connection::open(&address).unwrap();
    later_half.get("/").unwrap();
    later_half.send("GET / HT").unwrap();

    for connection in [&mut half, &mut silent, &mut later_half] {
        assert_eq!(connection.rest(), "");
    }
    assert_eq!(slow.answer().unwrap().body, "slow");
    upload.send("cd").unwrap();
    assert_eq!(upload.answer().unwrap().body, "4");
    assert_eq!(idle.get("/").unwrap().status, 200);
}

#[test]
fn http2_without_tls_is_spoken_and_drained() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    let (mut process, address) = Process::web(&[("LOG_LEVEL", "debug")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http::<Empty<bytes::Bytes>>();
        let url = |path: &str| format!("http://{address}{path}").parse().unwrap();
        let first = client.get(url("/")).await.unwrap();
        assert_eq!(first.version(), http::Version::HTTP_2);
        let slow = tokio::spawn(client.get(url("/slow?ms=500")));
        // Makes the runtime send it.
        client.get(url("/")).await.unwrap();
        process.wait_for("slow work begins");
        process.signal(Signal::TERM);
        process.wait_for("stopping");
        let answer = slow.await.unwrap().unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], b"slow");
        let (status, _) = process.end();
        assert_eq!(status.code(), Some(0));
    });
}
