//! HTTP/1 through the gateway, field by field: what goes on to the endpoint and what comes
//! back, seen at both sockets (RFC 9110, RFC 9112, RFC 7239).

use crate::support::client::Client;
use crate::support::mesh::Mesh;
use crate::support::upstream::{Seen, Upstream};

/// A request with these fields, and what the endpoint must see of it.
struct Case {
    name: &'static str,
    sent: &'static str,
    /// `name: value` that must be there, in one line for each name.
    there: &'static [&'static str],
    gone: &'static [&'static str],
}

const fn case(
    name: &'static str,
    sent: &'static str,
    there: &'static [&'static str],
    gone: &'static [&'static str],
) -> Case {
    Case { name, sent, there, gone }
}

const CASES: &[Case] = &[
    case(
        "fields for the end pass",
        "accept: a\r\naccept: b\r\nx-own: 1\r\n",
        &["accept: a, b", "x-own: 1"],
        &[],
    ),
    case("an empty field passes", "x-empty:\r\n", &["x-empty: "], &[]),
    case("spaces around a value are no part of it", "x-own: \t a b \t\r\n", &["x-own: a b"], &[]),
    // RFC 9110, 7.6.1
    case("Connection ends here", "connection: keep-alive\r\n", &[], &["connection"]),
    case(
        "what Connection names ends here",
        "connection: x-own, x-other\r\nx-own: 1\r\nx-other: 2\r\nx-third: 3\r\n",
        &["x-third: 3"],
        &["x-own", "x-other", "connection"],
    ),
    case(
        "what Connection names in capitals ends here",
        "Connection: X-OWN\r\nx-own: 1\r\n",
        &[],
        &["x-own"],
    ),
    case("Keep-Alive ends here", "keep-alive: timeout=5\r\n", &[], &["keep-alive"]),
    case(
        "Proxy-Connection ends here",
        "proxy-connection: keep-alive\r\n",
        &[],
        &["proxy-connection"],
    ),
    case(
        "Proxy-Authorization ends here",
        "proxy-authorization: Basic x\r\n",
        &[],
        &["proxy-authorization"],
    ),
    case("TE but for trailers ends here", "te: deflate\r\nconnection: te\r\n", &[], &["te"]),
    case(
        "TE: trailers passes",
        "te: trailers, deflate\r\nconnection: te\r\n",
        &["te: trailers"],
        &[],
    ),
    case(
        "h2c is not asked for",
        "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade, http2-settings\r\n",
        &[],
        &["upgrade", "http2-settings", "connection"],
    ),
    case(
        "an upgrade to what nobody knows is not asked for",
        "upgrade: irc/1.0\r\nconnection: upgrade\r\n",
        &[],
        &["upgrade", "connection"],
    ),
    case(
        "Upgrade without Connection is not asked for",
        "upgrade: websocket\r\n",
        &[],
        &["upgrade"],
    ),
    // RFC 9110, 7.6.3
    case("Via is added", "", &["via: 1.1 cart.pricing.shop.updraft"], &[]),
    case(
        "Via is added behind others",
        "via: 1.0 fred\r\nvia: 1.1 p.example\r\n",
        &["via: 1.0 fred, 1.1 p.example, 1.1 cart.pricing.shop.updraft"],
        &[],
    ),
    // RFC 7239
    case("Forwarded is added behind others", "forwarded: for=192.0.2.43\r\n", &[], &[]),
    case("X-Forwarded-For passes inside", "x-forwarded-for: 192.0.2.43\r\n", &[], &[]),
    case(
        "X-Forwarded-Proto passes inside",
        "x-forwarded-proto: https\r\n",
        &["x-forwarded-proto: https"],
        &[],
    ),
    case("X-Forwarded-Host is what was asked", "", &["x-forwarded-host: pricing"], &[]),
    case(
        "identity comes from the gateway alone",
        "x-updraft-caller: admin\r\nx-forwarded-client-cert: forged\r\n",
        &["x-updraft-caller: cart"],
        &["x-forwarded-client-cert"],
    ),
    // RFC 9110, 10.1.1
    case("Expect is met here", "expect: 100-continue\r\n", &[], &["expect"]),
    // RFC 9110, 7.6.2
    case("Max-Forwards is for OPTIONS alone", "max-forwards: 3\r\n", &["max-forwards: 3"], &[]),
    case("Cookie passes", "cookie: a=1; b=2\r\n", &["cookie: a=1; b=2"], &[]),
    case(
        "the trace goes on",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n",
        &["tracestate: a=b"],
        &[],
    ),
    case("Accept-Encoding passes", "accept-encoding: gzip\r\n", &["accept-encoding: gzip"], &[]),
];

fn misses(seen: &Seen, case: &Case) -> Vec<String> {
    let mut misses = Vec::new();
    for wanted in case.there {
        let (name, value) = wanted.split_once(": ").unwrap();
        let got = seen.value(name);
        if got.as_deref() != Some(value) {
            misses.push(format!("{}: `{wanted}`, but {got:?}", case.name));
        }
    }
    for name in case.gone {
        if let Some(value) = seen.value(name) {
            misses.push(format!("{}: `{name}: {value}` passed", case.name));
        }
    }
    misses
}

#[tokio::test]
async fn the_endpoint_sees_what_is_for_it_and_nothing_of_this_hop() {
    let upstream = Upstream::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    let mut wrong = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let text = format!("GET /{index} HTTP/1.1\r\nhost: pricing\r\n{}\r\n", case.sent);
        client.send(text.as_bytes()).await;
        let mut response = client.response().await;
        if response.status == 100 {
            response = client.response().await;
        }
        assert_eq!(response.status, 204, "{}", case.name);
        let seen = upstream.seen(index + 1).await;
        wrong.extend(misses(&seen[index], case));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(upstream.connections().0, 1);
}

/// Fields of an answer, and what the client must see of them.
const ANSWERS: &[Case] = &[
    case(
        "fields for the end pass",
        "x-own: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n",
        &["x-own: 1", "set-cookie: a=1, b=2"],
        &[],
    ),
    case(
        "Connection ends here",
        "connection: keep-alive\r\nkeep-alive: timeout=5\r\n",
        &[],
        &["connection", "keep-alive"],
    ),
    case(
        "what Connection names ends here",
        "connection: x-own\r\nx-own: 1\r\n",
        &[],
        &["x-own", "connection"],
    ),
    case(
        "Proxy-Authenticate ends here",
        "proxy-authenticate: Basic\r\n",
        &[],
        &["proxy-authenticate"],
    ),
    case("Upgrade ends here", "upgrade: h2c\r\n", &[], &["upgrade"]),
    case(
        "Via is added",
        "via: 1.1 fred\r\n",
        &["via: 1.1 fred, 1.1 cart.pricing.shop.updraft"],
        &[],
    ),
    case(
        "Server and Date are the endpoint's",
        "server: own\r\ndate: Thu, 26 Nov 2026 00:00:00 GMT\r\n",
        &["server: own", "date: Thu, 26 Nov 2026 00:00:00 GMT"],
        &[],
    ),
];

#[tokio::test]
async fn the_client_sees_what_is_for_it_and_nothing_of_this_hop() {
    let upstream = Upstream::start(|seen| {
        let index: usize = seen.line().split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let fields = ANSWERS[index].sent;
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{fields}\r\nok").into_bytes()
    })
    .await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    let mut wrong = Vec::new();
    for (index, case) in ANSWERS.iter().enumerate() {
        let text = format!("GET /{index} HTTP/1.1\r\nhost: pricing\r\n\r\n");
        client.send(text.as_bytes()).await;
        let response = client.response().await;
        assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]), "{}", case.name);
        let seen = Seen { message: response.message, ..Seen::default() };
        wrong.extend(misses(&seen, case));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn outside_nobody_speaks_for_others() {
    let upstream =
        Upstream::answering(b"HTTP/1.1 204 No Content\r\nx-updraft-caller: x\r\n\r\n").await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.ingress).await;
    client
        .send(
            b"GET / HTTP/1.1\r\nhost: shop.example:8080\r\nx-forwarded-for: 6.6.6.6\r\n\
              x-forwarded-proto: https\r\nx-forwarded-host: evil\r\nforwarded: for=6.6.6.6\r\n\
              x-real-ip: 6.6.6.6\r\nvia: 1.1 fred\r\nx-updraft-caller: cart\r\n\
              x-forwarded-client-cert: forged\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.status, 204);
    assert_eq!(response.value("x-updraft-caller"), None, "what gateways say among themselves");
    let seen = &upstream.seen(1).await[0];
    for (name, value) in [
        ("host", Some("shop.example:8080")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("shop.example:8080")),
        ("x-real-ip", None),
        ("via", Some("1.1 shop.updraft")),
        ("x-forwarded-client-cert", None),
    ] {
        assert_eq!(seen.value(name).as_deref(), value, "{name}");
    }
    assert!(!seen.value("forwarded").unwrap().contains("6.6.6.6"), "{seen:?}");
    assert!(!format!("{seen:?}").contains("evil"), "{seen:?}");
    assert_ne!(seen.value("x-updraft-caller").as_deref(), Some("cart"), "{seen:?}");
}

#[tokio::test]
async fn inside_the_chain_grows() {
    let upstream = Upstream::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    let request = b"GET / HTTP/1.1\r\nhost: pricing\r\nforwarded: for=192.0.2.43\r\n\
                    x-forwarded-for: 192.0.2.43\r\n\r\n";
    client.send(request).await;
    assert_eq!(client.response().await.status, 204);
    let seen = &upstream.seen(1).await[0];
    let chain = seen.value("x-forwarded-for").unwrap();
    assert!(chain.starts_with("192.0.2.43"), "{chain}");
    let forwarded = seen.value("forwarded").unwrap();
    assert!(forwarded.starts_with("for=192.0.2.43, "), "{forwarded}");
    assert!(forwarded.contains("host=\"pricing\""), "{forwarded}");
}

#[tokio::test]
async fn a_loop_is_found() {
    let upstream = Upstream::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mesh = Mesh::http1(upstream.address);
    let mut client = Client::connect(mesh.edge).await;
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\nvia: 1.1 Cart.Pricing.Shop.Updraft\r\n\r\n").await;
    assert_eq!(client.response().await.status, 508);
    assert!(upstream.now().is_empty());
}
