//! Runs one path of a call, many times: so that instructions can be counted, which says the
//! same on every machine, where a time does not.
//!
//! `hot_path PATH CALLS`, or nothing to list the paths. `cargo xtask instructions` counts.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use updraft_resilience::breaker::{Breaker, BreakerConfig, Trip, Window};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig};
use updraft_resilience::keyed::Keyed;
use updraft_resilience::policy::PolicyBuilder;
use updraft_resilience::rate_limit::{RateLimitConfig, RateLimiter};
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{ManualClock, Policy, Verdict};

type Outcome = Result<(), Box<dyn Error>>;

/// Runs a path so many times.
type Run = fn(u64) -> Outcome;

const PATHS: [(&str, Run); 14] = [
    ("plain", plain),
    ("breaker_consecutive", |calls| breaker(Trip::consecutive(5), calls)),
    ("breaker_count", |calls| breaker(Trip::failure_rate(0.5).over(Window::Count(128)), calls)),
    ("breaker_time", |calls| breaker(Trip::failure_rate(0.5), calls)),
    ("breaker_slow", |calls| breaker(Trip::slow_rate(0.5), calls)),
    ("bulkhead", bulkhead),
    ("rate_limit", rate_limit),
    ("keyed", keyed),
    ("policy_empty", |calls| policy(named(), calls)),
    ("policy_retry", |calls| policy(named().retry(RetryConfig::default()), calls)),
    ("policy_timeout", |calls| policy(named().attempt_timeout(Duration::from_secs(1)), calls)),
    ("policy_breaker", |calls| policy(named().breaker(BreakerConfig::default()), calls)),
    ("policy_four", |calls| policy(four(), calls)),
    ("policy_four_blocking", blocking),
];

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (path, calls) = (arguments.next(), arguments.next());
    let calls = calls.map_or(Ok(1000), |calls| calls.parse())?;
    let Some(path) = path else {
        return Ok(writeln!(std::io::stdout(), "{}", PATHS.map(|(name, _)| name).join("\n"))?);
    };
    let run = PATHS.iter().find(|(name, _)| *name == path);
    let (_, run) = run.ok_or_else(|| format!("there is no path `{path}`"))?;
    run(calls)
}

#[expect(clippy::unused_async, reason = "an operation that is ready")]
async fn work(number: u64) -> Result<u64, &'static str> {
    Ok(number + 1)
}

/// The value of a future that is ready; no runtime is counted.
fn drive<E>(future: impl Future<Output = Result<u64, E>>) -> u64 {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    }
}

fn named() -> PolicyBuilder {
    // Not the clock of the system: its instructions are the kernel's, and `valgrind` has no
    // vDSO, without which rustix cannot read it.
    Policy::named("hot").clock(ManualClock::new().clock())
}

fn four() -> PolicyBuilder {
    named()
        .retry(RetryConfig::default())
        .breaker(BreakerConfig::default())
        .bulkhead(BulkheadConfig { max: 100, queue: 0, ..BulkheadConfig::default() })
        .attempt_timeout(Duration::from_secs(1))
}

fn plain(calls: u64) -> Outcome {
    for number in 0..calls {
        black_box(drive(work(black_box(number))));
    }
    Ok(())
}

fn breaker(trip: Trip, calls: u64) -> Outcome {
    let config = BreakerConfig { trips: vec![trip], ..BreakerConfig::default() };
    let (breaker, now) = (Breaker::new(config)?, ManualClock::new().now());
    for _ in 0..calls {
        let permit = breaker.try_acquire(black_box(now))?;
        black_box(breaker.record(permit, Verdict::Success, now));
    }
    Ok(())
}

fn bulkhead(calls: u64) -> Outcome {
    let bulkhead = Bulkhead::new(BulkheadConfig::default())?;
    for _ in 0..calls {
        bulkhead.release(black_box(bulkhead.try_acquire()?));
    }
    Ok(())
}

fn rate_limit(calls: u64) -> Outcome {
    let limiter = RateLimiter::new(RateLimitConfig::per_second(1_000_000_000))?;
    let now = ManualClock::new().now();
    for _ in 0..calls {
        limiter.try_acquire(black_box(now))?;
    }
    Ok(())
}

fn keyed(calls: u64) -> Outcome {
    let keyed = Keyed::new(1000, |key: &u64| Arc::new(*key));
    for number in 0..calls {
        black_box(keyed.get(&black_box(number % 100)));
    }
    Ok(())
}

fn policy(builder: PolicyBuilder, calls: u64) -> Outcome {
    let policy: Policy = builder.build()?;
    for number in 0..calls {
        black_box(drive(policy.call(|_| work(black_box(number)))));
    }
    Ok(())
}

fn blocking(calls: u64) -> Outcome {
    let policy: Policy = four().build()?;
    for number in 0..calls {
        let value = policy.call_blocking(|_| Ok::<_, &str>(black_box(number)));
        black_box(value.unwrap_or_default());
    }
    Ok(())
}
