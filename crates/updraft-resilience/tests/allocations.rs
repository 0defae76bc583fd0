//! A call that succeeds at once takes no memory from the heap, whatever the policy has.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use updraft_resilience::breaker::{BreakerConfig, Trip, Window};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::deadline::{self, Deadline};
use updraft_resilience::hedge::HedgeConfig;
use updraft_resilience::policy::Policy;
use updraft_resilience::rate_limit::RateLimitConfig;
use updraft_resilience::{Clock, ManualClock};

fn everything(clock: Clock, queue: u32) -> Policy {
    Policy::named("all parts")
        .clock(clock)
        .deadline(Duration::from_secs(60))
        .idempotent()
        .hedge(HedgeConfig::default())
        .retry(Default::default())
        .rate_limit(RateLimitConfig::per_second(1_000_000))
        .throttle(Default::default())
        .breaker(BreakerConfig::any_of([
            Trip::failure_rate(0.5),
            Trip::slow_rate(0.5).over(Window::Count(100)),
            Trip::consecutive(5),
        ]))
        .bulkhead(BulkheadConfig { queue, ..BulkheadConfig::default() })
        .adaptive(Default::default())
        .shed(Default::default())
        .attempt_timeout(Duration::from_secs(1))
        .chaos(Default::default())
        .on_event(|_, _| ())
        .build()
        .expect("a sound policy")
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    let future = pin!(future);
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(value) = polled else { unreachable!("it is over at once") };
    value
}

/// What so many calls take from the heap, after some that may make what is made once.
fn taken(call: impl Fn()) -> u64 {
    assert_eq!(measure(|| drop(Box::new(1))).count_total, 1, "what is taken is counted");
    (0..10).for_each(|_| call());
    measure(|| (0..100).for_each(|_| call())).count_total
}

#[test]
fn a_call_that_succeeds_at_once_allocates_nothing() {
    let hand = ManualClock::new();
    for clock in [Clock::system(), hand.clock()] {
        let bare = Policy::named("bare").clock(clock.clone()).build().expect("a sound policy");
        let policies = [bare, everything(clock.clone(), 0), everything(clock, 64)];
        for policy in policies {
            let calls = taken(|| assert_eq!(at_once(policy.call(async |_| Ok::<_, ()>(1))), Ok(1)));
            assert_eq!(calls, 0, "{policy:?}");
            let blocking = taken(|| assert_eq!(policy.call_blocking(|_| Ok::<_, ()>(1)), Ok(1)));
            assert_eq!(blocking, 0, "{policy:?}");
        }
    }
}

#[test]
fn a_deadline_around_it_allocates_nothing() {
    let hand = ManualClock::new();
    let policy = everything(hand.clock(), 0);
    let until = Deadline::after(hand.now(), Duration::from_secs(1));
    let calls = taken(|| {
        let call = policy.call(async |_| Ok::<_, ()>(1));
        assert_eq!(at_once(deadline::with(until, call)), Ok(1));
    });
    assert_eq!(calls, 0);
}

#[cfg(feature = "tower")]
#[test]
fn a_request_through_the_layer_allocates_nothing() {
    use tower::{Layer, Service, service_fn};
    let policy = everything(ManualClock::new().clock(), 0);
    let service = service_fn(async |request: u32| Ok::<_, ()>(request));
    let service = std::cell::RefCell::new(policy.layer().layer(service));
    let calls = taken(|| assert_eq!(at_once(service.borrow_mut().call(1)), Ok(1)));
    assert_eq!(calls, 0);
}

// The `metrics` facade looks its counters up by owned names.
#[cfg(not(feature = "metrics"))]
#[test]
fn a_refusal_allocates_nothing_where_nobody_listens() {
    let policy = Policy::named("refuses").breaker(BreakerConfig::default()).build();
    let policy = policy.expect("a sound policy");
    policy.handle().breaker().expect("there is one").force_open();
    let calls = taken(|| {
        let refused = at_once(policy.call(async |_| Ok::<u32, ()>(1)));
        assert!(refused.is_err());
    });
    assert_eq!(calls, 0);
}
