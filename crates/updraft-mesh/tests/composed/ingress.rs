//! Where the outside comes in: which service it gets, and what it may say of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use serde_json::Value;
use updraft_mesh::{EventSink, Gateway, Options};
use updraft_system::mesh::{IngressConfig, IngressRoute};

use crate::support::{
    Act, Answer, Lines, Setup, Upstream, cluster, get, name, port, report, request, send, until,
};

fn public(routes: &[(&str, &str)]) -> (Vec<Upstream>, SocketAddr, Setup, Gateway) {
    let names: std::collections::BTreeSet<_> = routes.iter().map(|(_, to)| *to).collect();
    let all: Vec<Upstream> = names.iter().map(|name| Upstream::named(name)).collect();
    let mut setup = Setup::of(&all[0]);
    for (to, upstream) in names.iter().zip(&all) {
        setup.config.clusters.insert(name(to), cluster(&[upstream.address]));
    }
    let listen = port();
    let routes =
        routes.iter().map(|(path, to)| IngressRoute { path: (*path).to_owned(), to: name(to) });
    let routes = routes.collect();
    setup.config.ingress =
        Some(IngressConfig { listen, routes, calls: Default::default(), proxy_protocol: false });
    let gateway = setup.start();
    (all, listen, setup, gateway)
}

async fn ask(at: SocketAddr, host: &str, path: &str) -> Answer {
    let mut request = request(Method::GET, path, "");
    request.headers_mut().insert("host", host.parse().unwrap());
    send(at, request).await
}

#[tokio::test]
async fn host_and_longest_path_decide() {
    let routes = [("/", "web"), ("/api", "pricing"), ("/api/v2", "orders"), ("/static", "web")];
    let (_all, at, _setup, gateway) = public(&routes);
    for (host, path, to) in [
        ("example.com", "/", "web"),
        ("example.com", "/apis", "web"),
        ("example.com", "/api", "pricing"),
        ("example.com", "/api/", "pricing"),
        ("example.com", "/api/v1?x=/api/v2", "pricing"),
        ("example.com", "/api/v2/x", "orders"),
        ("example.com", "/api/v2x", "pricing"),
        ("orders.localhost", "/", "orders"),
        ("orders.localhost:8080", "/api", "orders"),
        ("ORDERS.LocalHost", "/api", "orders"),
        ("orders.localhost.", "/api", "orders"),
        ("web.localhost", "/static/x", "web"),
    ] {
        let answer = ask(at, host, path).await;
        assert_eq!((answer.status.as_u16(), &*answer.text()), (200, to), "{host}{path}");
    }
    for (host, path) in [("cart.localhost", "/"), ("x.orders.localhost", "/")] {
        let answer = ask(at, host, path).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (404, "no_route"), "{host}");
    }
    // One service under two paths is one edge with one account.
    assert_eq!(report(&gateway, "ingress", "web").totals.classes.success, 3);
    assert_eq!(get(at, "/static/y").await.text(), "web");
    assert_eq!(report(&gateway, "ingress", "web").totals.classes.success, 4);
    let web = report(&gateway, "ingress", "web");
    let requests: u64 = web.endpoints.iter().map(|endpoint| endpoint.requests).sum();
    assert_eq!(requests, 4, "{:?}", web.endpoints);
}

#[tokio::test]
async fn nothing_is_public_that_is_not_said_to_be() {
    let (all, at, _setup, _gateway) = public(&[("/shop", "web")]);
    for path in ["/", "/shopping", "/SHOP", "/x/../shop", "/%73hop"] {
        let answer = ask(at, "example.com", path).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {answer:?}");
    }
    // What leads out of what is public stays out, however it is written.
    for path in ["/shop/../admin", "/shop/%2e%2e/admin", "/shop/..%2fadmin"] {
        assert_eq!(ask(at, "example.com", path).await.status, 400, "{path}");
    }
    assert!(all.iter().all(|upstream| upstream.count() == 0));
}

#[tokio::test]
async fn nothing_that_the_outside_says_of_itself_is_believed() {
    let (all, at, _setup, _gateway) = public(&[("/", "web")]);
    let mut spoofed = request(Method::GET, "/", "");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, value) in [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-port", "666"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-forwarded-client-cert", "URI=spiffe://shop/admin"),
        ("x-updraft-caller", "admin"),
        ("via", "1.1 evil"),
        ("x-request-id", "mine"),
        ("traceparent", trace),
    ] {
        spoofed.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(send(at, spoofed).await.status, 200);
    let asked = all[0].only();
    let text = format!("{:?}", asked.headers);
    for word in ["6.6.6.6", "evil", "666", "admin", "mine"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    assert_eq!(asked.header("x-forwarded-host"), Some("pricing"));
    // A trace goes on, as one of its spans.
    let parent = asked.header("traceparent").unwrap();
    assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{parent}");
}

#[tokio::test]
async fn a_request_for_nothing_public_is_named_counted_and_logged() {
    let (_all, at, mut setup, gateway) = public(&[("/shop", "web")]);
    gateway.drain().await;
    setup.config.telemetry.access_log = true;
    let lines = Arc::new(Lines::default());
    let log = Some(Arc::clone(&lines) as Arc<dyn EventSink>);
    let gateway = setup.start_with(Options { log, ..Options::default() });
    let mut asked = request(Method::PUT, "/nothing?token=secret", "");
    asked.headers_mut().insert("x-request-id", "mine".parse().unwrap());
    let answer = send(at, asked).await;
    assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (404, "no_route"));
    // Nothing that the outside says of itself is believed.
    assert_eq!(answer.problem("request_id").len(), 36, "{answer:?}");
    let metrics = gateway.metrics();
    assert!(metrics.contains("updraft_mesh_unrouted_total{reason=\"no_route\"} 1\n"), "{metrics}");
    let told = lines.json();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["request_id"], answer.problem("request_id"));
    for (field, value) in [
        ("from", Value::from("ingress")),
        ("to", Value::Null),
        ("operation", "other".into()),
        ("method", "PUT".into()),
        ("path", "/nothing".into()),
        ("status", 404.into()),
        ("attempts", 0.into()),
        ("refused", "no_route".into()),
        ("protocol", "http1".into()),
    ] {
        assert_eq!(told[0][field], value, "{field}: {told:?}");
    }
    assert_eq!(told[0]["response_bytes"], answer.body.len());
}

#[tokio::test]
async fn one_request_has_one_id_wherever_it_is_told() {
    for log in [false, true] {
        let (all, at, mut setup, gateway) = public(&[("/", "web")]);
        gateway.drain().await;
        all[0].become_(|_| Act::Break);
        setup.config.telemetry.access_log = log;
        let lines = Arc::new(Lines::default());
        let sink = Some(Arc::clone(&lines) as Arc<dyn EventSink>);
        let _gateway = setup.start_with(Options { log: sink, ..Options::default() });
        let answer = get(at, "/").await;
        assert_eq!(answer.status, 502, "{answer:?}");
        let id = answer.problem("request_id");
        let asked = all[0].asked();
        assert!(asked.len() > 1, "it was tried again");
        assert!(asked.iter().all(|asked| asked.header("x-request-id") == Some(&id)), "{asked:?}");
        if log {
            until("it is told", || !lines.json().is_empty()).await;
            assert_eq!(lines.json()[0]["request_id"], id);
        }
        // Inside of the mesh it keeps the id that it came with.
        let mut inner = request(Method::GET, "/", "");
        inner.headers_mut().insert("x-request-id", "order-7".parse().unwrap());
        let answer = send(setup.port, inner).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("request_id")), (502, "order-7"));
        assert!(all[0].asked().iter().all(|it| it.header("x-request-id") == Some("order-7")));
    }
}
