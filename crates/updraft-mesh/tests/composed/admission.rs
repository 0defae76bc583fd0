//! Who is let in when there is too much: the bulkhead, its queue, priorities, rates, and the
//! circuit of each endpoint.

use std::time::{Duration, Instant};

use http::Method;
use tokio::task::JoinSet;
use updraft_system::mesh::{BreakerState, OperationPolicy, Priority};

use crate::support::{
    Act, Session, Setup, Upstream, edge, get, operation, port, report, request, until,
};

#[tokio::test]
async fn of_too_many_some_wait_some_are_refused_and_no_place_is_lost() {
    let pricing = Upstream::http1(|_| Act::Held(Box::new(Act::Status(200))));
    let mut setup = Setup::of(&pricing);
    (setup.edge().calls.concurrency, setup.edge().calls.queue) = (4, 3);
    for text in ["GET /urgent", "GET /idle"] {
        let priority =
            Some(if text.ends_with("urgent") { Priority::Critical } else { Priority::Background });
        let policy = OperationPolicy { priority, ..OperationPolicy::default() };
        setup.cluster().operations.insert(operation(text), policy);
    }
    let gateway = setup.start();
    for _round in 0..3 {
        let at = setup.port;
        let mut calls = JoinSet::new();
        for number in 1..=4 {
            calls.spawn(async move { get(at, "/urgent").await });
            until("it is under way", || pricing.under_way() == number).await;
        }
        // Background work is refused where there is no place free; critical work waits.
        let answer = get(at, "/idle").await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (503, "shed"));
        for number in 5..=7 {
            calls.spawn(async move { get(at, "/urgent").await });
            until("it waits", || report(&gateway, "cart", "pricing").active_requests == number)
                .await;
        }
        let answer = get(at, "/urgent").await;
        assert_eq!(answer.status, 503);
        assert!(matches!(&*answer.problem("kind"), "full" | "shed"), "{answer:?}");
        assert!(answer.problem("detail").contains("`cart` and `pricing`"), "{answer:?}");
        assert_eq!(pricing.under_way(), 4);
        while !calls.is_empty() {
            pricing.release();
            while let Some(answer) = calls.try_join_next() {
                assert_eq!(answer.unwrap().status, 200);
            }
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(report(&gateway, "cart", "pricing").active_requests, 0);
}

#[tokio::test]
async fn callers_that_go_away_leave_their_place_to_others() {
    let pricing = Upstream::http1(|_| Act::Hang);
    let mut setup = Setup::of(&pricing);
    (setup.edge().calls.concurrency, setup.edge().calls.queue) = (2, 2);
    let gateway = setup.start();
    for _ in 0..20 {
        let mut gone = JoinSet::new();
        for _ in 0..4 {
            gone.spawn(get(setup.port, "/"));
        }
        until("they came", || report(&gateway, "cart", "pricing").active_requests == 4).await;
        gone.shutdown().await;
        until("they are gone", || report(&gateway, "cart", "pricing").active_requests == 0).await;
    }
    pricing.become_(|_| Act::Status(200));
    assert_eq!(get(setup.port, "/").await.status, 200);
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    let other = port();
    setup.config.edges.push(edge("mail", "pricing", Some(other)));
    for edge in &mut setup.config.edges {
        edge.calls.rate = Some("5/m".parse().unwrap());
    }
    let gateway = setup.start();
    for at in [setup.port, other] {
        for _ in 0..5 {
            assert_eq!(get(at, "/").await.status, 200);
        }
        let answer = get(at, "/").await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (429, "rate_limited"));
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
    }
    assert_eq!(pricing.count(), 10);
    for from in ["cart", "mail"] {
        assert_eq!(report(&gateway, from, "pricing").refusals["rate_limited"], 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_alone_and_found_again() {
    let good = Upstream::named("good");
    let bad = Upstream::http1(|_| Act::Status(500));
    let mut setup = Setup::new(&[good.address, bad.address]);
    setup.edge().calls.balance = "round-robin".parse().unwrap();
    setup.edge().calls.breaker.open_for = Duration::from_millis(400);
    let gateway = setup.start();
    let state = || {
        let endpoints = report(&gateway, "cart", "pricing").endpoints;
        endpoints.into_iter().find(|it| it.address == bad.address).unwrap()
    };
    let mut session = Session::http1(setup.port).await;
    while state().breaker == BreakerState::Closed {
        drop(session.send(request(Method::GET, "/", "")).await.unwrap());
    }
    assert_eq!(bad.count(), 5);
    assert!(state().ejected);
    let opened = Instant::now();
    let mut probes = 0;
    while opened.elapsed() < Duration::from_millis(300) {
        let answer = session.send(request(Method::GET, "/", "")).await.unwrap();
        assert_eq!(answer.text(), "good");
        probes += 1;
    }
    assert!(probes > 10 && bad.count() == 5, "{probes} {}", bad.count());
    bad.become_(|_| Act::Say("bad".to_owned()));
    until("its time is over", || opened.elapsed() > Duration::from_millis(450)).await;
    let before = bad.count();
    let mut all = 0;
    while state().breaker != BreakerState::Closed {
        assert_eq!(session.send(request(Method::GET, "/", "")).await.unwrap().status, 200);
        all += 1;
        assert!(all < 2000);
    }
    assert!(bad.count() > before);
}

#[tokio::test]
async fn where_every_endpoint_has_failed_the_gateway_answers_at_once_and_says_so() {
    let bad = Upstream::http1(|_| Act::Break);
    let mut setup = Setup::of(&bad);
    setup.edge().calls.retry.attempts = 1;
    setup.edge().calls.breaker.open_for = Duration::from_millis(1500);
    let gateway = setup.start();
    for _ in 0..5 {
        assert_eq!(get(setup.port, "/").await.status, 502);
    }
    let answer = get(setup.port, "/").await;
    assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (503, "open"));
    assert!(answer.problem("detail").contains("`pricing`"), "{answer:?}");
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&after), "{after}");
    assert_eq!(bad.count(), 5);
    assert_eq!(report(&gateway, "cart", "pricing").refusals["open"], 1);
    bad.become_(|_| Act::Say("well".to_owned()));
    let began = Instant::now();
    let recovered = async {
        while get(setup.port, "/").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    crate::support::soon(recovered).await;
    assert!(began.elapsed() > Duration::from_millis(800), "{:?}", began.elapsed());
}
