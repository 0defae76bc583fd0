//! The policies behind attributes: their names, their handles, and those that were there
//! before.

use std::cell::RefCell;
use std::sync::LazyLock;

use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::{Policy, handle, snapshots};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Clock, Priority, Rejection};
use updraft_resilience::{bulkhead, guard, retry, timeout};

use crate::{Failure, Target, secs};

#[retry]
fn without_a_name(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[timeout("1s")]
fn r#match(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[test]
fn a_policy_has_the_path_of_its_function_for_a_name() {
    const NAME: &str = concat!(module_path!(), "::without_a_name");
    let target = Target::well_after(0);
    without_a_name(&target).unwrap();
    assert_eq!(handle(NAME).unwrap().name(), NAME);
    assert_eq!(handle(NAME).unwrap().config().retry, Some(RetryConfig::default()));
    assert!(snapshots().iter().any(|snapshot| snapshot.name == NAME));

    r#match(&target).unwrap();
    assert!(handle(concat!(module_path!(), "::match")).is_some());
}

#[bulkhead(max = 3, queue = 2, max_wait = "1s", name = "policies fields")]
fn fields(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[test]
fn fields_become_the_configuration_and_can_be_changed() {
    let target = Target::well_after(0);
    fields(&target).unwrap();
    let handle = handle("policies fields").unwrap();
    let expected =
        BulkheadConfig { max: 3, queue: 2, max_wait: secs(1), ..BulkheadConfig::default() };
    assert_eq!(handle.config().bulkhead, Some(expected));

    let down = Target::down();
    handle.update(|config| config.retry = Some(RetryConfig::default())).unwrap();
    fields(&down).unwrap_err();
    assert_eq!(down.asked(), 1, "its arguments are there for one attempt only");
}

/// Something that cannot be cloned.
struct Ticket(u32);

static SHARED: LazyLock<Policy> = LazyLock::new(|| {
    let retry = RetryConfig { attempts: 3, ..RetryConfig::default() };
    Policy::named("policies shared").retry(retry).build().expect("a sound policy")
});

#[guard(policy = SHARED)]
async fn shared(target: &Target) -> Result<u32, Failure> {
    target.ask()
}

#[guard(policy = SHARED, once)]
async fn shared_once(target: &Target, ticket: Ticket) -> Result<u32, Failure> {
    Ok(target.ask()? + ticket.0)
}

#[guard(policy = SHARED, once)]
fn shared_once_blocking(target: &Target, ticket: Ticket) -> Result<u32, Failure> {
    Ok(target.ask()? + ticket.0)
}

#[tokio::test(start_paused = true)]
async fn a_policy_in_a_static_guards_and_once_means_one_attempt() {
    let target = Target::well_after(2);
    assert_eq!(shared(&target).await, Ok(42));
    assert_eq!(target.asked(), 3);

    let target = Target::well_after(1);
    assert_eq!(shared_once(&target, Ticket(1)).await, Err(Failure::Target(1)));
    assert_eq!(target.asked(), 1);
    assert_eq!(shared_once(&target, Ticket(1)).await, Ok(43));

    let target = Target::well_after(1);
    assert_eq!(shared_once_blocking(&target, Ticket(1)), Err(Failure::Target(1)));
    assert_eq!(shared_once_blocking(&target, Ticket(1)), Ok(43));
}

struct Orders {
    orders: Policy,
}

struct Request {
    priority: Priority,
    answer: u32,
}

impl Orders {
    #[guard(policy = self.orders, once, priority = request.priority)]
    async fn fetch(&self, request: Request, log: &RefCell<Vec<u32>>) -> Result<(), Failure> {
        tokio::time::sleep(secs(1)).await;
        log.borrow_mut().push(request.answer);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_in_a_field_guards_and_the_important_go_first() {
    let places =
        BulkheadConfig { max: 1, queue: 2, max_wait: secs(60), ..BulkheadConfig::default() };
    let orders =
        Policy::named("policies field").clock(Clock::tokio()).bulkhead(places).build().unwrap();
    let (orders, log) = (Orders { orders }, RefCell::default());
    let fetch = |answer, priority| orders.fetch(Request { priority, answer }, &log);
    let outcomes = tokio::join!(
        fetch(1, Priority::Normal),
        fetch(2, Priority::Low),
        fetch(3, Priority::Critical),
        fetch(4, Priority::Normal),
    );
    assert_eq!(log.into_inner(), [1, 3, 4]);
    assert_eq!(outcomes.1, Err(Failure::Refused(Rejection::Full)));
}

/// Functions with the most that the compiler lets pass, and the least.
mod extremes {
    use updraft_resilience::{bulkhead, circuit_breaker, retry, timeout};

    use crate::Failure;

    macro_rules! guarded_by {
        ($($function:ident: $attribute:meta;)*) => {
            $(
                #[$attribute]
                fn $function() -> Result<u32, Failure> {
                    Ok(1)
                }
            )*

            #[test]
            fn what_the_compiler_lets_pass_can_be_built() {
                $(assert_eq!($function(), Ok(1), stringify!($attribute));)*
            }
        };
    }

    guarded_by! {
        least_threshold: circuit_breaker(failure_threshold = 1, recovery_timeout = "1ms");
        most_threshold: circuit_breaker(failure_threshold = 4_294_967_295, half_open_calls = 500);
        least_rate: circuit_breaker(failure_rate = 1e-300, window = 1, half_open_calls = 1);
        most_rate: circuit_breaker(failure_rate = 1, window = 65536, min_calls = 65536);
        least_time: circuit_breaker(failure_rate = 0.5, window = "100ms", min_calls = 1);
        most_time: circuit_breaker(failure_rate = 0.5, window = "24h", min_calls = 30_000);
        long_recovery: circuit_breaker(failure_threshold = 1, recovery_timeout = "500000years");
        two_trips: circuit_breaker(failure_threshold = 9, failure_rate = 0.5);
        least_attempts: retry(attempts = 1, elapsed = "1ns", budget = true);
        most_attempts: retry(attempts = 4294967295, budget = false);
        no_wait: retry(wait = constant("0s"), jitter = "equal");
        no_growth: retry(wait = linear(first = "0s", step = "0s", max = "0s"));
        long_linear: retry(wait = linear(first = "1h", step = "1year"));
        least_exponential: retry(
            wait = exponential(min = "0s", max = "1ns", multiplier = 0.000_000_001, factor = 1)
        );
        most_exponential: retry(
            wait = exponential(min = "1year", max = "1year", multiplier = 1e15, factor = 1e300),
            jitter = "decorrelated"
        );
        least_fibonacci: retry(wait = fibonacci(unit = "1ns", max = "1ns"), jitter = "full");
        least_places: bulkhead(max = 1, queue = 1, max_wait = "1ns");
        most_places: bulkhead(max = 2147483647, queue = 4294967295);
        no_queue: bulkhead(max = 1, queue = 0, max_wait = "1s");
        most_timeout: timeout(attempt = "500000years", total = "500000years");
    }
}
