//! Tests that fail: each is run as a process of its own, and its output is read.

use std::process::{Command, Output};

use updraft::testing::TestApp;

use crate::depot::{Depot, show};

#[updraft::test]
#[ignore = "it fails, for another test to see"]
async fn doomed_by_a_panic(t: TestApp<Depot>) {
    tracing::warn!(parcel = 7, "something is odd");
    t.call::<show>().path("id", 7).await.ok::<serde_json::Value>();
}

#[updraft::test]
#[ignore = "it fails, for another test to see"]
async fn doomed_by_an_error(t: TestApp<Depot>) -> Result<(), updraft::BoxError> {
    tracing::warn!("something is odd");
    drop(t);
    Err("canary of the test".into())
}

#[updraft::test(vars = [("HEAVYEST", "3")])]
#[ignore = "it fails, for another test to see"]
async fn doomed_by_a_variable_that_nobody_reads(_t: TestApp<Depot>) {}

#[updraft::test(vars = [("HEAVIEST", "much")])]
#[ignore = "it fails, for another test to see"]
async fn doomed_by_a_value(_t: TestApp<Depot>) {}

#[updraft::test(vars = [("SHUTDOWN_GRACE", "100ms")])]
#[ignore = "it fails, for another test to see"]
async fn doomed_by_work_that_does_not_end(t: TestApp<Depot>) {
    let stop = t.app().stop();
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(stop);
    });
}

fn doomed(name: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", &format!("failing::doomed_by_{name}")]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!status.success() && text.contains("1 failed"), "{text}");
    text
}

#[test]
fn a_test_that_fails_shows_the_answer_and_the_log() {
    let text = doomed("a_panic");
    for part in [
        "tests/kit/failing.rs",
        "GET /v1/parcels/7 → 404 Not Found",
        "There is no parcel 7",
        " WARN something is odd parcel=7",
    ] {
        assert!(text.contains(part), "no `{part}`: {text}");
    }
}

#[test]
fn an_error_fails_the_test_and_shows_the_log() {
    let text = doomed("an_error");
    assert!(text.contains("canary of the test") && text.contains("something is odd"), "{text}");
}

#[test]
fn a_variable_that_nobody_reads_fails_the_test() {
    let text = doomed("a_variable_that_nobody_reads");
    assert!(text.contains("reads HEAVYEST; it reads") && text.contains("HEAVIEST"), "{text}");
}

#[test]
fn a_wrong_value_fails_the_test_with_the_report() {
    let text = doomed("a_value");
    assert!(text.contains("HEAVIEST") && text.contains("whole number"), "{text}");
}

#[test]
fn work_that_does_not_end_fails_the_test() {
    let text = doomed("work_that_does_not_end");
    assert!(text.contains("did not end cleanly") && text.contains("SHUTDOWN_GRACE"), "{text}");
}
