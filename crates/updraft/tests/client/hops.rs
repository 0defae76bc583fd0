//! What goes along from a request to the calls that are made for it: through a real process.

use std::time::Duration;

use super::process::Process;
use super::server::{Server, client, policy};

#[tokio::test]
async fn the_deadline_gets_shorter_with_each_hop_and_the_request_id_stays() {
    let peer = Server::of_status(200).await;
    let url = peer.url();
    let variables = [
        ("PEER_URL", &*url),
        ("PEER_TIMEOUT", "10m"),
        ("PEER_ATTEMPT_TIMEOUT", "10m"),
        ("REQUEST_TIMEOUT", "10m"),
    ];
    let between = Process::start("patient", &variables).await;
    let url = format!("http://{}", between.address);
    let first = <updraft::ServiceUrl as updraft::Variable>::parse(&url).unwrap();
    let first = first.client_with("between", policy()).unwrap();
    let ask = first.get("/ask").timeout(Duration::from_secs(15));
    let ask = ask.header_text("x-request-id".parse().unwrap(), "canary-7");
    assert_eq!(ask.send().await.unwrap().status(), 200);
    let asked = peer.asked();
    let told: u64 = asked[0].header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap();
    // The process between has 10 minutes of its own for it.
    assert!((1..=15_000).contains(&told), "{told}");
    assert_eq!(asked[0].header("x-request-id"), Some("canary-7"));
}

#[tokio::test]
async fn every_attempt_is_told_how_long_it_is_waited_for() {
    let server = Server::of_status(503).await;
    let mut quick = policy();
    quick.attempt_timeout = Some(Duration::from_secs(7));
    let client = client(&[&server], quick).timeout(Duration::from_secs(12));
    client.get("/").send().await.unwrap();
    client.post("/").send().await.unwrap();
    let told: Vec<u64> = server
        .asked()
        .iter()
        .map(|it| it.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap())
        .collect();
    assert_eq!(told[..2], [7000, 7000]);
    // Nothing can follow a call that is sent once, so it has all the time there is.
    assert!((7000..=12_000).contains(&told[3]), "{told:?}");
}
