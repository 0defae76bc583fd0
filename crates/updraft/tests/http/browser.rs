//! What browsers are told, and who the client is taken for.

use std::io::Read as _;

use crate::support::Process;
use crate::wire::{ask, tcp};

#[test]
fn pages_of_listed_origins_may_call_and_read_and_others_may_not() {
    let variables = [("CORS_ORIGINS", "https://shop.example"), ("CORS_CREDENTIALS", "true")];
    let (_process, address) = Process::web(&variables);
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "content-type"),
        ];
        tcp(&address).ask("OPTIONS", "/json", &headers, b"").unwrap()
    };
    let allowed = preflight("https://shop.example");
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    let refused = preflight("https://evil.example");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None));
    // Errors are readable too: a page must be able to show them.
    for (path, status) in [("/", 200), ("/nowhere", 404), ("/panics", 500)] {
        let answer = ask(&address, path, &[("origin", "https://shop.example")]);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
        let answer = ask(&address, path, &[("origin", "https://evil.example")]);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("vary"), Some("origin"));
    }
}

#[test]
fn without_cors_nothing_is_allowed_and_options_is_the_handlers_matter() {
    let (_process, address) = Process::web(&[]);
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    let answer = tcp(&address).ask("OPTIONS", "/", &headers, b"").unwrap();
    assert_eq!(answer.status, 405);
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
}

#[test]
fn answers_are_hardened_and_name_no_server() {
    let (_process, address) = Process::web(&[]);
    for path in ["/", "/nowhere"] {
        let answer = ask(&address, path, &[]);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(
            answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'")
        );
        assert_eq!(answer.header("strict-transport-security"), None);
        assert_eq!(answer.header("server"), None);
    }
    let (_process, address) = Process::web(&[("SECURITY_HEADERS", "false")]);
    assert_eq!(ask(&address, "/", &[]).header("x-content-type-options"), None);
}

#[test]
fn large_texts_are_packed_for_who_takes_it() {
    let (_process, address) = Process::web(&[]);
    let plain = ask(&address, "/large", &[]);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = ask(&address, "/large", &[("accept-encoding", "br, gzip")]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 10);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let small = ask(&address, "/", &[("accept-encoding", "gzip")]);
    assert_eq!(small.header("content-encoding"), None);
    let (_process, address) = Process::web(&[("COMPRESSION", "false")]);
    let off = ask(&address, "/large", &[("accept-encoding", "gzip")]);
    assert_eq!(off.header("content-encoding"), None);
}

#[test]
fn the_client_is_whom_a_trusted_proxy_names() {
    let (_process, address) = Process::web(&[("TRUSTED_PROXIES", "127.0.0.1")]);
    let of = |headers: &[(&str, &str)]| ask(&address, "/peer", headers).text();
    assert_eq!(of(&[]), "127.0.0.1 false None");
    assert_eq!(of(&[("x-forwarded-for", "10.0.0.1, 203.0.113.9")]), "203.0.113.9 false None");
    assert_eq!(of(&[("forwarded", "for=203.0.113.9")]), "127.0.0.1 false None");
    let (_process, address) = Process::web(&[]);
    let claimed = ask(&address, "/peer", &[("x-forwarded-for", "203.0.113.9")]);
    assert_eq!(claimed.text(), "127.0.0.1 false None");
}
