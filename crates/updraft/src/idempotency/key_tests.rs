//! Which texts are keys, and what of a request tells it from others.

use http::{HeaderValue, Request};

use super::*;
use crate::Method;

const OPERATION: Declaration = Declaration {
    method: Method::Post,
    path: "/orders/{id}",
    id: "place",
    module: "shop",
    summary: "",
    description: "",
    deprecated: false,
    tags: &[],
    scopes: &[],
    idempotent: Some(IdempotencyKey::Required),
    since: None,
    until: None,
};

#[test]
fn a_key_is_a_string_of_structured_fields_or_bare() {
    let long = "k".repeat(255);
    let longer = "k".repeat(256);
    let (quoted, quoted_longer) = (format!("\"{long}\""), format!("\"{longer}\""));
    let cases = [
        ("abc", Some("abc")),
        ("\"abc\"", Some("abc")),
        (" \"8e03978e-40d5\" ", Some("8e03978e-40d5")),
        ("\"two words\"", Some("two words")),
        (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
        ("\"abc\";v=1", Some("abc")),
        ("\"abc\" ;v=1", None),
        (&*long, Some(&*long)),
        (&*quoted, Some(&*long)),
        (&*longer, None),
        (&*quoted_longer, None),
        ("", None),
        ("\"\"", None),
        ("\"abc", None),
        ("abc\"", None),
        (r#""a\bc""#, None),
        (r#""abc\"#, None),
        ("\"abc\", \"def\"", None),
        ("abc,def", None),
        ("a b", None),
        ("a\\b", None),
        ("abc;v=1", None),
        ("\"tab\there\"", None),
    ];
    for (text, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(text).unwrap());
        let got = key_of(&headers, IdempotencyKey::Optional);
        assert_eq!(got.as_ref().ok().and_then(Option::as_deref), expected, "{text}");
        if let Err(problem) = got {
            assert_eq!(problem.status(), 400);
        }
        headers.append(HEADER, HeaderValue::from_static("abc"));
        assert_eq!(key_of(&headers, IdempotencyKey::Optional).unwrap_err().status(), 400);
    }
    let mut headers = HeaderMap::new();
    assert_eq!(key_of(&headers, IdempotencyKey::Optional).unwrap(), None);
    assert_eq!(key_of(&headers, IdempotencyKey::Required).unwrap_err().status(), 400);
    headers.insert(HEADER, HeaderValue::from_bytes(b"\"caf\xc3\xa9\"").unwrap());
    assert_eq!(key_of(&headers, IdempotencyKey::Optional).unwrap_err().status(), 400);
}

fn known(key: &str, uri: &str, media: &'static str, body: &[u8]) -> Known {
    of(key, &OPERATION, uri, media, body, None)
}

fn of(
    key: &str,
    operation: &Declaration,
    uri: &str,
    media: &'static str,
    body: &[u8],
    caller: Option<Caller>,
) -> Known {
    let mut request = Request::post(uri).header("content-type", media).body(()).unwrap();
    request.extensions_mut().extend(
        caller
            .map(|caller| {
                let mut extensions = http::Extensions::new();
                extensions.insert(caller);
                extensions
            })
            .unwrap_or_default(),
    );
    Known::of(key, operation, &request.into_parts().0, body)
}

#[test]
fn a_request_is_known_by_all_that_makes_it() {
    let own = known("k", "/orders/7?b=1", "a/b", b"body");
    assert_eq!(own, known("k", "/orders/7?b=1", "a/b", b"body"));
    // Another request with the key of this one.
    for (uri, media, body) in [
        ("/orders/8?b=1", "a/b", &b"body"[..]),
        ("/orders/7?b=2", "a/b", b"body"),
        ("/orders/7", "a/b", b"body"),
        ("/orders/7?b=1", "a/c", b"body"),
        ("/orders/7?b=1", "a/b", b"bodY"),
        ("/orders/7?b=1", "a/", b"bbody"),
        ("/orders/7?b=1", "a/b", b""),
    ] {
        let other = known("k", uri, media, body);
        assert_eq!(own.id, other.id, "{uri} {media}");
        assert_ne!(own.fingerprint, other.fingerprint, "{uri} {media}");
    }
    // The same request with a key of its own.
    let elsewhere = Declaration { path: "/orders/{id}/lines", ..OPERATION };
    let patch = Declaration { method: Method::Patch, ..OPERATION };
    let somebody = Caller::of_command_line(Vec::new());
    for other in [
        known("l", "/orders/7?b=1", "a/b", b"body"),
        of("k", &elsewhere, "/orders/7?b=1", "a/b", b"body", None),
        of("k", &patch, "/orders/7?b=1", "a/b", b"body", None),
        of("k", &OPERATION, "/orders/7?b=1", "a/b", b"body", Some(somebody)),
    ] {
        assert_ne!(own.id, other.id);
    }
}
