//! The contract of tower: each call goes to the very instance that has said it is ready.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt};
use updraft_resilience::policy::{
    CallOptions, Policy, Replay, SendOnce, ServiceAttempt, ServiceOperation,
};
use updraft_resilience::{Clock, Error, ManualClock, Rejection, Scope};

use crate::rig::{Driven, after_failures, finish, ms, places, policy, tries};

/// What all clones of a service have seen.
#[derive(Default)]
struct Seen {
    polled_ready: AtomicU32,
    calls: Mutex<Vec<String>>,
    /// How many calls fail before one succeeds.
    failures: AtomicU32,
    /// How often readiness is put off.
    busy: AtomicU32,
    broken: AtomicU32,
}

/// A service that takes the contract at its word.
struct Strict {
    seen: Arc<Seen>,
    is_ready: bool,
}

impl Strict {
    fn new() -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (Self { seen: Arc::clone(&seen), is_ready: false }, seen)
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        // As with a concurrency limit: readiness is not cloned.
        Self { seen: Arc::clone(&self.seen), is_ready: false }
    }
}

fn take(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Service<String> for Strict {
    type Response = String;
    type Error = &'static str;
    type Future = std::future::Ready<Result<String, &'static str>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.seen.polled_ready.fetch_add(1, Ordering::SeqCst);
        if take(&self.seen.busy) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if take(&self.seen.broken) {
            return Poll::Ready(Err("not ready"));
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: String) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        self.seen.calls.lock().unwrap().push(request.clone());
        std::future::ready(if take(&self.seen.failures) { Err("down") } else { Ok(request) })
    }
}

#[test]
fn each_attempt_asks_the_instance_that_it_calls() {
    let hand = ManualClock::new();
    let policy = policy(&hand).retry(tries(3, 10)).build().unwrap();
    let (service, seen) = Strict::new();
    seen.failures.store(2, Ordering::SeqCst);
    let service = policy.layer().layer(service);
    assert_eq!(finish(&hand, service.clone().oneshot("a".to_owned())), Ok("a".to_owned()));
    assert_eq!(*seen.calls.lock().unwrap(), ["a", "a", "a"]);
    assert_eq!(seen.polled_ready.load(Ordering::SeqCst), 3);
    assert_eq!(finish(&hand, service.oneshot("b".to_owned())), Ok("b".to_owned()));
    assert_eq!(seen.polled_ready.load(Ordering::SeqCst), 4);
}

#[test]
fn the_policy_answers_for_a_service_that_is_not_ready() {
    let hand = ManualClock::new();
    let breaker = after_failures(2);
    let policy = policy(&hand).retry(tries(3, 10)).breaker(breaker).build().unwrap();
    let (service, seen) = Strict::new();
    let mut service = policy.layer().layer(service);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    seen.busy.store(u32::MAX, Ordering::SeqCst);
    assert!(Service::<String>::poll_ready(&mut service, &mut cx).is_ready());
    assert_eq!(seen.polled_ready.load(Ordering::SeqCst), 0, "readiness is part of an attempt");
    seen.busy.store(5, Ordering::SeqCst);
    seen.broken.store(1, Ordering::SeqCst);
    let outcome = finish(&hand, service.clone().oneshot("a".to_owned()));
    assert_eq!(outcome, Ok("a".to_owned()), "an error of readiness is tried again");
    seen.broken.store(9, Ordering::SeqCst);
    let outcome = finish(&hand, service.oneshot("b".to_owned()));
    assert!(matches!(outcome, Err(Error::Rejected(Rejection::Open { .. }))), "{outcome:?}");
}

/// Never ready.
#[derive(Clone)]
struct Busy(Rc<Cell<u32>>);

impl Service<u32> for Busy {
    type Response = u32;
    type Error = Infallible;
    type Future = std::future::Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.set(self.0.get() + 1);
        Poll::Pending
    }

    fn call(&mut self, _request: u32) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[test]
fn the_timeout_of_an_attempt_bounds_the_wait_for_readiness() {
    let hand = ManualClock::new();
    let policy = policy(&hand)
        .attempt_timeout(ms(100))
        .retry(tries(2, 10))
        .bulkhead(places(1, 0, 0))
        .build()
        .unwrap();
    let polls = Rc::new(Cell::new(0));
    let service = policy.layer().layer(Busy(Rc::clone(&polls)));
    let begin = hand.now();
    let mut call = Driven::new(service.oneshot(1));
    let rejection = call.finish(&hand).unwrap_err().rejection();
    assert_eq!(rejection, Some(Rejection::Deadline(Scope::Attempt)));
    assert_eq!(hand.now(), begin + ms(210));
    assert_eq!(polls.get(), 4, "once at the start and once at the end of each attempt");
    assert_eq!(policy.handle().bulkhead().unwrap().in_use(), 0);
}

/// A body that streams: it cannot be cloned.
struct Stream(#[expect(dead_code, reason = "it stands for something")] Box<u32>);

#[derive(Clone)]
struct Down(Arc<AtomicU32>);

impl Service<Stream> for Down {
    type Response = ();
    type Error = &'static str;
    type Future = std::future::Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Stream) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err("down"))
    }
}

/// Keeps nothing, and forgets to say so in its options.
#[derive(Clone)]
struct Forgetful;

impl Replay<Stream> for Forgetful {
    fn split(&self, request: Stream) -> (Stream, Option<Stream>) {
        (request, None)
    }
}

#[test]
fn what_can_be_sent_once_is_never_sent_twice() {
    let hand = ManualClock::new();
    let hedge = updraft_resilience::hedge::HedgeConfig {
        after: updraft_resilience::hedge::HedgeAfter::Fixed(Duration::ZERO),
        ..Default::default()
    };
    let policy = policy(&hand).retry(tries(9, 1)).idempotent().hedge(hedge).build().unwrap();
    let sent = Arc::new(AtomicU32::new(0));
    let service = policy.layer().replay(SendOnce).layer(Down(Arc::clone(&sent)));
    let outcome = finish(&hand, service.oneshot(Stream(Box::new(1))));
    assert_eq!((outcome, sent.load(Ordering::SeqCst)), (Err(Error::Inner("down")), 1));
    let service = policy.layer().replay(Forgetful).layer(Down(Arc::clone(&sent)));
    let outcome = finish(&hand, service.oneshot(Stream(Box::new(1))));
    assert_eq!((outcome, sent.load(Ordering::SeqCst)), (Err(Error::Inner("down")), 2));
}

/// Gets may be repeated, and health checks matter more.
#[derive(Clone)]
struct ByMethod;

impl Replay<String> for ByMethod {
    fn split(&self, request: String) -> (String, Option<String>) {
        (request.clone(), Some(request))
    }

    fn options(&self, request: &String) -> CallOptions {
        if request.starts_with("GET") { CallOptions::new() } else { CallOptions::new().once() }
    }
}

#[test]
fn each_request_has_its_own_wishes() {
    let hand = ManualClock::new();
    let policy = policy(&hand).retry(tries(3, 1)).build().unwrap();
    let (service, seen) = Strict::new();
    seen.failures.store(99, Ordering::SeqCst);
    let service = policy.layer().replay(ByMethod).layer(service);
    finish(&hand, service.clone().oneshot("GET /".to_owned())).unwrap_err();
    finish(&hand, service.oneshot("POST /".to_owned())).unwrap_err();
    assert_eq!(*seen.calls.lock().unwrap(), ["GET /", "GET /", "GET /", "POST /"]);
}

#[test]
fn each_key_has_a_circuit_of_its_own() {
    let hand = ManualClock::new();
    let policy = policy(&hand).breaker(after_failures(2)).build().unwrap();
    let (service, seen) = Strict::new();
    let host = |request: &String| request.split('/').next().unwrap_or_default().to_owned();
    let service = policy.layer().keyed(host, 16).layer(service);
    seen.failures.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        finish(&hand, service.clone().oneshot("bad/1".to_owned())).unwrap_err();
    }
    let refused = finish(&hand, service.clone().oneshot("bad/2".to_owned())).unwrap_err();
    assert!(matches!(refused, Error::Rejected(Rejection::Open { .. })));
    assert!(finish(&hand, service.clone().oneshot("good/1".to_owned())).is_ok());
    assert!(finish(&hand, service.oneshot("bad/3".to_owned())).is_err());
    assert_eq!(seen.calls.lock().unwrap().len(), 3);
}

fn sent<T: Send + 'static>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_boxed_service_goes_to_other_threads_and_obeys_its_handle() {
    let policy = Policy::named("boxed").clock(Clock::system()).breaker(after_failures(1));
    let policy = policy.retry(tries(2, 1)).deadline(Duration::from_secs(9)).build().unwrap();
    let (service, _) = Strict::new();
    let handle = policy.handle();
    let boxed = sent(policy.layer().layer(service)).boxed_clone();
    drop(policy);
    let call = sent(boxed.clone().oneshot("a".to_owned()));
    assert_eq!(tokio::spawn(call).await.unwrap(), Ok("a".to_owned()));
    handle.breaker().unwrap().force_open();
    let refused = boxed.clone().oneshot("a".to_owned()).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected(Rejection::Open { .. })));
    handle.update(|config| config.breaker = None).unwrap();
    assert_eq!(boxed.oneshot("b".to_owned()).await, Ok("b".to_owned()));
    fn is_send<T: Send + Sync + 'static>() {}
    is_send::<Policy>();
    is_send::<ServiceOperation<Strict, String, SendOnce>>();
    is_send::<ServiceAttempt<Strict, String>>();
    let owned = Policy::named("calls").build().unwrap();
    tokio::spawn(async move { owned.call(async |_| Ok::<_, &str>(1)).await })
        .await
        .unwrap()
        .unwrap();
}
