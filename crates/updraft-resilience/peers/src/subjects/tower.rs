//! tower: the concurrency limit as a bulkhead, and the hedge. It has no breaker, and its
//! retry has no policy of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tower::hedge::{Hedge, Policy};
use tower::limit::ConcurrencyLimit;
use tower::util::BoxCloneService;
use tower::{Service, ServiceExt, service_fn};

use crate::traps::{Broken, Call, Guard, HedgeDelay, Operation, Subject};

pub struct Tower;

struct Limited(BoxCloneService<Operation, (), Broken>);

impl Subject for Tower {
    fn name(&self) -> String {
        super::named("tower")
    }

    fn remark(&self) -> &'static str {
        "it has a retry budget, but no retry policy of its own: that is written by its user"
    }

    fn bulkhead(&self, places: usize) -> Option<Box<dyn Guard>> {
        let service = ConcurrencyLimit::new(service_fn(|operation: Operation| operation), places);
        Some(Box::new(Limited(BoxCloneService::new(service))))
    }

    fn hedge(&self) -> Option<Box<dyn HedgeDelay>> {
        Some(Box::new(Delay::new()))
    }
}

impl Guard for Limited {
    fn call(&self, operation: Operation) -> Call {
        let service = self.0.clone();
        Box::pin(async move { drop(service.oneshot(operation).await) })
    }
}

/// A call that takes so long, and how often it was sent.
#[derive(Clone)]
struct Request {
    latency: Duration,
    may_hedge: bool,
    sent: Rc<Cell<u32>>,
    hedged_at: Rc<Cell<Option<Instant>>>,
}

#[derive(Clone)]
struct Allow;

impl Policy<Request> for Allow {
    fn clone_request(&self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }

    fn can_retry(&self, request: &Request) -> bool {
        request.may_hedge
    }
}

type Send = fn(Request) -> futures::future::LocalBoxFuture<'static, Result<(), Broken>>;

fn send(request: Request) -> futures::future::LocalBoxFuture<'static, Result<(), Broken>> {
    Box::pin(async move {
        request.sent.set(request.sent.get() + 1);
        if request.sent.get() > 1 {
            request.hedged_at.set(Some(Instant::now()));
        } else {
            tokio::time::sleep(request.latency).await;
        }
        Ok(())
    })
}

const PERIOD: Duration = Duration::from_secs(30);

struct Delay {
    runtime: Runtime,
    hedge: Hedge<tower::util::ServiceFn<Send>, Allow>,
}

impl Delay {
    fn new() -> Self {
        let runtime = super::paused_runtime();
        let inner = service_fn(send as Send);
        let hedge = runtime.block_on(async { Hedge::new(inner, Allow, 100, 0.95, PERIOD) });
        Self { runtime, hedge }
    }
}

fn request(latency: Duration, may_hedge: bool) -> Request {
    Request { latency, may_hedge, sent: Rc::default(), hedged_at: Rc::default() }
}

impl HedgeDelay for Delay {
    fn observe(&mut self, latencies: &[Duration]) {
        let hedge = &mut self.hedge;
        self.runtime.block_on(async move {
            let mut calls = Vec::new();
            for latency in latencies {
                let ready = hedge.ready().await.expect("always ready");
                calls.push(ready.call(request(*latency, false)));
            }
            join_all(calls).await;
            // It goes by the latencies of the period before this one.
            tokio::time::sleep(PERIOD).await;
        });
    }

    fn wait(&mut self, span: Duration) {
        self.runtime.block_on(async move { tokio::time::sleep(span).await });
    }

    fn delay(&mut self) -> Option<Duration> {
        let hedge = &mut self.hedge;
        self.runtime.block_on(async move {
            let hanging = request(Duration::from_secs(3600), true);
            let start = Instant::now();
            let ready = hedge.ready().await.expect("always ready");
            drop(ready.call(hanging.clone()).await);
            hanging.hedged_at.get().map(|at| at.duration_since(start))
        })
    }
}
