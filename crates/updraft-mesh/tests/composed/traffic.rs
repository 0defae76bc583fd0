//! Traffic control, and all of it changed while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use updraft_mesh::Gateway;

use crate::support::{
    Act, Session, Setup, Upstream, ask, endpoint, get, name, report, request, until,
};

/// `pricing` in the versions v1 and v2.
fn versions() -> (Upstream, Upstream, Setup) {
    let (v1, v2) = (Upstream::named("v1"), Upstream::named("v2"));
    let mut setup = Setup::new(&[]);
    for (upstream, version) in [(&v1, "v1"), (&v2, "v2")] {
        let mut endpoint = endpoint(upstream.address);
        endpoint.version = Some(name(version));
        setup.cluster().endpoints.push(endpoint);
    }
    (v1, v2, setup)
}

fn steer(setup: &mut Setup, traffic: &str) {
    setup.cluster().traffic = toml::from_str(traffic).unwrap();
}

fn apply(gateway: &Gateway, setup: &mut Setup, traffic: &str) {
    steer(setup, traffic);
    gateway.apply(&setup.config).unwrap();
}

#[tokio::test]
async fn a_split_is_what_it_says_and_changes_at_once() {
    let (v1, v2, mut setup) = versions();
    steer(&mut setup, "split = { weights = { v1 = 90, v2 = 10 } }");
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    for _ in 0..1000 {
        assert_eq!(session.send(request(Method::GET, "/", "")).await.unwrap().status, 200);
    }
    // Five standard deviations.
    assert!((53..=147).contains(&v2.count()), "{} of 1000", v2.count());

    apply(&gateway, &mut setup, "split = { weights = { v2 = 1 } }");
    let before = v1.count();
    for _ in 0..100 {
        assert_eq!(session.send(request(Method::GET, "/", "")).await.unwrap().text(), "v2");
    }
    assert_eq!(v1.count(), before);

    let sticky = "split = { weights = { v1 = 50, v2 = 50 }, sticky = \"header:x-user\" }";
    apply(&gateway, &mut setup, sticky);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..40 {
        let mut homes = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let mut request = request(Method::GET, "/", "");
            request.headers_mut().insert("x-user", format!("u{number}").parse().unwrap());
            homes.insert(session.send(request).await.unwrap().text());
        }
        assert_eq!(homes.len(), 1, "user {number} is of two versions");
        seen.extend(homes);
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn rules_lead_answer_and_disturb_as_they_say() {
    let (v1, v2, mut setup) = versions();
    steer(
        &mut setup,
        r#"
        split = { weights = { v1 = 1 } }
        rules = [
            { name = "new", match = { headers = ["x-new=yes"] }, route = "v2" },
            { name = "moved", match = { path = "/old/{*rest}" }, redirect = { to = "/new", status = 308 } },
            { name = "api", match = { path = "/api/{*rest}" }, rewrite = { from = "/api", to = "/v1" } },
            { name = "slow", match = { path = "/slow" }, delay = { by = "250ms" } },
            { name = "down", match = { path = "/down" }, abort = { status = 503 } },
            { name = "half", match = { path = "/half" }, abort = { status = 500, share = "50%" } },
        ]"#,
    );
    let gateway = setup.start();
    let mut new = request(Method::GET, "/", "");
    new.headers_mut().insert("x-new", "yes".parse().unwrap());
    assert_eq!(crate::support::send(setup.port, new).await.text(), "v2");
    assert_eq!(get(setup.port, "/").await.text(), "v1");
    drop((v1.asked(), v2.asked()));

    let moved = get(setup.port, "/old/x").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (308, Some("/new")));
    let down = get(setup.port, "/down").await;
    assert_eq!((down.status.as_u16(), &*down.problem("kind")), (503, "injected"));
    assert!(down.problem("detail").contains("`down`"), "{down:?}");
    assert!(v1.asked().is_empty(), "what is answered here goes nowhere");

    assert_eq!(get(setup.port, "/api/quotes/7?x=%20y&z").await.status, 200);
    assert_eq!(v1.only().uri, "/v1/quotes/7?x=%20y&z");
    let began = Instant::now();
    assert_eq!(get(setup.port, "/slow").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(240));

    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(get(setup.port, "/half").await.status == 500);
    }
    assert!((60..=140).contains(&failed), "{failed} of 200");
    let refused = report(&gateway, "cart", "pricing").refusals["injected"];
    assert_eq!(refused, u64::from(failed) + 1, "an abort is no failure of the endpoint");
}

#[tokio::test]
async fn a_mirror_gets_the_same_and_is_never_waited_for() {
    let (v1, v2, mut setup) = versions();
    let traffic = r#"
        split = { weights = { v1 = 1 } }
        rules = [{ name = "copy", mirror = { to = "v2" } }]"#;
    steer(&mut setup, traffic);
    let gateway = setup.start();
    for length in [0, 1, 1000, 60_000] {
        let body = "m".repeat(length);
        let answer = ask(setup.port, Method::POST, "/orders?x=1", &body).await;
        assert_eq!(answer.text(), "v1");
        until("the copy came", || v2.count() == v1.count()).await;
        let (original, copy) = (v1.only(), v2.only());
        assert_eq!((&original.method, &original.uri), (&copy.method, &copy.uri));
        assert_eq!((original.body.len(), &original.body), (length, &copy.body));
        assert_eq!(original.header("host"), copy.header("host"));
    }
    // One that is longer than what is kept has no copy, and one that nobody answers bothers
    // nobody.
    assert_eq!(ask(setup.port, Method::POST, "/", &"m".repeat(70_000)).await.text(), "v1");
    v2.become_(|_| Act::Hang);
    let mut session = Session::http1(setup.port).await;
    for _ in 0..200 {
        let sent = session.send(request(Method::GET, "/", ""));
        assert_eq!(crate::support::soon(sent).await.unwrap().text(), "v1");
    }
    until("copies hang", || v2.under_way() == 64).await;
    assert_eq!(v2.count(), 4 + 64, "copies have a bound");
    let totals = report(&gateway, "cart", "pricing").totals.classes;
    assert_eq!((totals.all(), totals.success), (205, 205), "copies are no requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_everything_about_it_changes() {
    let (v1, v2, mut setup) = versions();
    let gateway = setup.start();
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (at, over) = (setup.port, Arc::clone(&over));
            tokio::spawn(async move {
                let mut session = Session::http1(at).await;
                let mut count = 0;
                while !over.load(Ordering::SeqCst) {
                    let sent = session.send(request(Method::POST, "/x", "body")).await;
                    let answer = sent.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    count += 1;
                }
                count
            })
        })
        .collect();
    for round in 0..60 {
        let traffic = match round % 4 {
            0 => "split = { weights = { v1 = 1, v2 = 3 } }",
            1 => "rules = [{ name = \"a\", route = \"v2\" }]",
            2 => "rules = [{ name = \"a\", rewrite = { from = \"/x\", to = \"/y\" } }]",
            _ => {
                "split = { weights = { v1 = 1 } }\nrules = [{ name = \"m\", mirror = { to = \"v2\" } }]"
            }
        };
        steer(&mut setup, traffic);
        let calls = &mut setup.edge().calls;
        calls.balance = ["round-robin", "least-request", "header:x"][round % 3].parse().unwrap();
        calls.concurrency = 16 + u32::try_from(round).unwrap();
        gateway.apply(&setup.config).unwrap();
        let before = v1.count() + v2.count();
        until("calls go on", || v1.count() + v2.count() > before + 3).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut all = 0;
    for caller in callers {
        all += caller.await.unwrap();
    }
    assert_eq!(report(&gateway, "cart", "pricing").totals.classes.success, all);
}
