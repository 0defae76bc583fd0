//! What happens while a request is being answered.

use std::time::Duration;

use tokio::task::JoinHandle;
use updraft::testing::{TestAnswer, TestApp};
use updraft::{ServiceUrl, Variable as _, sql};

use crate::cases::{is_replayed, outcomes, payments};
use crate::fleet::until;
use crate::payments::{Payment, Till, pay_slowly};

fn payment() -> Payment {
    Payment { account: "ann".to_owned(), amount: 3 }
}

fn ask(t: &TestApp<Till>) -> updraft::testing::TestRequest {
    t.call::<pay_slowly>().idempotency_key("k").json(&payment())
}

/// How many requests have come to the gate.
fn waiting(t: &TestApp<Till>) -> usize {
    t.logs().iter().filter(|line| line.message() == "waiting at the gate").count()
}

/// A request that waits at the gate, the `number`th of them.
async fn begun(t: &TestApp<Till>, number: usize) -> JoinHandle<TestAnswer> {
    let asked = ask(t);
    let first = tokio::spawn(async move { asked.await });
    until("a request at the gate", async || waiting(t) == number).await;
    first
}

async fn open(t: &TestApp<Till>) {
    sql::query("INSERT INTO opened VALUES ('ann')").execute(&t.app().db).await.unwrap();
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_request_whose_twin_is_being_answered_is_a_409_that_says_when_to_ask(t: TestApp<Till>) {
    let first = begun(&t, 1).await;
    let refused = ask(&t).await.status(409);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let other = Payment { amount: 4, ..payment() };
    t.call::<pay_slowly>().idempotency_key("k").json(&other).await.status(422);
    open(&t).await;
    first.await.unwrap().status(200);
    assert!(is_replayed(&ask(&t).await.status(200)));
    assert_eq!((payments(&t).await, waiting(&t)), (1, 1));
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn work_whose_client_went_away_goes_on_and_its_answer_is_kept(t: TestApp<Till>) {
    let first = begun(&t, 1).await;
    first.abort();
    first.await.unwrap_err();
    ask(&t).await.status(409);
    open(&t).await;
    until("the answer", async || ask(&t).await.code() == 200).await;
    assert!(is_replayed(&ask(&t).await.status(200)));
    assert_eq!((payments(&t).await, waiting(&t)), (1, 1));
    let done = || t.metric("idempotency_carried_total", &[("outcome", "done")]);
    until("the work that went on is counted", async || 0.5 < done()).await;
}

/// The look at the key is held up until the client has gone, so the handler begins without it.
#[updraft::test(kinds = ["postgres"])]
async fn a_handler_that_begins_when_its_client_is_gone_knows_who_that_was(t: TestApp<Till>) {
    let client = ServiceUrl::parse(&t.serve()).unwrap().client();
    let ask = || {
        let client = client.clone();
        async move { client.post("/origins").idempotency_key("k").send().await }
    };
    let mut keys = t.app().db.begin().await.unwrap();
    let lock = "LOCK TABLE updraft_idempotency IN ACCESS EXCLUSIVE MODE";
    sql::query(lock).execute(&mut keys).await.unwrap();
    let first = tokio::spawn(ask());
    until("the look at the key", async || are_waiting(&t).await == 1).await;
    first.abort();
    first.await.unwrap_err();
    let active = || t.metric("http_server_active_requests", &[("http_request_method", "POST")]);
    until("the client is gone", async || active() < 0.5).await;
    keys.rollback().await.unwrap();
    let done = || t.metric("idempotency_carried_total", &[("outcome", "done")]);
    until("the handler", async || 0.5 < done()).await;
    let kept = ask().await.unwrap();
    assert_eq!(kept.headers()["idempotent-replayed"], "true");
    assert_eq!(kept.body(), "127.0.0.1");
}

/// How many statements wait for a lock in this database.
async fn are_waiting(t: &TestApp<Till>) -> i64 {
    sql::query(
        "SELECT count(*) FROM pg_locks WHERE NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(&t.app().db)
    .await
    .unwrap()
}

#[updraft::test(kinds = ["sqlite", "postgres"], vars = [("REQUEST_TIMEOUT", "50ms")])]
async fn work_whose_time_was_over_goes_on_and_its_answer_is_kept(t: TestApp<Till>) {
    ask(&t).await.status(503);
    open(&t).await;
    until("the answer", async || is_replayed(&ask(&t).await)).await;
    assert_eq!((payments(&t).await, waiting(&t)), (1, 1));
}

/// The lease is renewed by timers, which no test turns: a long one is not renewed meanwhile.
#[updraft::test(
    kinds = ["sqlite", "postgres"],
    vars = [("IDEMPOTENCY_LEASE", "3h"), ("IDEMPOTENCY_TTL", "10h")]
)]
async fn who_has_lost_the_lease_has_no_effect(t: TestApp<Till>) {
    let first = begun(&t, 1).await;
    t.advance(Duration::from_secs(3 * 3600 - 60));
    ask(&t).await.status(409);
    t.advance(Duration::from_secs(60));
    let second = begun(&t, 2).await;
    open(&t).await;
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.code(), second.code()), (409, 200));
    assert_eq!(first.header("retry-after"), Some("1"));
    assert!(is_replayed(&ask(&t).await.status(200)));
    assert_eq!(payments(&t).await, 1);
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_client_waits_for_the_answer_to_its_twin(t: TestApp<Till>) {
    let url = ServiceUrl::parse(&t.serve()).unwrap();
    let client = url.client();
    let first = begun(&t, 1).await;
    // From here on it is counted.
    ask(&t).await.status(409);
    let second = tokio::spawn(async move {
        let call = client.post("/slow-payments").idempotency_key("k").json(&payment());
        call.send().await
    });
    let seen = || t.metric("idempotency_requests_total", &[("outcome", "in_progress")]);
    until("the refusal", async || 1.5 < seen()).await;
    open(&t).await;
    first.await.unwrap().status(200);
    let reply = second.await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["idempotent-replayed"], "true");
    assert_eq!(payments(&t).await, 1);
    outcomes(&t, "recorded", 1);
}
