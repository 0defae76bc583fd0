//! How long the policies take, when nothing goes wrong: by one thread, and by two that share
//! one object and start together. Futures are polled by hand, so that no runtime is measured.
//!
//! What other crates take is measured in `peers-bench/`, and all of it is written down in
//! `docs/reference/resilience-benchmarks.md`.

use std::error::Error;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::Criterion;
use tower::{Layer, Service};
use updraft_resilience::breaker::{Breaker, BreakerConfig, Trip, Window};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig};
use updraft_resilience::keyed::Keyed;
use updraft_resilience::policy::PolicyBuilder;
use updraft_resilience::rate_limit::{RateLimitConfig, RateLimiter};
use updraft_resilience::retry::{Budget, BudgetConfig, RetryConfig};
use updraft_resilience::{Clock, Policy, Verdict};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    floors(&mut criterion);
    breakers(&mut criterion)?;
    parts(&mut criterion)?;
    policies(&mut criterion)?;
    keyed(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// Measures an operation alone and contended. Each thread makes its own from `start`; what
/// they share is in there.
fn measure<Op, T>(criterion: &mut Criterion, name: &str, start: impl Fn() -> Op + Sync)
where
    Op: FnMut(u64) -> T,
{
    let mut group = criterion.benchmark_group(name);
    group.bench_function("one thread", |bencher| {
        let mut operation = start();
        let mut number = 0;
        bencher.iter(|| {
            number += 1;
            operation(black_box(number))
        });
    });
    group.bench_function("two threads", |bencher| {
        bencher.iter_custom(|calls| contended(calls, &start));
    });
    group.finish();
}

/// The time that the slower of two threads takes for so many calls.
fn contended<Op, T>(calls: u64, start: &(impl Fn() -> Op + Sync)) -> Duration
where
    Op: FnMut(u64) -> T,
{
    let barrier = Barrier::new(2);
    let run = || {
        let mut operation = start();
        barrier.wait();
        let begin = Instant::now();
        for number in 0..calls {
            black_box(operation(black_box(number)));
        }
        begin.elapsed()
    };
    let times = std::thread::scope(|scope| {
        [scope.spawn(run), scope.spawn(run)].map(|thread| thread.join().unwrap_or_default())
    });
    times.into_iter().max().unwrap_or_default()
}

async fn work(number: u64) -> Result<u64, &'static str> {
    Ok(number.wrapping_add(1))
}

/// The value of a future that is ready: what a caller goes on with. A whole outcome would be
/// copied for the sake of the measurement.
fn drive<E>(future: impl Future<Output = Result<u64, E>>) -> u64 {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    }
}

fn floors(criterion: &mut Criterion) {
    measure(criterion, "floor/plain call", || |number: u64| number.wrapping_add(1));
    measure(criterion, "floor/async await", || |number| drive(work(number)));
    let word = AtomicU64::new(0);
    measure(criterion, "floor/relaxed load", || |_| word.load(Ordering::Relaxed));
    measure(criterion, "floor/fetch_add", || |_| word.fetch_add(1, Ordering::Relaxed));
    measure(criterion, "floor/Instant::now", || |_| Instant::now());
    let clock = Clock::system();
    measure(criterion, "floor/coarse clock", || |_| clock.now());
}

fn breakers(criterion: &mut Criterion) -> Outcome {
    let kinds = [
        ("consecutive", Trip::consecutive(5)),
        ("count window", Trip::failure_rate(0.5).over(Window::Count(100))),
        ("time window", Trip::failure_rate(0.5)),
        ("slow calls", Trip::slow_rate(0.5)),
    ];
    for (name, trip) in kinds {
        let breaker =
            Breaker::new(BreakerConfig { trips: vec![trip], ..BreakerConfig::default() })?;
        let now = Clock::system().now();
        let guarded = |_| {
            let permit = breaker.try_acquire(black_box(now)).ok()?;
            breaker.record(permit, Verdict::Success, black_box(now))
        };
        measure(criterion, &format!("breaker/{name}"), || guarded);
    }
    Ok(())
}

fn parts(criterion: &mut Criterion) -> Outcome {
    let bulkhead = Bulkhead::new(BulkheadConfig { queue: 0, ..BulkheadConfig::default() })?;
    let place = |_| bulkhead.try_acquire().map(|place| bulkhead.release(place));
    measure(criterion, "bulkhead/fail fast", || place);

    let limiter = RateLimiter::new(RateLimitConfig::per_second(1_000_000_000))?;
    let clock = Clock::system();
    let allowed = |_| limiter.try_acquire(clock.now());
    measure(criterion, "rate limit/GCRA with coarse clock", || allowed);

    let now = clock.now();
    let budget = Budget::new(BudgetConfig::default(), now)?;
    measure(criterion, "retry/deposit", || |_| budget.deposit(black_box(now)));
    Ok(())
}

fn named() -> PolicyBuilder {
    Policy::named("bench")
}

fn four() -> PolicyBuilder {
    named()
        .retry(RetryConfig::default())
        .breaker(BreakerConfig::default())
        .bulkhead(BulkheadConfig { max: 1000, queue: 0, ..BulkheadConfig::default() })
        .attempt_timeout(Duration::from_secs(1))
}

fn policies(criterion: &mut Criterion) -> Outcome {
    let builders = [
        ("empty", named()),
        ("retry with budget", named().retry(RetryConfig::default())),
        ("attempt timeout", named().attempt_timeout(Duration::from_secs(1))),
        ("breaker", named().breaker(BreakerConfig::default())),
        ("rate limit", named().rate_limit(RateLimitConfig::per_second(1_000_000_000))),
        ("four parts", four()),
        ("four parts, with a listener", four().on_event(|_, _| {})),
        ("four parts, total deadline", four().deadline(Duration::from_secs(3))),
    ];
    for (name, builder) in builders {
        let policy: Policy = builder.build()?;
        let call = |number| drive(policy.call(|_| work(number)));
        measure(criterion, &format!("policy/{name}"), || call);
    }
    let policy: Policy = four().build()?;
    let call = |number: u64| policy.call_blocking(|_| Ok::<_, &str>(number)).unwrap_or_default();
    measure(criterion, "policy/four parts, blocking", || call);

    let service = four().build()?.layer().layer(tower::service_fn(work));
    measure(criterion, "policy/four parts, tower layer", || {
        let mut service = service.clone();
        move |number| {
            let ready = std::future::poll_fn(|cx| service.poll_ready(cx).map_ok(|()| 1));
            drive(ready) + drive(service.call(number))
        }
    });
    Ok(())
}

fn keyed(criterion: &mut Criterion) -> Outcome {
    const KEYS: u64 = 100_000;
    let keyed = Keyed::new(200_000, |key: &u64| Arc::new(*key));
    for key in 0..KEYS {
        keyed.get(&key);
    }
    measure(criterion, "keyed/100 000 keys at random", || {
        let mut key = 1;
        let keyed = &keyed;
        move |_| {
            key = (key * 48_271 + 11) % KEYS;
            keyed.get(&key)
        }
    });
    let policies = four().build()?.keyed::<u64>(2048);
    measure(criterion, "keyed/four parts, 1000 keys", || {
        |number| drive(policies.get(&(number % 1000)).call(|_| work(number)))
    });
    Ok(())
}
