//! How much time a request has: what its caller says, what its operation says, less what has
//! gone by.

use std::time::{Duration, Instant};

use http::Method;
use updraft_system::mesh::{OperationPolicy, Protocol};

use crate::support::{Act, Asked, Session, Setup, Upstream, get, operation, request, send};

fn told(asked: &Asked) -> u64 {
    let name = "x-envoy-expected-rq-timeout-ms";
    assert_eq!(asked.headers.get_all(name).iter().count(), 1, "{asked:?}");
    asked.header(name).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_earliest_deadline_is_passed_on_less_what_has_gone_by() {
    let pricing = Upstream::named("pricing");
    let mut setup = Setup::of(&pricing);
    setup.edge().calls.timeout = Duration::from_millis(2000);
    let timeout = Some(Duration::from_millis(700));
    let policy = OperationPolicy { timeout, ..OperationPolicy::default() };
    setup.cluster().operations.insert(operation("GET /short"), policy);
    let rules =
        r#"rules = [{ name = "late", match = { path = "/late" }, delay = { by = "300ms" } }]"#;
    setup.cluster().traffic = toml::from_str(rules).unwrap();
    let _gateway = setup.start();
    for (path, said, least, most) in [
        ("/", None, 1000, 2000),
        ("/", Some("900"), 400, 900),
        ("/", Some("90000"), 1000, 2000),
        ("/", Some("soon"), 1000, 2000),
        ("/", Some("-1"), 1000, 2000),
        ("/short", None, 300, 700),
        ("/short", Some("600"), 200, 600),
        ("/short", Some("1500"), 300, 700),
        ("/late", Some("900"), 100, 620),
    ] {
        let mut request = request(Method::GET, path, "");
        if let Some(said) = said {
            let name = "x-envoy-expected-rq-timeout-ms";
            request.headers_mut().insert(name, said.parse().unwrap());
        }
        assert_eq!(send(setup.port, request).await.status, 200, "{path} {said:?}");
        let told = told(&pricing.only());
        assert!((least..=most).contains(&told), "{path} {said:?}: {told}");
    }
}

#[tokio::test]
async fn grpc_has_its_own_word_for_it() {
    let pricing = Upstream::http2(|_| Act::Field(200, "grpc-status", "0"));
    let mut setup = Setup::of(&pricing);
    setup.cluster().protocol = Protocol::Grpc;
    setup.edge().calls.timeout = Duration::from_secs(5);
    let _gateway = setup.start();
    let mut session = Session::http2(setup.port).await;
    for (said, least, most) in
        [(None, 3000, 5000), (Some("800m"), 300, 800), (Some("1H"), 3000, 5000)]
    {
        let mut request = request(Method::POST, "http://pricing/shop.Pricing/Quote", "");
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        if let Some(said) = said {
            request.headers_mut().insert("grpc-timeout", said.parse().unwrap());
        }
        assert_eq!(session.send(request).await.unwrap().status, 200);
        let asked = pricing.only();
        let text = asked.header("grpc-timeout").unwrap();
        let (number, unit) = text.split_at(text.len() - 1);
        let millis = number.parse::<u64>().unwrap()
            * match unit {
                "S" => 1000,
                "m" => 1,
                "u" => 0,
                _ => panic!("{text}"),
            }
            + if unit == "u" { number.parse::<u64>().unwrap() / 1000 } else { 0 };
        assert!((least..=most).contains(&millis), "{said:?}: {text}");
    }
}

#[tokio::test]
async fn whoever_waits_for_too_long_is_told_so_in_time() {
    let pricing = Upstream::http1(|_| Act::Hang);
    let mut setup = Setup::of(&pricing);
    setup.edge().calls.timeout = Duration::from_secs(10);
    let timeout = Some(Duration::from_millis(200));
    let policy = OperationPolicy { timeout, ..OperationPolicy::default() };
    setup.cluster().operations.insert(operation("GET /short"), policy);
    let gateway = setup.start();
    let began = Instant::now();
    let answer = get(setup.port, "/short").await;
    assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (504, "deadline"));
    let took = began.elapsed();
    assert!((180..1500).contains(&took.as_millis()), "{took:?}");
    // The attempt was given up as well, not only left behind.
    crate::support::until("the attempt ends", || pricing.under_way() == 0).await;
    assert_eq!(crate::support::report(&gateway, "cart", "pricing").active_requests, 0);
}
