//! What is asked again, how often, when, and what never is.

use std::time::{Duration, Instant};

use updraft::http::{HeaderName, HeaderValue, Method};
use updraft::{CallError, ServiceUrl, Variable as _};
use updraft_resilience::deadline::{self, Deadline};
use updraft_resilience::{Clock, Rejection};

use super::server::{PATIENCE, Server, client, policy};

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated() {
    let key = HeaderName::from_static("idempotency-key");
    for (method, has_key, expected) in [
        (Method::GET, false, 3),
        (Method::HEAD, false, 3),
        (Method::PUT, false, 3),
        (Method::DELETE, false, 3),
        (Method::POST, false, 1),
        (Method::PATCH, false, 1),
        (Method::POST, true, 3),
        (Method::PATCH, true, 3),
    ] {
        let server = Server::of_status(503).await;
        let client = client(&[&server], policy());
        let mut call = client.call(method.clone(), "/invoices");
        if has_key {
            call = call.header(key.clone(), HeaderValue::from_static("A-7"));
        }
        let reply = call.send().await.unwrap();
        assert_eq!(reply.status(), 503);
        assert_eq!(server.asked().len(), expected, "{method} {has_key}");
    }
}

#[tokio::test]
async fn which_answers_are_asked_for_again() {
    for (status, expected) in
        [(200, 1), (404, 1), (409, 1), (429, 3), (500, 1), (501, 1), (502, 3), (503, 3), (504, 3)]
    {
        let server = Server::of_status(status).await;
        let reply = client(&[&server], policy()).get("/").send().await.unwrap();
        assert_eq!((reply.status().as_u16(), server.asked().len()), (status, expected));
    }
}

#[tokio::test]
async fn all_attempts_of_a_call_have_one_key_and_two_calls_have_two() {
    let server = Server::start(|number| (if number == 2 { 201 } else { 503 }, vec![], "7".into()));
    let server = server.await;
    let client = client(&[&server], policy());
    let made = client.post("/invoices").json(&1).idempotent().send().await.unwrap();
    assert_eq!((made.status().as_u16(), made.json::<u32>().unwrap()), (201, 7));
    client.post("/invoices").json(&1).idempotent().send().await.unwrap();
    let keys: Vec<_> =
        server.asked().iter().map(|it| it.header("idempotency-key").unwrap().to_owned()).collect();
    assert!(keys.len() >= 4 && keys[0] == keys[1] && keys[1] == keys[2]);
    assert!(keys[3..].iter().all(|key| *key != keys[0] && *key == keys[3]));
    let asked = server.asked();
    assert!(asked.iter().all(|it| it.method == Method::POST && it.uri == "/invoices"));
    assert!(asked.iter().all(|it| &it.body[..] == b"1"));
}

#[tokio::test]
async fn the_wait_that_the_service_asks_for_is_kept() {
    let server = Server::start(|number| match number {
        0 => (503, vec![("retry-after", "1")], String::new()),
        _ => (200, vec![], String::new()),
    });
    let server = server.await;
    let began = Instant::now();
    let reply = client(&[&server], policy()).get("/").send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(Duration::from_millis(950) <= began.elapsed());
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_of_the_caller_is_not_begun() {
    let server = Server::start(|_| (503, vec![("retry-after", "20")], String::new())).await;
    let client = client(&[&server], policy());
    let began = Instant::now();
    let until = Deadline::after(Clock::system().now(), Duration::from_secs(10));
    let reply = deadline::with(until, client.get("/").send()).await.unwrap();
    assert_eq!((reply.status().as_u16(), server.asked().len()), (503, 1));
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn what_was_never_sent_is_sent_again_whatever_it_is() {
    let mut server = Server::of_status(200).await;
    server.stop().await;
    let url = ServiceUrl::parse(&server.url()).unwrap();
    let mut slow = policy();
    slow.retry.as_mut().unwrap().attempts = 1000;
    slow.retry.as_mut().unwrap().budget = None;
    slow.breaker = None;
    let client = url.client_with("ledger", slow).unwrap();
    let handle = client.policy();
    let calling = tokio::spawn(async move { client.post("/").send().await.unwrap().status() });
    let deadline = Instant::now() + PATIENCE;
    while handle.snapshot().counts.retries == 0 {
        assert!(Instant::now() < deadline, "it was never refused");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.restart();
    assert_eq!(calling.await.unwrap(), 200);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_budget_that_is_spent_ends_all_repeating() {
    let server = Server::of_status(503).await;
    let mut poor = policy();
    let budget = poor.retry.as_mut().unwrap().budget.as_mut().unwrap();
    (budget.burst, budget.per_second, budget.share) = (2, 0.0, 0.01);
    poor.breaker = None;
    let client = client(&[&server], poor);
    for _ in 0..5 {
        client.get("/").send().await.unwrap();
    }
    assert_eq!(server.asked().len(), 5 + 2);
}

#[tokio::test]
async fn a_service_that_is_full_of_our_calls_gets_no_more() {
    let server = Server::of_status(200).await;
    server.stall(true);
    let mut narrow = policy();
    narrow.bulkhead =
        Some(updraft_resilience::bulkhead::BulkheadConfig { max: 1, ..Default::default() });
    let client = client(&[&server], narrow);
    let own = client.clone();
    let held = tokio::spawn(async move { drop(own.get("/").send().await) });
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = client.get("/").send().await;
    assert!(matches!(refused, Err(CallError::Refused(Rejection::Full))), "{refused:?}");
    held.abort();
}
