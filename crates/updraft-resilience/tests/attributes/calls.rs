//! Each attribute alone: what it does to the calls of an async and of a blocking function.

use std::time::Duration;

use tokio::time::Instant;
use updraft_resilience::breaker::State;
use updraft_resilience::policy::handle;
use updraft_resilience::{Clock, Rejection, Scope};
use updraft_resilience::{bulkhead, circuit_breaker, retry, timeout};

use crate::{Failure, Target, is_open, secs};

#[circuit_breaker(failure_threshold = 5, recovery_timeout = "60s", clock = Clock::tokio(), name = "calls five")]
async fn five(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_after_the_failures_and_is_probed_after_the_time() {
    let target = Target::well_after(5);
    for n in 1..=5 {
        assert_eq!(five(&target).await, Err(Failure::Target(n)));
    }
    assert!(is_open(five(&target).await));
    assert_eq!(target.asked(), 5, "the sixth call is not run");

    tokio::time::advance(secs(59)).await;
    assert!(is_open(five(&target).await));
    tokio::time::advance(secs(1)).await;
    assert_eq!(five(&target).await, Ok(42), "the probe");
    assert_eq!(handle("calls five").unwrap().snapshot().breaker.unwrap().state, State::Closed);
}

#[circuit_breaker(failure_threshold = 2, recovery_timeout = "1h", name = "calls forced")]
fn forced(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[test]
fn a_circuit_is_in_the_hands_of_its_handle() {
    let target = Target::new([Ok(1)]);
    assert!(handle("calls forced").is_none(), "it is there from the first call on");
    assert_eq!(forced(&target), Ok(1));
    let breaker = handle("calls forced").unwrap().breaker().unwrap();
    breaker.force_open();
    assert!(is_open(forced(&target)));
    breaker.force_close();
    assert_eq!(forced(&target), Ok(1));
    assert_eq!(target.asked(), 2);

    breaker.resume();
    let target = Target::down();
    for _ in 0..3 {
        forced(&target).unwrap_err();
    }
    assert_eq!(target.asked(), 2, "the third call is not run");
}

#[circuit_breaker(failure_rate = 0.5, window = 10, half_open_calls = 3, name = "calls rate")]
fn rate(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[test]
fn a_small_window_is_full_before_its_rate_counts() {
    let down = Target::down();
    for _ in 0..20 {
        rate(&down).unwrap_err();
    }
    assert_eq!(down.asked(), 10);
}

#[retry(attempts = 3, wait = exponential(min = "2s", max = "10s", multiplier = 1), jitter = "none", clock = Clock::tokio())]
async fn thrice(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_run_again_after_its_wait() {
    let (target, begin) = (Target::well_after(2), Instant::now());
    assert_eq!(thrice(&target).await, Ok(42));
    assert_eq!(target.asked(), 3);
    let elapsed = begin.elapsed();
    assert!(secs(4) <= elapsed && elapsed < secs(5), "{elapsed:?}");

    let target = Target::well_after(3);
    assert_eq!(thrice(&target).await, Err(Failure::Target(3)), "the last failure");
    assert_eq!(target.asked(), 3);
}

#[retry(attempts = 7, wait = exponential(min = "3s", max = "10s", multiplier = 1, factor = 2),
    jitter = "none", budget = false, clock = Clock::tokio())]
async fn as_tenacity(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

/// `wait_exponential(multiplier=1, min=3, max=10)` of tenacity: 3 3 4 8 10 10.
#[tokio::test(start_paused = true)]
async fn a_multiplier_is_what_it_is_in_tenacity() {
    let (target, begin) = (Target::down(), Instant::now());
    as_tenacity(&target).await.unwrap_err();
    assert_eq!(begin.elapsed().as_secs(), 3 + 3 + 4 + 8 + 10 + 10);
}

#[retry(attempts = 9, wait = linear(first = "1s", step = "1s"), elapsed = "7s", jitter = "none", clock = Clock::tokio())]
async fn not_for_ever(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_when_the_time_has_elapsed() {
    let target = Target::down();
    not_for_ever(&target).await.unwrap_err();
    assert_eq!(target.asked(), 4, "at 0, 1, 3 and 6 s");
}

#[retry(attempts = 4, wait = constant("1ms"))]
fn blocking(target: &Target, add: u32) -> Result<u32, Failure> {
    Ok(target.ask()? + add)
}

#[test]
fn a_blocking_function_is_run_again_on_its_thread() {
    let target = Target::well_after(3);
    assert_eq!(blocking(&target, 1), Ok(43));
    assert_eq!(target.asked(), 4);
}

#[bulkhead(max = 1, clock = Clock::tokio(), name = "calls one")]
async fn one(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[bulkhead(max = 1, queue = 1, max_wait = "5s", clock = Clock::tokio())]
async fn one_and_one(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_place_is_held_while_the_function_runs() {
    let (first, second) = tokio::join!(one(secs(1)), one(secs(1)));
    assert_eq!((first, second), (Ok(1), Err(Failure::Refused(Rejection::Full))));
    assert_eq!(one(secs(1)).await, Ok(1), "the place was given back");
    let cancelled = tokio::time::timeout(secs(1), one(secs(9))).await;
    assert!(cancelled.is_err());
    assert_eq!(handle("calls one").unwrap().snapshot().bulkhead.unwrap().in_use, 0);

    let (first, second, third) =
        tokio::join!(one_and_one(secs(1)), one_and_one(secs(1)), one_and_one(secs(1)));
    assert_eq!((first, second), (Ok(1), Ok(1)), "the second waits for the first");
    assert_eq!(third, Err(Failure::Refused(Rejection::Full)));
}

#[timeout("2s", clock = Clock::tokio())]
async fn slow(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[timeout(attempt = "2s", total = "1h", clock = Clock::tokio())]
async fn slow_by_name(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[timeout(total = "3s", clock = Clock::tokio())]
async fn slow_in_all(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_cut_off() {
    let begin = Instant::now();
    assert_eq!(slow(secs(1)).await, Ok(1));
    let late = |scope| Err(Failure::Refused(Rejection::Deadline(scope)));
    assert_eq!(slow(secs(60)).await, late(Scope::Attempt));
    assert_eq!(slow_by_name(secs(60)).await, late(Scope::Attempt));
    assert_eq!(slow_in_all(secs(60)).await, late(Scope::Total));
    assert_eq!(begin.elapsed().as_secs(), 1 + 2 + 2 + 3);
}

#[timeout("2s")]
fn told_its_time() -> Result<Option<Duration>, Failure> {
    let now = Clock::system().now();
    Ok(updraft_resilience::deadline::current().map(|deadline| deadline.remaining(now)))
}

#[test]
fn a_blocking_function_is_told_its_time() {
    let left = told_its_time().unwrap().unwrap();
    assert!(secs(1) < left && left <= secs(2), "{left:?}");
}
