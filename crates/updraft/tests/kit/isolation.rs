//! Tests that run at once see nothing of each other.

use std::time::Duration;

use updraft::testing::{Setup, TestApp, run};

use crate::depot::{Depot, NewParcel, Parcel, Refused, take_in};
use crate::service;

/// What would meet in a database, a queue, a cache, a folder, a log or a count that two tests
/// share: the same names with other values.
async fn alone(t: TestApp<Depot>, number: u32) {
    let body = NewParcel { id: 1, weight: number };
    t.call::<take_in>().json(&body).await.status(201);
    let app = t.app();
    app.lately.set("number", &number, Duration::from_secs(60)).await.unwrap();
    app.labels.put("number", number.to_string()).await.unwrap();
    tracing::info!(number, "alone");
    // Others do the same meanwhile.
    tokio::task::yield_now().await;

    assert_eq!(t.job_count().await, 1);
    let done = t.run_jobs().await;
    assert_eq!((done.done, done.failed, done.dead), (2, 0, 0));
    let shown: Parcel = t.get("/v1/parcels/1").await.ok();
    assert_eq!(shown, Parcel { id: 1, weight: number, state: "packed".to_owned() });
    assert_eq!(app.lately.get("number").await.unwrap(), Some(number));
    assert_eq!(app.labels.read("number").await.unwrap(), number.to_string());
    let mine = t.logs().iter().filter(|line| line.message() == "alone").count();
    assert_eq!((mine, t.logged("alone").field("number")), (1, Some(&number.into())));
    let posts = [("http_request_method", "POST")];
    let count = t.metric("http_server_request_duration_seconds_count", &posts);
    assert!((count - 1.0).abs() < f64::EPSILON, "{count}");
}

fn eight_at_once(kind: &'static str) {
    std::thread::scope(|scope| {
        for number in 1..=8 {
            scope.spawn(move || run(service, Setup::on(kind), |t| alone(t, number)));
        }
    });
}

#[test]
fn eight_tests_at_once_on_sqlite_see_nothing_of_each_other() {
    eight_at_once("sqlite");
}

#[test]
fn eight_tests_at_once_on_servers_see_nothing_of_each_other() {
    eight_at_once("postgres+redis+nats");
}

#[updraft::test(kinds = ["sqlite", "postgres", "sqlite+redis", "postgres+nats"])]
async fn each_kind_is_what_it_is_called(t: TestApp<Depot>) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let kinds = name.rsplit("::").next().unwrap();
    assert_eq!(t.app().db.sqlite().is_some(), kinds.contains("sqlite"), "{name}");
    assert_eq!(t.app().db.postgres().is_some(), kinds.contains("postgres"), "{name}");
    let fields = t.metric("updraft_build_info", &[]);
    assert!((fields - 1.0).abs() < f64::EPSILON, "{fields}");
}

#[updraft::test(vars = [("HEAVIEST", "3")])]
async fn variables_are_those_of_the_test_and_none_of_its_environment(t: TestApp<Depot>) {
    assert_eq!(t.app().heaviest, 3);
    let refused = t.call::<take_in>().json(&NewParcel { id: 1, weight: 4 }).await;
    let problem = refused.status(409).problem();
    assert_eq!(problem.member("heaviest"), Some(&3.into()));
    assert_eq!(problem.detail(), "At most 3 are taken.");
    // The type that says so stays nameable in a test.
    drop(Refused::TooHeavy { heaviest: 3 });
}
