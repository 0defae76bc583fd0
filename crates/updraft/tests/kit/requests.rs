//! Requests go the whole way of a request, without a network.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};

use updraft::testing::TestApp;

use crate::depot::{Depot, NewParcel, Parcel, burn, echo, show, take_in};

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn an_operation_is_called_by_its_name(t: TestApp<Depot>) -> Result<(), updraft::BoxError> {
    let made = t.call::<take_in>().json(&NewParcel { id: 7, weight: 2 }).await.status(201);
    assert_eq!(made.header("location"), Some("/v1/parcels/7"));
    let shown: Parcel = t.call::<show>().path("id", 7).await.ok();
    assert_eq!(shown.state, "waiting");
    let problem = t.call::<show>().path("id", 8).await.status(404).problem();
    assert_eq!((problem.title(), problem.detail()), ("Unknown", "There is no parcel 8"));
    Ok(())
}

#[updraft::test]
async fn a_parameter_of_a_path_is_encoded(t: TestApp<Depot>) {
    let caller: IpAddr = "203.0.113.9".parse().unwrap();
    for name in ["ä b", "a/b?c#d%25", "{name}x"] {
        let said = t.call::<echo>().path("name", name).peer(caller).await.status(200);
        assert_eq!(said.text(), format!("{name} from 203.0.113.9"));
    }
}

#[updraft::test]
async fn scopes_are_asked_for_and_may_be_granted(t: TestApp<Depot>) {
    t.call::<burn>().await.status(401).problem();
    let other = t.call::<burn>().scopes(["depot:read"]).await.status(403);
    assert!(other.header("www-authenticate").unwrap().contains("insufficient_scope"));
    t.call::<burn>().scopes(["depot:burn"]).await.status(204);
}

#[updraft::test(vars = [("MAX_BODY_BYTES", "64"), ("RATE_LIMIT", "3/h,burst=3")])]
async fn what_a_listener_refuses_is_refused(t: TestApp<Depot>) {
    t.post("/v1/parcels").body("application/json", vec![b'x'; 65]).await.status(413).problem();
    t.post("/v1/parcels").body("text/plain", "x").await.status(415).problem();
    t.get("/nowhere").await.status(404).problem();
    t.get("/nowhere").await.status(429).problem();
    // The limit is one of each client.
    t.get("/nowhere").peer([203, 0, 113, 9]).await.status(404).problem();
    // Health is outside of it.
    t.get("/health/ready").await.status(200);
}

#[updraft::test]
async fn a_panic_is_the_failure_of_its_request_and_a_line_of_the_log(t: TestApp<Depot>) {
    let answer = t.get("/panic").await.status(500);
    answer.problem();
    let line = t.logged("panicked");
    assert_eq!(line.level(), "ERROR");
    assert_eq!(line.field("panic").unwrap(), "the depot is on fire");
    assert!(line.trace_id().is_some(), "{line}");
    assert!(!answer.text().contains("fire"), "{answer}");
}

#[updraft::test]
async fn a_client_that_needs_a_network_finds_one(t: TestApp<Depot>) {
    let url = t.serve();
    assert_eq!(t.serve(), url);
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = "GET /echo/you HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let text = asked.await.unwrap();
    assert!(text.ends_with("you from 127.0.0.1"), "{text}");
}
