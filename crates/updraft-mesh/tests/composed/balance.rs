//! Which of several real endpoints gets a request.

use std::collections::BTreeMap;

use http::Method;
use tokio::task::JoinSet;

use crate::support::{Act, Session, Setup, Upstream, cluster, endpoint, report, request};

async fn named(session: &mut Session, header: Option<(&'static str, String)>) -> String {
    let mut request = request(Method::GET, "/", "");
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = session.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

#[tokio::test]
async fn one_after_another_is_exact_and_heeds_weights() {
    let all: Vec<Upstream> = ["a", "b", "c"].map(Upstream::named).into();
    let addresses: Vec<_> = all.iter().map(|it| it.address).collect();
    let mut setup = Setup::new(&addresses);
    setup.edge().calls.balance = "round-robin".parse().unwrap();
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    for _ in 0..60 {
        named(&mut session, None).await;
    }
    assert!(
        all.iter().all(|it| it.count() == 20),
        "{:?}",
        all.iter().map(Upstream::count).collect::<Vec<_>>()
    );
    setup.cluster().endpoints[0].weight = 2;
    gateway.apply(&setup.config).unwrap();
    for _ in 0..80 {
        named(&mut session, None).await;
    }
    let counts: Vec<_> = all.iter().map(|it| it.count() - 20).collect();
    assert!((38..=42).contains(&counts[0]) && (18..=22).contains(&counts[1]), "{counts:?}");
}

#[tokio::test]
async fn a_key_stays_with_its_endpoint_and_only_the_keys_of_a_lost_one_move() {
    let all: Vec<Upstream> = ["a", "b", "c", "d"].map(Upstream::named).into();
    let addresses: Vec<_> = all.iter().map(|it| it.address).collect();
    for (by, field) in [("header:x-user", "x-user"), ("cookie:sid", "cookie")] {
        let mut setup = Setup::new(&addresses);
        setup.edge().calls.balance = by.parse().unwrap();
        let gateway = setup.start();
        let mut session = Session::http1(setup.port).await;
        let key = |number: usize| match field {
            "cookie" => (field, format!("theme=dark; sid=user-{number}; x=1")),
            _ => (field, format!("user-{number}")),
        };
        let mut homes = BTreeMap::new();
        for round in 0..3 {
            for number in 0..60 {
                let home = named(&mut session, Some(key(number))).await;
                let before = homes.insert(number, home.clone());
                assert!(round == 0 || before == Some(home), "{by} {number}");
            }
        }
        let used: std::collections::BTreeSet<_> = homes.values().collect();
        assert_eq!(used.len(), 4, "{homes:?}");
        *setup.cluster() = cluster(&addresses[..3]);
        gateway.apply(&setup.config).unwrap();
        let mut moved = 0;
        for (number, home) in &homes {
            let now = named(&mut session, Some(key(*number))).await;
            assert_ne!(now, "d");
            moved += u32::from(home != "d" && now != *home);
        }
        // Maglev moves a few more than it must.
        assert!(moved <= 12, "{by}: {moved} of 60 moved");
    }
}

#[tokio::test]
async fn a_slow_endpoint_gets_little_of_the_work() {
    let slow = Upstream::http1(|_| {
        Act::After(std::time::Duration::from_millis(80), Box::new(Act::Status(200)))
    });
    let quick: Vec<Upstream> = ["a", "b"].map(Upstream::named).into();
    let setup = Setup::new(&[slow.address, quick[0].address, quick[1].address]);
    let gateway = setup.start();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let at = setup.port;
        callers.spawn(async move {
            let mut session = Session::http1(at).await;
            for _ in 0..50 {
                named(&mut session, None).await;
            }
        });
    }
    callers.join_all().await;
    let counts: Vec<_> = quick.iter().map(Upstream::count).collect();
    assert!(slow.count() * 6 < 400, "{} of 400 went to the slow one", slow.count());
    assert!(counts.iter().all(|count| *count > 80), "{counts:?}");
    let report = report(&gateway, "cart", "pricing");
    assert_eq!(report.totals.classes.success, 400);
    assert!(report.endpoints.iter().all(|endpoint| endpoint.active_requests == 0));
}

#[tokio::test]
async fn whoever_joins_others_begins_with_little() {
    let old: Vec<Upstream> = ["a", "b", "c"].map(Upstream::named).into();
    let new = Upstream::named("new");
    let mut setup = Setup::new(&old.iter().map(|it| it.address).collect::<Vec<_>>());
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    for _ in 0..60 {
        named(&mut session, None).await;
    }
    setup.cluster().endpoints.push(endpoint(new.address));
    gateway.apply(&setup.config).unwrap();
    for _ in 0..200 {
        named(&mut session, None).await;
    }
    // Its share would be 50.
    assert!((1..=35).contains(&new.count()), "{}", new.count());
}
