//! A sound configuration has no problems; each way of breaking it has its own.

use super::*;
use crate::mesh::{Action, Balance, HashBy, RetryOn, Share};

/// A configuration that uses all there is.
const SOUND: &str = r#"
system = "shop"
version = 7
admin = "127.0.0.1:9000"

[identity]
issuer = "/run/updraft.sock"
services = ["storefront", "pricing"]

[mesh]
listen = "0.0.0.0:15443"
services = ["pricing"]

[ingress]
listen = "127.0.0.1:8080"
routes = [{ path = "/", to = "storefront" }, { path = "/prices", to = "pricing" }]

[[edges]]
from = "storefront"
to = "pricing"
listen = "127.0.0.1:7001"
only = ["GET /quotes/{id}"]
calls = { timeout = "2s", attempt_timeout = "1s", rate = "100/s", retry = { on = ["timeout", "503"] } }

[[edges]]
from = "orders"
to = "pricing"

[[edges]]
from = "pricing"
to = "db"
listen = "127.0.0.1:7002"

[clusters.storefront]
endpoints = [{ address = "127.0.0.1:6001" }]

[clusters.pricing]
protocol = "h2c"
endpoints = [
  { address = "127.0.0.1:6002", version = "web" },
  { address = "10.0.0.2:15443", version = "v2", tls = "mutual", weight = 3 },
]
operations = { "GET /quotes/{id}" = { idempotent = true, timeout = "1s" }, "POST /quotes" = {} }
[clusters.pricing.traffic]
split = { weights = { web = 90, v2 = 10 }, sticky = "header:x-user" }
[[clusters.pricing.traffic.rules]]
name = "slow"
match = { methods = ["GET"], path = "/quotes/{id}", headers = ["x-fault"], callers = ["storefront"] }
delay = { by = "300ms", share = "5%" }
[[clusters.pricing.traffic.rules]]
name = "next"
route = "v2"
[[clusters.pricing.traffic.rules]]
name = "old"
redirect = { to = "/new" }

[clusters.db]
protocol = "tcp"
endpoints = [{ address = "127.0.0.1:5432" }]

[telemetry]
otlp = "http://127.0.0.1:4318"
"#;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn sound() -> GatewayConfig {
    GatewayConfig::from_toml(SOUND).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn a_sound_configuration_has_no_problems() {
    assert_eq!(sound().problems(), []);
    let json = serde_json::to_string(&sound()).unwrap();
    assert_eq!(GatewayConfig::from_json(&json).unwrap(), sound());
}

type Breaking = fn(&mut GatewayConfig);

fn pricing(config: &mut GatewayConfig) -> &mut crate::mesh::ClusterConfig {
    config.clusters.get_mut("pricing").unwrap()
}

/// Each breaks one thing, and tells what is found and where.
const BREAKINGS: &[(&str, &str, Breaking)] = &[
    ("/edges/0/to", "did you mean `pricing`", |c| c.edges[0].to = name("pricng")),
    ("/edges/1", "already", |c| c.edges[1].from = name("storefront")),
    ("/edges/0/only/0", "did you mean `GET /quotes/{id}`", |c| {
        c.edges[0].only[0] = "GET /quote/{id}".parse().unwrap();
    }),
    ("/edges/0/only/1", "in the list already", |c| {
        let twice = c.edges[0].only[0].clone();
        c.edges[0].only.push(twice);
    }),
    ("/edges/2/only", "no operations", |c| c.edges[2].only = vec!["GET /".parse().unwrap()]),
    ("/edges/2/listen", "listened on by /edges/0/listen", |c| {
        c.edges[2].listen = c.edges[0].listen
    }),
    ("/ingress/listen", "/edges/0/listen", |c| {
        c.ingress.as_mut().unwrap().listen = "0.0.0.0:7001".parse().unwrap();
    }),
    ("/admin", "/mesh/listen", |c| c.admin = Some("127.0.0.1:15443".parse().unwrap())),
    ("/edges/0/from", "/identity/services", |c| {
        c.identity.as_mut().unwrap().services = vec![name("pricing")];
    }),
    ("/edges/1/to", "/mesh/services", |c| c.mesh.as_mut().unwrap().services.clear()),
    ("/edges/1/listen", "no `mesh`", |c| c.mesh = None),
    ("/edges/0/calls/timeout", "longer than no time", |c| {
        c.edges[0].calls.timeout = Duration::ZERO;
        c.edges[0].calls.attempt_timeout = Some(Duration::ZERO);
    }),
    ("/edges/0/calls/attempt_timeout", "longer than `timeout`", |c| {
        c.edges[0].calls.attempt_timeout = Some(Duration::from_secs(3));
    }),
    ("/edges/0/calls/idle", "no time", |c| c.edges[0].calls.idle = Duration::ZERO),
    ("/edges/0/calls/retry/attempts", "at least 1", |c| c.edges[0].calls.retry.attempts = 0),
    ("/edges/0/calls/retry/on", "attempt_timeout", |c| c.edges[0].calls.attempt_timeout = None),
    ("/edges/0/calls/retry/on", "404", |c| {
        c.edges[0].calls.retry.on.insert(RetryOn::Status(404));
    }),
    ("/edges/0/calls/breaker/consecutive", "at least 1", |c| {
        c.edges[0].calls.breaker.consecutive = 0;
    }),
    ("/edges/0/calls/breaker/failures", "0%", |c| {
        c.edges[0].calls.breaker.failures = Share::percent(0);
    }),
    ("/edges/0/calls/breaker/open_for", "no time", |c| {
        c.edges[0].calls.breaker.open_for = Duration::ZERO;
    }),
    ("/edges/0/calls/concurrency", "at least 1", |c| c.edges[0].calls.concurrency = 0),
    ("/edges/0/calls/rate", "nothing through", |c| {
        c.edges[0].calls.rate.as_mut().unwrap().count = 0;
    }),
    ("/edges/2/calls/balance", "header:x", |c| {
        c.edges[2].calls.balance = Balance::Hash(HashBy::Header("x".to_owned()));
    }),
    ("/ingress/calls/concurrency", "at least 1", |c| {
        c.ingress.as_mut().unwrap().calls.concurrency = 0;
    }),
    ("/ingress/routes/0/path", "not a path", |c| {
        c.ingress.as_mut().unwrap().routes[0].path = "x".to_owned();
    }),
    ("/ingress/routes/1/path", "public under", |c| {
        let routes = &mut c.ingress.as_mut().unwrap().routes;
        routes[0].path = "/prices/".to_owned();
    }),
    ("/ingress/routes/0/to", "no cluster", |c| {
        c.ingress.as_mut().unwrap().routes[0].to = name("nowhere");
    }),
    ("/ingress/routes/0/to", "tcp", |c| c.ingress.as_mut().unwrap().routes[0].to = name("db")),
    ("/mesh/services/1", "already", |c| {
        c.mesh.as_mut().unwrap().services.push(name("pricing"));
    }),
    ("/mesh/services/1", "/identity/services", |c| {
        c.mesh.as_mut().unwrap().services.push(name("db"));
    }),
    ("/clusters/pricing/endpoints/1/address", "already", |c| {
        let endpoints = &mut pricing(c).endpoints;
        endpoints[1].address = endpoints[0].address;
    }),
    ("/clusters/pricing/endpoints/0/address", "port 0", |c| {
        pricing(c).endpoints[0].address.set_port(0);
    }),
    ("/clusters/pricing/endpoints", "all weights are 0", |c| {
        pricing(c).endpoints.iter_mut().for_each(|endpoint| endpoint.weight = 0);
    }),
    ("/clusters/pricing/operations/GET ~1quotes~1{name}", "same requests", |c| {
        pricing(c).operations.insert("GET /quotes/{name}".parse().unwrap(), <_>::default());
    }),
    ("/clusters/pricing/operations/POST ~1quotes/timeout", "no time", |c| {
        let policy = pricing(c).operations.values_mut().last().unwrap();
        policy.timeout = Some(Duration::ZERO);
    }),
    ("/clusters/db/operations", "no operations", |c| {
        let db = c.clusters.get_mut("db").unwrap();
        db.operations.insert("GET /".parse().unwrap(), <_>::default());
    }),
    ("/clusters/db/traffic/rules", "no requests", |c| {
        let mut rule = pricing(c).traffic.rules[2].clone();
        rule.name = name("x");
        c.clusters.get_mut("db").unwrap().traffic.rules.push(rule);
    }),
    ("/clusters/pricing/traffic/split/weights", "all weights are 0", |c| {
        let split = pricing(c).traffic.split.as_mut().unwrap();
        split.weights.values_mut().for_each(|weight| *weight = 0);
    }),
    ("/clusters/pricing/traffic/split/weights", "all weights are 0", |c| {
        pricing(c).traffic.split.as_mut().unwrap().weights.clear();
    }),
    ("/clusters/pricing/traffic/rules/1/name", "already", |c| {
        pricing(c).traffic.rules[1].name = name("slow");
    }),
    ("/clusters/pricing/traffic/rules/0/match/methods/0", "capital", |c| {
        pricing(c).traffic.rules[0].matches.methods[0] = "get".to_owned();
    }),
    ("/clusters/pricing/traffic/rules/0/match/headers/0", "header", |c| {
        pricing(c).traffic.rules[0].matches.headers[0].name = "a b".to_owned();
    }),
    ("/clusters/pricing/traffic/rules/0/delay/by", "no time", |c| {
        let share = Share::percent(1);
        pricing(c).traffic.rules[0].action = Action::Delay { by: Duration::ZERO, share };
    }),
    ("/clusters/pricing/traffic/rules/0/abort/status", "600", |c| {
        let share = Share::percent(1);
        pricing(c).traffic.rules[0].action = Action::Abort { status: 600, share };
    }),
    ("/clusters/pricing/traffic/rules/2/redirect/status", "304", |c| {
        let redirect = crate::mesh::Redirect { to: "/x".to_owned(), status: 304 };
        pricing(c).traffic.rules[2].action = Action::Redirect(redirect);
    }),
    ("/clusters/pricing/traffic/rules/2/redirect/to", "neither", |c| {
        let redirect = crate::mesh::Redirect { to: "//x".to_owned(), status: 301 };
        pricing(c).traffic.rules[2].action = Action::Redirect(redirect);
    }),
    ("/clusters/pricing/traffic/rules/2/rewrite/from", "not a path", |c| {
        let rewrite = crate::mesh::Rewrite { from: "a".to_owned(), to: "/".to_owned() };
        pricing(c).traffic.rules[2].action = Action::Rewrite(rewrite);
    }),
    ("/telemetry/otlp", "4318", |c| c.telemetry.otlp = Some("localhost:4318".to_owned())),
    ("/limits/connections", "at least 1", |c| c.limits.connections = 0),
    ("/limits/head_bytes", "at least 1", |c| c.limits.head_bytes = 0),
    ("/limits/head_fields", "at least 1", |c| c.limits.head_fields = 0),
    ("/limits/streams", "at least 1", |c| c.limits.streams = 0),
    ("/limits/head_timeout", "no time", |c| c.limits.head_timeout = Duration::ZERO),
    ("/limits/keep_alive", "no time", |c| c.limits.keep_alive = Duration::ZERO),
    ("/limits/upstream_idle", "no time", |c| c.limits.upstream_idle = Duration::ZERO),
    ("/limits/connect_timeout", "no time", |c| c.limits.connect_timeout = Duration::ZERO),
    ("/limits/tunnel_idle", "no time", |c| c.limits.tunnel_idle = Duration::ZERO),
    ("/limits/tunnel_linger", "no time", |c| c.limits.tunnel_linger = Duration::ZERO),
];

#[test]
fn each_way_of_breaking_it_is_found_at_its_place() {
    for (pointer, word, breaking) in BREAKINGS {
        let mut config = sound();
        breaking(&mut config);
        let problems = config.problems();
        let found = problems.iter().any(|problem| {
            problem.pointer == *pointer
                && problem.message.contains(word)
                && problem.severity == Severity::Error
        });
        assert!(found, "{pointer} {word}: {problems:#?}");
    }
}

#[test]
fn all_ways_of_breaking_it_are_found_together() {
    let mut config = sound();
    for pointer in ["/edges/0/calls/idle", "/clusters/pricing/endpoints", "/limits/streams"] {
        let (.., breaking) = BREAKINGS.iter().find(|one| one.0 == pointer).unwrap();
        breaking(&mut config);
    }
    let found: Vec<_> = config.problems().into_iter().map(|problem| problem.pointer).collect();
    assert_eq!(found, ["/edges/0/calls/idle", "/clusters/pricing/endpoints", "/limits/streams"]);
}

#[test]
fn what_an_ingress_alone_may_lack_is_no_problem() {
    let mut config = sound();
    config.ingress = None;
    config.admin = None;
    config.telemetry.otlp = None;
    assert_eq!(config.problems(), []);
}

#[test]
fn mutual_tls_without_an_identity_is_found_wherever_it_is_needed() {
    let mut config = sound();
    config.identity = None;
    let found: Vec<_> = config.problems().into_iter().map(|problem| problem.pointer).collect();
    assert_eq!(found, ["/clusters/pricing/endpoints/1/tls", "/mesh"]);
}

#[test]
fn a_version_without_an_endpoint_is_only_told_of() {
    let mut config = sound();
    pricing(&mut config).endpoints.pop();
    let problems = config.problems();
    let found: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    let traffic = "/clusters/pricing/traffic";
    let expected = [format!("{traffic}/split/weights/v2"), format!("{traffic}/rules/1/route")];
    assert_eq!(found, expected);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(GatewayConfig::from_json(&json), Ok(config));
}

#[test]
fn port_0_and_other_addresses_do_not_collide() {
    for (one, other, expected) in [
        ("127.0.0.1:0", "127.0.0.1:0", false),
        ("127.0.0.1:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "127.0.0.1:2", false),
        ("127.0.0.1:1", "127.0.0.2:1", false),
        ("127.0.0.1:1", "0.0.0.0:1", true),
        ("[::]:1", "[::1]:1", true),
        ("[::]:1", "127.0.0.1:1", false),
    ] {
        let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(collide(one, other), expected, "{one} {other}");
        assert_eq!(collide(other, one), expected, "{other} {one}");
    }
}

#[test]
fn a_problem_is_told_with_its_place() {
    let mut problem = GatewayProblem {
        pointer: "/edges/0/to".to_owned(),
        message: "there is no cluster `x`".to_owned(),
        severity: Severity::Error,
        place: None,
    };
    assert_eq!(problem.to_string(), "/edges/0/to: there is no cluster `x`");
    problem.place = Some(Place { line: 3, column: 5 });
    assert_eq!(problem.to_string(), "3:5: /edges/0/to: there is no cluster `x`");
}
