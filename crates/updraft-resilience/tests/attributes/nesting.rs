//! Several attributes on one function: in the order in which they are written.

use std::time::Duration;

use updraft_resilience::policy::{Policy, handle};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Clock, Rejection, Scope};
use updraft_resilience::{bulkhead, circuit_breaker, guard, retry, timeout};

use crate::{Failure, Target, is_open, secs};

#[retry(attempts = 5, wait = constant("1s"), clock = Clock::tokio())]
#[circuit_breaker(failure_threshold = 2, recovery_timeout = "1h")]
async fn retry_around(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn retries_around_a_circuit_end_when_it_opens() {
    let target = Target::down();
    assert!(is_open(retry_around(&target).await), "what a policy refuses is not tried again");
    assert_eq!(target.asked(), 2, "the circuit hears of each attempt");
    let retries = handle(concat!(module_path!(), "::retry_around::retry")).unwrap();
    assert_eq!(retries.snapshot().counts.retries, 2);
    let breaker = handle(concat!(module_path!(), "::retry_around::circuit_breaker")).unwrap();
    assert!(breaker.breaker().is_some());
}

#[circuit_breaker(failure_threshold = 2, recovery_timeout = "1h")]
#[retry(attempts = 3, wait = constant("1s"), clock = Clock::tokio())]
async fn circuit_around(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn a_circuit_around_retries_hears_of_the_row_as_one_call() {
    let target = Target::down();
    assert_eq!(circuit_around(&target).await, Err(Failure::Target(0)));
    assert_eq!(target.asked(), 3);
    circuit_around(&target).await.unwrap_err();
    assert_eq!(target.asked(), 6);
    assert!(is_open(circuit_around(&target).await));
    assert_eq!(target.asked(), 6);
}

#[circuit_breaker(failure_threshold = 1, recovery_timeout = "1h")]
#[bulkhead(max = 1)]
async fn circuit_around_places(span: Duration) -> Result<u32, Failure> {
    tokio::time::sleep(span).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn refusals_of_an_inner_policy_do_not_open_an_outer_circuit() {
    let (first, second) =
        tokio::join!(circuit_around_places(secs(1)), circuit_around_places(secs(1)));
    assert_eq!((first, second), (Ok(1), Err(Failure::Refused(Rejection::Full))));
    assert_eq!(circuit_around_places(secs(1)).await, Ok(1));
}

#[retry(attempts = 3, wait = constant("1s"), clock = Clock::tokio())]
#[timeout("2s", clock = Clock::tokio())]
async fn retry_around_time(target: &Target, spans: [u64; 3]) -> Result<u32, Failure> {
    target.ask()?;
    let span = spans[target.asked() as usize - 1];
    tokio::time::sleep(secs(span)).await;
    Ok(target.asked())
}

#[timeout(total = "4s", clock = Clock::tokio())]
#[retry(attempts = 3, wait = constant("1s"), clock = Clock::tokio())]
#[timeout("2s", clock = Clock::tokio(), name = "nesting inner time")]
async fn time_around_retry(target: &Target) -> Result<u32, Failure> {
    target.ask()?;
    tokio::time::sleep(secs(60)).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_tried_again() {
    let target = Target::well_after(0);
    assert_eq!(retry_around_time(&target, [60, 60, 1]).await, Ok(3));

    let target = Target::well_after(0);
    let late = Failure::Refused(Rejection::Deadline(Scope::Total));
    assert_eq!(time_around_retry(&target).await, Err(late));
    assert_eq!(target.asked(), 2, "at 0 and 3 s, until 2 and 4 s");
}

#[retry(attempts = 3, wait = constant("1ms"))]
#[circuit_breaker(failure_threshold = 2, recovery_timeout = "1h")]
fn blocking(target: &Target, log: &mut Vec<String>, mut word: String) -> Result<u32, Failure> {
    word.push('!');
    log.push(word);
    target.ask()
}

#[test]
fn blocking_functions_nest_in_the_same_way() {
    let (target, mut log) = (Target::down(), Vec::new());
    assert!(is_open(blocking(&target, &mut log, "go".to_owned())));
    assert_eq!(log, ["go!", "go!"]);
}

struct Orders {
    policy: Policy,
    target: Target,
}

impl Orders {
    #[guard(policy = self.policy)]
    #[circuit_breaker(failure_threshold = 1, recovery_timeout = "1h", name = "nesting guarded")]
    async fn fetch(&self, id: String) -> Result<String, Failure> {
        self.target.ask()?;
        Ok(id)
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_policy_sees_refusals_as_errors_of_the_function() {
    let retry = RetryConfig { attempts: 3, ..RetryConfig::default() };
    let policy = Policy::named("nesting given").clock(Clock::tokio()).retry(retry).build().unwrap();
    let orders = Orders { policy, target: Target::down() };
    let outcome = orders.fetch("7".to_owned()).await;
    assert!(is_open(outcome.map(|_| 0)), "its classifier, which takes any error, goes on");
    assert_eq!(orders.target.asked(), 1);
    assert_eq!(handle("nesting given").unwrap().snapshot().counts.retries, 2);
}
