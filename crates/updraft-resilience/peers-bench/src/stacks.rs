//! Timeout, retry, breaker and bulkhead together: what most targets need.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use layered::{Execute, Service as _, Stack};
use recloser::AsyncRecloser;
use tokio::sync::Semaphore;
use tower::retry::budget::TpsBudget;
use tower::{ServiceBuilder, service_fn};
use tower_resilience::prelude::*;
use updraft_resilience::breaker::BreakerConfig;
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::PolicyBuilder;
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Clock, Policy};

use crate::measure::{Case, drive, repeat};
use crate::ours::policy;
use crate::peers::{Budgeted, call, case, context, recloser, recovery, tower_case};
use crate::{Failed, work};

const GROUP: &str = "7 Timeout, retry, breaker and bulkhead";
const SPAN: Duration = Duration::from_secs(1);

fn four(name: &'static str) -> PolicyBuilder {
    Policy::named(name)
        .retry(RetryConfig::default())
        .breaker(BreakerConfig::default())
        .bulkhead(BulkheadConfig { max: 1000, queue: 0, ..BulkheadConfig::default() })
        .attempt_timeout(SPAN)
}

pub fn cases() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let mut cases = ours()?;
    cases.extend(peers()?);
    Ok(cases)
}

fn ours() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let blocking: Policy = four("blocking").build()?;
    let layer = four("layers").build()?.layer();
    let queued = BulkheadConfig { max: 1000, queue: 100, ..BulkheadConfig::default() };
    let keyed = Arc::new(four("keyed").build()?.keyed::<u64>(2048));
    let changed: Policy = four("changed").build()?;
    changed.handle().update(|config| config.attempt_timeout = Some(SPAN * 2))?;
    Ok(vec![
        policy(GROUP, "`Policy::call`", four("stack"))?,
        policy(
            GROUP,
            "`Policy::call`, with a total deadline",
            four("deadline").deadline(SPAN * 3),
        )?,
        policy(GROUP, "`Policy::call`, with a queue", four("queued").bulkhead(queued))?,
        policy(GROUP, "`Policy::call`, with a listener", four("heard").on_event(|_, _| {}))?,
        policy(GROUP, "`Policy::call`, the clock of tokio", four("tokio").clock(Clock::tokio()))?,
        Case {
            group: GROUP,
            name: "`Policy::call`, after an update",
            ours: true,
            start: Box::new(move || {
                let policy = changed.clone();
                repeat(move |number| drive(policy.call(|_| work(number))).unwrap_or_default())
            }),
        },
        Case {
            group: GROUP,
            name: "`Policy::call_blocking`",
            ours: true,
            start: Box::new(move || {
                let policy = blocking.clone();
                repeat(move |number: u64| {
                    policy.call_blocking(|_| Ok::<_, Failed>(number + 1)).unwrap_or_default()
                })
            }),
        },
        Case {
            group: GROUP,
            name: "`Policy::layer`, tower",
            ours: true,
            start: Box::new(move || {
                let mut service =
                    ServiceBuilder::new().layer(layer.clone()).service(service_fn(work));
                repeat(move |number| call(&mut service, number).unwrap_or_default())
            }),
        },
        Case {
            group: GROUP,
            name: "`Policy::keyed` with 1000 keys, `call`",
            ours: true,
            start: Box::new(move || {
                let (keyed, mut key) = (Arc::clone(&keyed), 1);
                repeat(move |number| {
                    let key = *crate::ours::next(&mut key) % 1000;
                    drive(keyed.get(&key).call(|_| work(number))).unwrap_or_default()
                })
            }),
        },
    ])
}

fn peers() -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    use seatbelt::breaker::Breaker;
    use seatbelt::retry::Retry;
    use seatbelt::timeout::Timeout;
    let resilient = ServiceBuilder::new()
        .layer(RetryLayer::<u64, u64, Failed>::builder().max_attempts(3).build())
        .map_err(|_| Failed)
        .layer(CircuitBreakerLayer::builder().sliding_window_size(100).build()?)
        .map_err(|_| Failed)
        .layer(BulkheadLayer::builder().max_concurrent_calls(1000).reject_when_full().build()?)
        .map_err(|_| Failed)
        .layer(TimeLimiterLayer::builder().timeout_duration(SPAN).build())
        .service(service_fn(work));
    let context = context();
    let seatbelt = (
        Retry::layer("retry", &context)
            .clone_input()
            .recovery_with(|outcome: &Result<u64, Failed>, _| recovery(outcome)),
        Breaker::layer("breaker", &context)
            .recovery_with(|outcome: &Result<u64, Failed>, _| recovery(outcome))
            .rejected_input_error(|_, _| Failed),
        Timeout::layer("timeout", &context).timeout(SPAN).timeout_error(|_| Failed),
        Execute::new(work),
    );
    let seatbelt = Arc::new(seatbelt.into_service());
    let tower = ServiceBuilder::new()
        .retry(Budgeted(Arc::new(TpsBudget::default())))
        .map_err(|_| Failed)
        .concurrency_limit(1000)
        .timeout(SPAN)
        .service(service_fn(work));
    let (semaphore, breaker) = (Arc::new(Semaphore::new(1000)), AsyncRecloser::from(recloser()));
    Ok(vec![
        case(
            GROUP,
            "by hand: tokio `Semaphore` and `timeout`, backon, recloser (no budget)",
            move || {
                let (semaphore, breaker) = (Arc::clone(&semaphore), breaker.clone());
                repeat(move |number| {
                    let attempt = || async {
                        let _place = semaphore.try_acquire().map_err(|_| Failed)?;
                        let timed = async {
                            tokio::time::timeout(SPAN, work(number)).await.map_err(|_| Failed)?
                        };
                        breaker.call(timed).await.map_err(|_| Failed)
                    };
                    drive(attempt.retry(ExponentialBuilder::default())).unwrap_or_default()
                })
            },
        ),
        case(GROUP, "seatbelt, layered (no bulkhead, no budget)", move || {
            let service = Arc::clone(&seatbelt);
            repeat(move |number| drive(service.execute(number)).unwrap_or_default())
        }),
        tower_case(GROUP, "tower (no breaker)", tower),
        tower_case(GROUP, "tower-resilience (no budget)", resilient),
    ])
}
