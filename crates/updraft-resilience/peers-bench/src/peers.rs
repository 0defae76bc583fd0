//! Single policies of other crates.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{Quota, RateLimiter};
use layered::{Execute, Service as _, Stack};
use recloser::{AsyncRecloser, Recloser};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::{Service, ServiceBuilder, service_fn};
use tower_resilience::prelude::*;

use crate::measure::{Batch, Case, drive, repeat};
use crate::ours::{KEYS, next};
use crate::{Failed, work};

static RUNTIME: OnceLock<Handle> = OnceLock::new();

pub fn set_runtime(handle: Handle) {
    drop(RUNTIME.set(handle));
}

pub fn case(
    group: &'static str,
    name: &'static str,
    start: impl Fn() -> Batch + Send + Sync + 'static,
) -> Case {
    let start = move || {
        let mut batch = start();
        let inside: Batch = Box::new(move |count| {
            let _entered = RUNTIME.get().map(Handle::enter);
            batch(count);
        });
        inside
    };
    Case { group, name, ours: false, start: Box::new(start) }
}

/// Calls a tower service as tower demands: ready first. Each thread has its own clone.
pub fn tower_case<S>(group: &'static str, name: &'static str, service: S) -> Case
where
    S: Service<u64, Response = u64> + Clone + Send + Sync + 'static,
{
    let start = move || {
        let mut service = service.clone();
        repeat(move |number| call(&mut service, number).unwrap_or_default())
    };
    case(group, name, start)
}

pub fn call<S: Service<u64>>(service: &mut S, number: u64) -> Result<S::Response, S::Error> {
    drive(std::future::poll_fn(|cx| service.poll_ready(cx)))?;
    drive(service.call(number))
}

/// Calls a service of the crate `layered`.
fn layered_case<S>(group: &'static str, name: &'static str, service: S) -> Case
where
    S: layered::Service<u64, Out = Result<u64, Failed>> + 'static,
{
    let service = Arc::new(service);
    case(group, name, move || {
        let service = Arc::clone(&service);
        repeat(move |number| drive(service.execute(number)).unwrap_or_default())
    })
}

type Outcome = Result<u64, Failed>;

pub fn recovery(outcome: &Outcome) -> RecoveryInfo {
    if outcome.is_ok() { RecoveryInfo::never() } else { RecoveryInfo::retry() }
}

pub fn context() -> ResilienceContext<u64, Outcome> {
    ResilienceContext::new(tick::Clock::new_tokio())
}

pub fn recloser() -> Recloser {
    Recloser::custom().error_rate(0.5).closed_len(100).half_open_len(10).build()
}

pub fn cases() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let mut cases = breakers()?;
    cases.extend(breakers_of_calls());
    cases.extend(bulkheads()?);
    cases.extend(retries()?);
    cases.extend(timeouts());
    cases.extend(limits()?);
    Ok(cases)
}

const BREAKER: &str = "1 Breaker, closed, success";

fn breakers() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    use seatbelt::breaker::Breaker;
    let breaker = || {
        Breaker::layer("breaker", &context())
            .recovery_with(|outcome: &Outcome, _| recovery(outcome))
            .rejected_input_error(|_, _| Failed)
    };
    let counted = CircuitBreakerLayer::builder().sliding_window_size(100).build()?;
    let timed = CircuitBreakerLayer::builder()
        .slow_call_duration_threshold(Duration::from_secs(1))
        .slow_call_rate_threshold(0.5)
        .build()?;
    Ok(vec![
        layered_case(BREAKER, "seatbelt, layered", (breaker(), Execute::new(work)).into_service()),
        tower_case(
            BREAKER,
            "seatbelt, tower",
            ServiceBuilder::new().layer(breaker()).service(service_fn(work)),
        ),
        tower_case(
            BREAKER,
            "tower-resilience, last 100 calls",
            ServiceBuilder::new().layer(counted).service(service_fn(work)),
        ),
        tower_case(
            BREAKER,
            "tower-resilience, slow calls",
            ServiceBuilder::new().layer(timed).service(service_fn(work)),
        ),
    ])
}

fn breakers_of_calls() -> Vec<Case> {
    let default = failsafe::Config::new().build();
    let awaited = default.clone();
    let consecutive = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(
            5,
            failsafe::backoff::constant(Duration::from_secs(5)),
        ))
        .build();
    let (plain, asynchronous) = (Arc::new(recloser()), AsyncRecloser::from(recloser()));
    vec![
        case(BREAKER, "failsafe, default, blocking", move || {
            let breaker = default.clone();
            repeat(move |number: u64| {
                failsafe::CircuitBreaker::call(&breaker, || Ok::<_, Failed>(number + 1))
                    .unwrap_or_default()
            })
        }),
        case(BREAKER, "failsafe, default", move || {
            let breaker = awaited.clone();
            repeat(move |number| {
                drive(failsafe::futures::CircuitBreaker::call(&breaker, work(number)))
                    .unwrap_or_default()
            })
        }),
        case(BREAKER, "failsafe, consecutive, blocking", move || {
            let breaker = consecutive.clone();
            repeat(move |number: u64| {
                failsafe::CircuitBreaker::call(&breaker, || Ok::<_, Failed>(number + 1))
                    .unwrap_or_default()
            })
        }),
        case(BREAKER, "recloser, last 100 calls, blocking", move || {
            let breaker = Arc::clone(&plain);
            repeat(move |number: u64| {
                breaker.call(|| Ok::<_, Failed>(number + 1)).unwrap_or_default()
            })
        }),
        case(BREAKER, "recloser, last 100 calls", move || {
            let breaker = asynchronous.clone();
            repeat(move |number| drive(breaker.call(work(number))).unwrap_or_default())
        }),
    ]
}

fn bulkheads() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    const GROUP: &str = "2 Bulkhead";
    let semaphore = Arc::new(Semaphore::new(1000));
    let awaited = Arc::clone(&semaphore);
    let resilient =
        BulkheadLayer::builder().max_concurrent_calls(1000).reject_when_full().build()?;
    Ok(vec![
        case(GROUP, "tokio `Semaphore::try_acquire`", move || {
            let semaphore = Arc::clone(&semaphore);
            repeat(move |_| semaphore.try_acquire().is_ok())
        }),
        case(GROUP, "tokio `Semaphore::acquire`, awaited", move || {
            let semaphore = Arc::clone(&awaited);
            repeat(move |_| drive(semaphore.acquire()).is_ok())
        }),
        tower_case(
            GROUP,
            "tower `ConcurrencyLimit`",
            ServiceBuilder::new().concurrency_limit(1000).service(service_fn(work)),
        ),
        tower_case(
            GROUP,
            "tower-resilience, fail fast",
            ServiceBuilder::new().layer(resilient).service(service_fn(work)),
        ),
    ])
}

/// Tries again what failed, as long as the budget pays for it.
#[derive(Clone)]
pub struct Budgeted(pub Arc<TpsBudget>);

impl tower::retry::Policy<u64, u64, Failed> for Budgeted {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _request: &mut u64, outcome: &mut Outcome) -> Option<Self::Future> {
        if outcome.is_ok() {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

fn retries() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    use seatbelt::retry::Retry;
    const GROUP: &str = "3 Retry with a budget";
    let retry = Retry::layer("retry", &context())
        .clone_input()
        .recovery_with(|outcome: &Outcome, _| recovery(outcome));
    let budget = tower_resilience::retry::RetryBudgetBuilder::new().token_bucket().build()?;
    let resilient =
        RetryLayer::<u64, u64, Failed>::builder().max_attempts(3).budget(budget).build();
    let budgeted = Budgeted(Arc::new(TpsBudget::default()));
    Ok(vec![
        case(GROUP, "backon (has no budget)", || {
            repeat(|number| {
                drive((|| work(number)).retry(ExponentialBuilder::default())).unwrap_or_default()
            })
        }),
        layered_case(
            GROUP,
            "seatbelt, layered (has no budget)",
            (retry, Execute::new(work)).into_service(),
        ),
        tower_case(
            GROUP,
            "tower `Retry` and `TpsBudget`",
            ServiceBuilder::new().retry(budgeted).service(service_fn(work)),
        ),
        tower_case(
            GROUP,
            "tower-resilience",
            ServiceBuilder::new().layer(resilient).service(service_fn(work)),
        ),
    ])
}

fn timeouts() -> Vec<Case> {
    use seatbelt::timeout::Timeout;
    const GROUP: &str = "4 Timeout, ready at once";
    const SPAN: Duration = Duration::from_secs(1);
    let timeout = Timeout::layer("timeout", &context()).timeout(SPAN).timeout_error(|_| Failed);
    let resilient = TimeLimiterLayer::builder().timeout_duration(SPAN).build();
    vec![
        case(GROUP, "tokio `timeout`", || {
            repeat(|number| match drive(tokio::time::timeout(SPAN, work(number))) {
                Ok(outcome) => outcome.unwrap_or_default(),
                Err(_) => 0,
            })
        }),
        tower_case(
            GROUP,
            "tower `Timeout`",
            ServiceBuilder::new().timeout(SPAN).service(service_fn(work)),
        ),
        layered_case(GROUP, "seatbelt, layered", (timeout, Execute::new(work)).into_service()),
        tower_case(
            GROUP,
            "tower-resilience",
            ServiceBuilder::new().layer(resilient).service(service_fn(work)),
        ),
    ]
}

fn limits() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    const GROUP: &str = "5 Rate limit, allowed";
    let fastest = NonZeroU32::new(1_000_000_000).ok_or("not zero")?;
    let limiter = Arc::new(RateLimiter::direct(Quota::per_second(fastest)));
    let keyed = Arc::new(RateLimiter::dashmap(Quota::per_second(fastest)));
    for key in 0..KEYS {
        drop(keyed.check_key(&key));
    }
    let resilient = RateLimiterLayer::builder()
        .limit_for_period(1_000_000_000)
        .refresh_period(Duration::from_secs(1))
        .build()?;
    Ok(vec![
        case(GROUP, "governor (reads the clock)", move || {
            let limiter = Arc::clone(&limiter);
            repeat(move |_| limiter.check().is_ok())
        }),
        tower_case(
            GROUP,
            "tower-resilience",
            ServiceBuilder::new().layer(resilient).service(service_fn(work)),
        ),
        case(
            "6 State by key, 100 000 keys",
            "governor, by key at random (reads the clock)",
            move || {
                let (limiter, mut key) = (Arc::clone(&keyed), 1);
                repeat(move |_| limiter.check_key(next(&mut key)).is_ok())
            },
        ),
    ])
}
