//! What happens to requests, by table.

use proptest::prelude::*;

use super::*;
use crate::gate::Kind;
use crate::gate::recorder::inbound;

fn parts(method: &str, uri: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri).version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn get(fields: &[(&str, &str)]) -> Parts {
    let all = [&[("host", "a")], fields].concat();
    parts("GET", "/", Version::HTTP_11, &all)
}

fn rule(mut parts: Parts, kind: Kind) -> Option<Rule> {
    request(&mut parts, &inbound(kind)).err().map(|refusal| refusal.rule)
}

fn passed(mut parts: Parts, kind: Kind) -> Parts {
    let _asked = request(&mut parts, &inbound(kind)).unwrap();
    parts
}

fn field(parts: &Parts, name: &str) -> Vec<String> {
    let values = parts.headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_one_who_is_asked_is_the_same_everywhere() {
    let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
    for (uri, version, hosts, wanted) in [
        ("/x", h1, &["a"][..], None),
        ("/x", h1, &[], Some(Rule::MissingHost)),
        ("/x", h1, &["a", "a"], Some(Rule::DuplicateHost)),
        ("/x", h1, &["u@a"], Some(Rule::InvalidHost)),
        ("http://a/x", h1, &["A:80"], None),
        ("http://a/x", h1, &["b"], Some(Rule::HostMismatch)),
        ("http://a/x", h2, &[], None),
        ("http://a/x", h2, &["a"], None),
        ("http://a/x", h2, &["b"], Some(Rule::HostMismatch)),
        ("http://u@a/x", h2, &[], Some(Rule::InvalidHost)),
        ("/x", h2, &["a"], None),
        ("/x", h2, &[], Some(Rule::MissingHost)),
    ] {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let asked = parts("GET", uri, version, &fields);
        assert_eq!(rule(asked.clone(), Kind::Edge), wanted, "{uri} {hosts:?}");
        if wanted.is_none() {
            let after = passed(asked, Kind::Edge);
            assert_eq!(after.uri.to_string(), "/x");
            let host = field(&after, "host");
            assert!(host.len() == 1 && host[0].to_lowercase().starts_with('a'), "{host:?}");
        }
    }
    let old = passed(parts("GET", "/", Version::HTTP_10, &[]), Kind::Edge);
    assert_eq!(field(&old, "host"), ["pricing"]);
}

#[test]
fn registered_and_declared_methods_pass() {
    let of =
        |method: &str| rule(parts(method, "/", Version::HTTP_11, &[("host", "a")]), Kind::Edge);
    for method in METHODS {
        assert_eq!(of(method), None, "{method}");
    }
    for method in ["TRACE", "PRI", "get", "PURGE"] {
        assert_eq!(of(method), Some(Rule::MethodNotAllowed), "{method}");
    }
    let connect = parts("CONNECT", "a:443", Version::HTTP_11, &[("host", "a:443")]);
    assert_eq!(rule(connect, Kind::Edge), Some(Rule::Connect));
    let declares = Inbound { methods: ["PURGE".to_owned()].into(), ..inbound(Kind::Edge) };
    let mut purge = parts("PURGE", "/", Version::HTTP_11, &[("host", "a")]);
    assert!(request(&mut purge, &declares).is_ok());
}

#[test]
fn fields_of_the_hop_end_here() {
    let after = passed(
        get(&[
            ("connection", "keep-alive, X-Own, te"),
            ("connection", "x-other"),
            ("x-own", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-future", "1"),
            ("te", "deflate;q=0.5, trailers"),
            ("http2-settings", "AA"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ]),
        Kind::Edge,
    );
    let mut left: Vec<_> = after.headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    let told = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    let mut wanted = [&["accept", "host", "te", "x-updraft-caller"][..], &told].concat();
    wanted.sort_unstable();
    assert_eq!(left, wanted);
    assert_eq!(field(&after, "te"), ["trailers"]);
    let other = passed(get(&[("te", "deflate")]), Kind::Edge);
    assert!(field(&other, "te").is_empty());
}

#[test]
fn connection_names_nothing_that_is_meant_for_the_end() {
    for name in ["host", "Authorization", "cookie", "X-Forwarded-For", "traceparent", "x-updraft-x"]
    {
        let nominated = get(&[("connection", &format!("close, {name}"))]);
        assert_eq!(rule(nominated, Kind::Mesh), Some(Rule::NominatedField), "{name}");
    }
    assert_eq!(rule(get(&[("connection", "a b")]), Kind::Mesh), Some(Rule::InvalidConnection));
    let h2 = parts("GET", "http://a/", Version::HTTP_2, &[("connection", "close")]);
    assert_eq!(rule(h2, Kind::Mesh), Some(Rule::InvalidConnection));
}

#[test]
fn what_the_outside_says_about_itself_is_overwritten() {
    let lies = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "admin"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 other"),
        ("x-forwarded-client-cert", "URI=spiffe://shop/admin"),
        ("x-updraft-caller", "admin"),
        ("x-updraft-anything", "1"),
    ];
    let after = passed(get(&lies), Kind::Ingress);
    for (name, wanted) in [
        ("x-forwarded-for", &["192.0.2.7"][..]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["a"]),
        ("x-forwarded-port", &[]),
        ("x-real-ip", &[]),
        ("forwarded", &["for=192.0.2.7;proto=http;host=\"a\""]),
        ("via", &["1.1 gate"]),
        ("x-forwarded-client-cert", &[]),
        ("x-updraft-caller", &[]),
        ("x-updraft-anything", &[]),
    ] {
        assert_eq!(field(&after, name), wanted, "{name}");
    }
}

#[test]
fn what_the_inside_says_is_kept_and_added_to() {
    let said = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("forwarded", "for=198.51.100.1"),
        ("via", "1.1 other"),
        ("x-forwarded-client-cert", "URI=spiffe://shop/admin"),
        ("x-updraft-caller", "admin"),
        ("x-updraft-anything", "1"),
    ];
    let certificate: &[_] = &["URI=spiffe://shop/cart"];
    for (kind, anything, certificate) in
        [(Kind::Edge, &[][..], &[][..]), (Kind::Mesh, &["1"], certificate)]
    {
        let after = passed(get(&said), kind);
        let addresses = "198.51.100.1, 198.51.100.2, 192.0.2.7";
        for (name, wanted) in [
            ("x-forwarded-for", &[addresses][..]),
            ("x-forwarded-proto", &["https"]),
            ("x-forwarded-host", &["shop.example"]),
            ("forwarded", &["for=198.51.100.1, for=_cart;proto=http;host=\"a\""]),
            ("via", &["1.1 other, 1.1 gate"]),
            ("x-forwarded-client-cert", certificate),
            ("x-updraft-caller", &["cart"]),
            ("x-updraft-anything", anything),
        ] {
            assert_eq!(field(&after, name), wanted, "{name} {kind:?}");
        }
    }
}

#[test]
fn the_address_of_a_service_beside_hides_no_client() {
    let beside = Inbound { client: None, ..inbound(Kind::Edge) };
    let mut asked = get(&[("x-forwarded-for", "198.51.100.1")]);
    let _asked = request(&mut asked, &beside).unwrap();
    assert_eq!(field(&asked, "x-forwarded-for"), ["198.51.100.1"]);
}

#[test]
fn a_request_that_has_been_here_is_a_loop() {
    for (via, looped) in [
        ("1.1 gate", true),
        ("1.0 x, HTTP/2 GATE (comment)", true),
        ("1.1  gate", true),
        ("1.1 gate2", false),
        ("gate 1.1", false),
        ("1.1 x (gate)", false),
    ] {
        for kind in [Kind::Ingress, Kind::Edge, Kind::Mesh] {
            assert_eq!(rule(get(&[("via", via)]), kind), looped.then_some(Rule::Loop), "{via}");
        }
    }
}

#[test]
fn a_websocket_handshake_passes_only_where_it_is_allowed() {
    let handshake = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let mut asked = get(&handshake);
    assert!(request(&mut asked, &inbound(Kind::Edge)).unwrap().upgrade);
    assert_eq!(field(&asked, "connection"), ["upgrade"]);
    assert_eq!(field(&asked, "upgrade"), ["websocket"]);
    let forbids = Inbound { allows_upgrade: false, ..inbound(Kind::Edge) };
    let mut asked = get(&handshake);
    assert!(!request(&mut asked, &forbids).unwrap().upgrade);
    assert!(field(&asked, "upgrade").is_empty() && field(&asked, "connection").is_empty());
    for (name, value) in [
        ("sec-websocket-version", "777"),
        ("sec-websocket-key", "short"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ] {
        let mut bad = get(&handshake);
        bad.headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(rule(bad, Kind::Edge), Some(Rule::InvalidUpgrade), "{name}");
    }
}

#[test]
fn fields_of_one_value_stand_once() {
    for name in ["authorization", "content-type", "range", "traceparent", "cookie", "x-request-id"]
    {
        let twice = get(&[(name, "1"), ("accept", "a"), (name, "1")]);
        assert_eq!(rule(twice, Kind::Mesh), Some(Rule::DuplicateField), "{name}");
        assert_eq!(rule(get(&[(name, "1")]), Kind::Mesh), None, "{name}");
    }
    assert_eq!(rule(get(&[("accept", "a"), ("accept", "b")]), Kind::Mesh), None);
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2")];
    let joined = passed(parts("GET", "http://a/", Version::HTTP_2, &crumbs), Kind::Mesh);
    assert_eq!(field(&joined, "cookie"), ["a=1; b=2"]);
}

#[test]
fn expectations_and_forwards_are_counted() {
    assert_eq!(rule(get(&[("expect", "x")]), Kind::Mesh), Some(Rule::UnknownExpectation));
    let options =
        |count| parts("OPTIONS", "/", Version::HTTP_11, &[("host", "a"), ("max-forwards", count)]);
    assert_eq!(field(&passed(options("7"), Kind::Mesh), "max-forwards"), ["6"]);
    assert_eq!(rule(options("0"), Kind::Mesh), Some(Rule::MaxForwardsReached));
    assert_eq!(rule(options("+1"), Kind::Mesh), Some(Rule::InvalidMaxForwards));
    assert_eq!(field(&passed(get(&[("max-forwards", "0")]), Kind::Mesh), "max-forwards"), ["0"]);
}

#[test]
fn another_spelling_of_a_guarded_field_is_refused() {
    for name in ["x_forwarded_for", "content_type", "x_updraft-caller", "proxy_connection"] {
        assert_eq!(rule(get(&[(name, "1")]), Kind::Edge), Some(Rule::UnderscoreAlias), "{name}");
    }
    assert_eq!(rule(get(&[("my_own", "1")]), Kind::Edge), None);
}

proptest! {
    /// Whatever it is given, what passes has nothing of this hop, and passes a second gate
    /// of another name the same way.
    #[test]
    fn what_passes_once_passes_the_next_gateway(
        fields in proptest::collection::vec((
            proptest::sample::select(vec![
                "connection", "te", "upgrade", "via", "forwarded", "x-forwarded-for", "x-own",
                "keep-alive", "expect", "cookie", "x-updraft-caller", "max-forwards",
            ]),
            "(close|upgrade|x-own|host|trailers|1\\.1 a|100-continue|websocket|[ -~]{0,6})",
        ), 0..8),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut asked = get(&fields);
        let mut next = inbound(Kind::Mesh);
        next.pseudonym = crate::gate::Pseudonym::new("another").unwrap();
        if request(&mut asked, &inbound(Kind::Edge)).is_ok() {
            for name in ["connection", "upgrade", "keep-alive", "expect"] {
                prop_assert!(!asked.headers.contains_key(name), "{}", name);
            }
            let again = request(&mut asked, &next);
            let of_them = |rule| matches!(rule, Rule::Loop | Rule::InvalidMaxForwards);
            prop_assert!(again.as_ref().err().is_none_or(|r| of_them(r.rule)), "{:?}", again);
            prop_assert_eq!(field(&asked, "x-updraft-caller"), ["cart"]);
        }
    }
}
