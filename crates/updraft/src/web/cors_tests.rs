//! Which pages may call, as a table.

use super::*;

fn preflight(cors: &Cors, origin: Option<&str>, method: Option<&str>) -> Option<Response> {
    let mut request = Request::builder().method(Method::OPTIONS);
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    if let Some(method) = method {
        request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, method);
    }
    let request = request.header(header::ACCESS_CONTROL_REQUEST_HEADERS, "x-mine");
    cors.preflight(&request.body(()).unwrap())
}

#[test]
fn only_listed_origins_are_allowed_and_they_must_match_exactly() {
    let origins = Origins::parse("https://shop.example, http://localhost:5173").unwrap();
    let cors = Cors::new(origins, true);
    let cases = [
        ("https://shop.example", true),
        ("http://localhost:5173", true),
        ("http://shop.example", false),
        ("https://shop.example:8443", false),
        ("https://shop.example.evil.example", false),
        ("https://evil.example", false),
        ("null", false),
    ];
    for (origin, allowed) in cases {
        let response = preflight(&cors, Some(origin), Some("PUT")).unwrap();
        let status = if allowed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), status, "{origin}");
        let headers = response.headers();
        let told = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(told.is_some(), allowed, "{origin}");
        if allowed {
            assert_eq!(told.unwrap(), origin);
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "x-mine");
        }
        let mut answer = HeaderMap::new();
        cors.tell(Some(&HeaderValue::try_from(origin).unwrap()), &mut answer);
        assert_eq!(answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origin}");
        assert_eq!(answer[header::VARY], "origin");
    }
}

#[test]
fn every_origin_is_a_star_and_never_an_echo() {
    let cors = Cors::new(Origins::Any, false);
    let response = preflight(&cors, Some("https://any.example"), Some("GET")).unwrap();
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
}

#[test]
fn what_is_no_preflight_goes_to_the_handlers() {
    let cors = Cors::new(Origins::Any, false);
    assert!(preflight(&cors, None, Some("GET")).is_none());
    assert!(preflight(&cors, Some("https://any.example"), None).is_none());
    let request = Request::builder()
        .method(Method::GET)
        .header(header::ORIGIN, "https://any.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET");
    assert!(cors.preflight(&request.body(()).unwrap()).is_none());
}

#[test]
fn what_no_browser_would_send_is_no_origin() {
    for wrong in [
        "shop.example",
        "https://shop.example/",
        "https://shop.example/path",
        "https://shop.example:443",
        "https://Shop.example",
        "https://user@shop.example",
        "ftp://shop.example",
        "null",
        "https://*.example",
        "",
        "https://shop.example,*",
    ] {
        assert!(Origins::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        Origins::parse("https://a.example,https://b.example").unwrap().show(),
        "https://a.example,https://b.example"
    );
}
