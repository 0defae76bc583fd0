//! What is tried again, how often, and what never is.

use std::time::{Duration, Instant};

use http::Method;
use updraft_system::mesh::{OperationPolicy, RetryOn};

use crate::support::{
    Act, Asked, Session, Setup, Upstream, ask, get, operation, port, report, request, send,
};

/// A budget that nothing here uses up.
fn rich(setup: &mut Setup) {
    setup.edge().calls.retry.budget = "100%+1000/s".parse().unwrap();
    setup.edge().calls.breaker.consecutive = 1_000_000;
    setup.edge().calls.breaker.failures = "100%".parse().unwrap();
}

/// One good answer now and then, so that no breaker thinks that all has failed.
fn mostly(asked: &Asked, failure: Act) -> Act {
    if asked.number % 10 == 9 { Act::Status(200) } else { failure }
}

#[tokio::test]
async fn what_was_not_sent_goes_to_another_endpoint_whatever_its_method() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::new(&[port(), pricing.address]);
    rich(&mut setup);
    let gateway = setup.start();
    for number in 0..30 {
        // Longer than what is kept, and still unread when the connection fails.
        let body = format!("{number}{}", "-".repeat(100_000));
        let answer = ask(setup.port, Method::POST, "/orders", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(pricing.only().body, body);
    }
    assert!(report(&gateway, "cart", "pricing").retries["connect"] > 0);
}

#[tokio::test]
async fn what_may_have_been_done_is_repeated_only_where_that_does_no_harm() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    rich(&mut setup);
    for (text, idempotent) in [("POST /twice", true), ("GET /once", false)] {
        let policy = OperationPolicy { idempotent: Some(idempotent), ..OperationPolicy::default() };
        setup.cluster().operations.insert(operation(text), policy);
    }
    let _gateway = setup.start();
    // What is left alone after many failures is another law.
    for _ in 0..100 {
        assert_eq!(get(setup.port, "/").await.status, 200);
    }
    pricing.asked();
    for (failure, refused) in [(Act::Break, 502), (Act::Status(503), 503)] {
        for (method, path, key, repeated) in [
            (Method::GET, "/", false, true),
            (Method::PUT, "/", false, true),
            (Method::DELETE, "/", false, true),
            (Method::POST, "/", false, false),
            (Method::PATCH, "/", false, false),
            (Method::POST, "/", true, true),
            (Method::POST, "/twice", false, true),
            (Method::GET, "/once", false, false),
        ] {
            let (first, failure) = (pricing.count(), failure.clone());
            pricing.become_(move |asked| match asked.number == first {
                true => failure.clone(),
                false => Act::Say("again".to_owned()),
            });
            let mut request = request(method.clone(), path, "x");
            if key {
                request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
            }
            let answer = send(setup.port, request).await;
            let (status, times) = if repeated { (200, 2) } else { (refused, 1) };
            let asked = pricing.asked();
            assert_eq!((answer.status.as_u16(), asked.len()), (status, times), "{method} {path}");
            assert!(asked.iter().all(|asked| asked.body == "x"));
        }
    }
}

#[tokio::test]
async fn a_body_is_repeated_whole_up_to_the_bound_and_not_beyond() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    rich(&mut setup);
    let bound = usize::try_from(setup.config.limits.replay_bytes).unwrap();
    let _gateway = setup.start();
    for length in [0, 1, bound - 1, bound, bound + 1, 4 * bound] {
        let first = pricing.count();
        pricing.become_(move |asked| match asked.number == first {
            true => Act::Status(503),
            false => Act::Status(204),
        });
        let body: String =
            (0..length).map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap())).collect();
        let answer = ask(setup.port, Method::PUT, "/", &body).await;
        let asked = pricing.asked();
        let (status, times) = if length <= bound { (204, 2) } else { (503, 1) };
        assert_eq!((answer.status.as_u16(), asked.len()), (status, times), "{length} bytes");
        assert!(asked.iter().all(|asked| asked.body == body), "{length} bytes");
    }
}

#[tokio::test]
async fn a_storm_of_retries_stays_within_its_budget_and_its_attempts() {
    let pricing = Upstream::http1(|asked| mostly(asked, Act::Status(503)));
    let mut setup = Setup::of(&pricing);
    rich(&mut setup);
    setup.edge().calls.retry.budget = "20%+0/s".parse().unwrap();
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    for _ in 0..300 {
        drop(session.send(request(Method::GET, "/", "")).await.unwrap());
    }
    let retries = report(&gateway, "cart", "pricing").retries["status"];
    let sent = u64::try_from(pricing.count()).unwrap();
    let refused = report(&gateway, "cart", "pricing").totals.classes.refused;
    assert_eq!(sent + refused, 300 + retries, "each attempt was counted");
    // A fifth, and what a new budget holds.
    assert!((30..=60 + 10).contains(&retries), "{retries}");
}

#[tokio::test]
async fn attempts_end_where_the_manifest_says() {
    let pricing = Upstream::http1(|_| Act::Break);
    for attempts in [1, 2, 5] {
        let mut setup = Setup::of(&pricing);
        rich(&mut setup);
        setup.edge().calls.retry.attempts = attempts;
        let _gateway = setup.start();
        assert_eq!(get(setup.port, "/").await.status, 502);
        assert_eq!(pricing.asked().len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test]
async fn a_server_is_not_asked_again_before_it_wants_to_be() {
    let pricing = Upstream::http1(|asked| match asked.number {
        0 => Act::Field(503, "retry-after", "1"),
        _ => Act::Status(200),
    });
    let mut setup = Setup::of(&pricing);
    rich(&mut setup);
    let _gateway = setup.start();
    let began = Instant::now();
    assert_eq!(get(setup.port, "/").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(980), "{:?}", began.elapsed());

    pricing.asked();
    pricing.become_(|_| Act::Field(503, "retry-after", "60"));
    let began = Instant::now();
    let answer = get(setup.port, "/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("60")));
    assert_eq!(pricing.asked().len(), 1, "no wait is as long as that");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_deadline_ends_all_attempts() {
    let slow = Duration::from_millis(150);
    let pricing = Upstream::http1(move |_| Act::After(slow, Box::new(Act::Status(503))));
    let mut setup = Setup::of(&pricing);
    rich(&mut setup);
    setup.edge().calls.timeout = Duration::from_millis(400);
    setup.edge().calls.retry.attempts = 20;
    let _gateway = setup.start();
    let began = Instant::now();
    let answer = get(setup.port, "/").await;
    assert!(matches!(answer.status.as_u16(), 503 | 504), "{answer:?}");
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert!((1..=3).contains(&pricing.count()), "{}", pricing.count());
}

#[tokio::test]
async fn an_attempt_that_hangs_gives_way_to_another_endpoint() {
    let slow = Upstream::http1(|_| Act::Hang);
    let quick = Upstream::named("quick");
    let mut setup = Setup::new(&[slow.address, quick.address]);
    rich(&mut setup);
    setup.edge().calls.attempt_timeout = Some(Duration::from_millis(60));
    setup.edge().calls.retry.on = [RetryOn::Timeout].into();
    let gateway = setup.start();
    for _ in 0..8 {
        let answer = get(setup.port, "/").await;
        assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "quick"));
    }
    let retries = report(&gateway, "cart", "pricing").retries["timeout"];
    assert_eq!(u64::try_from(slow.count()).unwrap(), retries);
    assert!(retries > 0);
}
