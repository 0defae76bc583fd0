//! The cases of the draft (draft-ietf-httpapi-idempotency-key-header-07, section 2), one by one.

use std::time::Duration;

use serde_json::json;
use updraft::sql;
use updraft::testing::{SpanValue, TestAnswer, TestApp};

use crate::payments::{Payment, Till, affect, measure, pay};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn payment(amount: i64) -> Payment {
    Payment { account: "ann".to_owned(), amount }
}

/// How many rows there are.
pub(crate) async fn count(t: &TestApp<Till>, text: &'static str) -> i64 {
    sql::query(text).fetch_one(&t.app().db).await.unwrap()
}

pub(crate) async fn payments(t: &TestApp<Till>) -> i64 {
    count(t, "SELECT count(*) FROM payment").await
}

async fn effects(t: &TestApp<Till>) -> i64 {
    count(t, "SELECT count(*) FROM effect").await
}

pub(crate) fn is_replayed(answer: &TestAnswer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[track_caller]
pub(crate) fn outcomes(t: &TestApp<Till>, outcome: &str, expected: u32) {
    let found = t.metric("idempotency_requests_total", &[("outcome", outcome)]);
    assert!((found - f64::from(expected)).abs() < f64::EPSILON, "{outcome}: {found}");
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn the_same_request_again_gets_the_same_answer_and_has_no_effect(t: TestApp<Till>) {
    let first = t.call::<pay>().idempotency_key("k1").json(&payment(5)).await.status(201);
    assert!(!is_replayed(&first));
    // In double quotes or bare, it is the same key.
    for header in ["\"k1\"", "k1"] {
        let again = t.call::<pay>().header("idempotency-key", header).json(&payment(5)).await;
        let again = again.status(201);
        assert!(is_replayed(&again));
        assert_eq!(again.bytes(), first.bytes());
        for name in ["location", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(again.header("location"), Some("/v1/payments/ann"));
    }
    assert_eq!(payments(&t).await, 1);
    t.call::<pay>().idempotency_key("k2").json(&payment(5)).await.status(201);
    assert_eq!(payments(&t).await, 2);

    outcomes(&t, "recorded", 2);
    outcomes(&t, "replayed", 2);
    let spans = t.spans();
    let told: Vec<_> = spans.iter().filter_map(|it| it.attribute("updraft.idempotency")).collect();
    let expected = ["recorded", "replayed", "replayed", "recorded"];
    assert_eq!(told, expected.map(|it| SpanValue::Text(it.to_owned())).iter().collect::<Vec<_>>());
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn the_same_key_with_another_request_is_a_422(t: TestApp<Till>) {
    let effect = |query: &str, media: &str, body: &'static str| {
        t.request(http::Method::PATCH, format!("/effects?status=200{query}"))
            .idempotency_key("k")
            .body(media, body)
    };
    effect("", "text/plain", "a").await.status(200);
    for other in [
        effect("", "text/plain", "b"),
        effect("", "text/plain", ""),
        effect("", "text/plain; charset=utf-8", "a"),
        effect("&length=1", "text/plain", "a"),
    ] {
        let refused = other.await.status(422).problem();
        assert_eq!(refused.detail(), "this Idempotency-Key was sent before with another request");
    }
    assert_eq!(effects(&t).await, 1);
    // Another operation has keys of its own.
    t.call::<measure>().idempotency_key("k").body("text/plain", "a").await.status(200);
    outcomes(&t, "other_request", 4);
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_key_that_is_missing_or_none_is_a_400_and_has_no_effect(t: TestApp<Till>) {
    let missing = t.call::<pay>().json(&payment(1)).await.status(400).problem();
    assert!(missing.detail().contains("Idempotency-Key"), "{missing:?}");
    for header in ["", "\"open", "two words", "\"\""] {
        let bad = t.call::<pay>().header("idempotency-key", header).json(&payment(1)).await;
        bad.status(400);
    }
    let twice = t.call::<pay>().idempotency_key("a").idempotency_key("b").json(&payment(1)).await;
    twice.status(400);
    assert_eq!(payments(&t).await, 0);
    // Where it is optional, requests without it have an effect each.
    for _ in 0..2 {
        let answer = t.call::<affect>().query("status", 200).body("text/plain", "a").await;
        assert!(!is_replayed(&answer.status(200)));
    }
    assert_eq!(effects(&t).await, 2);
    outcomes(&t, "invalid_key", 6);
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn what_may_go_better_later_is_not_kept_and_all_else_is(t: TestApp<Till>) {
    for (status, is_kept) in [
        (200, true),
        (400, true),
        (401, false),
        (403, false),
        (404, true),
        (408, false),
        (409, true),
        // With `Retry-After`.
        (410, false),
        (422, true),
        (425, false),
        (429, false),
        (500, false),
        (503, false),
        // It panics.
        (0, false),
    ] {
        let before = effects(&t).await;
        let ask = || {
            let ask = t.call::<affect>().query("status", status).idempotency_key(status);
            ask.body("text/plain", "a")
        };
        let expected = if status == 0 { 500 } else { status };
        let first = ask().await.status(expected);
        let again = ask().await.status(expected);
        assert_eq!(is_replayed(&again), is_kept, "{status}");
        if is_kept {
            assert_eq!(again.bytes(), first.bytes(), "{status}");
        }
        let count = effects(&t).await - before;
        assert_eq!(count, if is_kept { 1 } else { 2 }, "{status}");
    }
}

#[updraft::test]
async fn a_request_that_no_handler_has_seen_keeps_no_key(t: TestApp<Till>) {
    for wrong in [json!({ "account": 7 }), json!([])] {
        t.call::<pay>().idempotency_key("k").json(&wrong).await.status(422);
    }
    t.call::<pay>().idempotency_key("k").body("text/plain", "a").await.status(415);
    t.call::<pay>().idempotency_key("k").json(&payment(1)).await.status(201);
    assert_eq!(payments(&t).await, 1);
}

#[updraft::test]
async fn headers_of_the_handler_are_kept_and_secrets_of_one_exchange_are_not(t: TestApp<Till>) {
    let ask = || t.call::<affect>().query("status", 200).idempotency_key("k").body("a/b", "a");
    let (first, again) = (ask().await, ask().await);
    let all = |answer: &TestAnswer| -> Vec<String> {
        let all = answer.headers().get_all("x-till").iter();
        all.map(|it| it.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all(&first), ["one", "two"]);
    assert_eq!(all(&again), ["one", "two"]);
    assert_eq!(first.header("set-cookie"), Some("secret=1"));
    assert_eq!(again.header("set-cookie"), None);
    let kept: String =
        sql::query("SELECT head FROM updraft_idempotency").fetch_one(&t.app().db).await.unwrap();
    assert!(!kept.contains("secret"), "{kept}");
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_body_may_be_as_long_as_any_and_an_answer_that_is_too_long_is_not_given_again(
    t: TestApp<Till>,
) {
    let most = 1024 * 1024;
    let send =
        |length: usize| t.call::<measure>().idempotency_key("k").body("a/b", vec![b'x'; length]);
    assert_eq!(send(most).await.ok::<usize>(), most);
    let again = send(most).await;
    assert!(is_replayed(&again));
    assert_eq!(again.ok::<usize>(), most);

    let before = effects(&t).await;
    for (length, status) in [(most - 2, 200), (most + 10, 409)] {
        let ask = || {
            let ask = t.call::<affect>().query("status", 200).query("length", length);
            ask.idempotency_key(length).body("a/b", "a")
        };
        assert_eq!(ask().await.status(200).json::<String>().len(), length);
        let again = ask().await.status(status);
        match status {
            200 => assert_eq!(again.json::<String>().len(), length),
            _ => assert_eq!(again.header("retry-after"), None),
        }
    }
    assert_eq!(effects(&t).await - before, 2);
}

#[updraft::test(vars = [("MAX_BODY_BYTES", "4096")])]
async fn a_body_that_is_too_long_keeps_no_key(t: TestApp<Till>) {
    let send =
        |length: usize| t.call::<measure>().idempotency_key("k").body("a/b", vec![b'x'; length]);
    send(4097).await.status(413);
    assert_eq!(send(4096).await.ok::<usize>(), 4096);
    assert_eq!(effects(&t).await, 1);
}

#[updraft::test(kinds = ["sqlite", "postgres"])]
async fn a_key_is_forgotten_when_its_time_is_over(t: TestApp<Till>) {
    let ask = |amount| t.call::<pay>().idempotency_key("k").json(&payment(amount));
    ask(1).await.status(201);
    t.advance(DAY - Duration::from_secs(60));
    assert!(is_replayed(&ask(1).await.status(201)));
    t.advance(Duration::from_secs(60));
    // Free for any request, swept or not.
    assert!(!is_replayed(&ask(2).await.status(201)));
    ask(1).await.status(422);
    assert_eq!(payments(&t).await, 2);
}

#[updraft::test]
async fn no_log_and_no_span_has_a_body_or_a_key(t: TestApp<Till>) {
    for status in [200, 404, 500, 0] {
        for _ in 0..2 {
            let ask = t.call::<affect>().query("status", status);
            ask.idempotency_key(format_args!("canary-key-{status}"))
                .body("text/plain", "canary-body")
                .await;
        }
    }
    let seen = format!("{} {:?}", t.logs(), t.spans());
    assert!(!seen.contains("canary"), "{seen}");
    assert!(seen.contains("the till panicked on purpose"), "{seen}");
    let found = count(&t, "SELECT count(*) FROM updraft_idempotency WHERE id LIKE '%canary%'");
    assert_eq!(found.await, 0);
}

#[updraft::test]
async fn the_contract_has_the_header_and_what_comes_of_it(t: TestApp<Till>) {
    let contract: serde_json::Value = t.get("/v1/openapi.json").await.ok();
    for (path, method, required) in [("/payments", "post", true), ("/effects", "patch", false)] {
        let operation = &contract["paths"][path][method];
        let header = operation["parameters"].as_array().unwrap().iter();
        let header: Vec<_> = header.filter(|it| it["in"] == "header").collect();
        assert_eq!(header.len(), 1, "{operation}");
        assert_eq!(header[0]["name"], "idempotency-key");
        assert_eq!(header[0]["required"], required);
        for status in ["400", "409", "422"] {
            assert!(operation["responses"][status].is_object(), "{status}: {operation}");
        }
        assert!(operation["responses"]["409"]["headers"]["retry-after"].is_object());
    }
}
