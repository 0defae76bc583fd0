//! What is packed, what is not, and that it comes out as it went in.

use std::io::Read as _;

use axum::response::IntoResponse;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;

use super::*;

fn answer(kind: &'static str, length: usize) -> Response {
    ([(header::CONTENT_TYPE, kind)], "x".repeat(length)).into_response()
}

fn passed(response: Response, welcome: bool) -> Response {
    by(&Packer::default(), response, welcome)
}

fn by(packer: &Packer, mut response: Response, welcome: bool) -> Response {
    packer.pack(&mut response, welcome);
    response
}

#[test]
fn only_large_answers_of_kinds_that_shrink_are_packed() {
    let cases = [
        ("application/json", 4000, true),
        ("application/problem+json", 4000, true),
        ("text/html; charset=utf-8", 4000, true),
        ("image/svg+xml", 4000, true),
        ("application/json", 100, false),
        ("text/event-stream", 4000, false),
        ("image/png", 4000, false),
        ("application/octet-stream", 4000, false),
    ];
    for (kind, length, packed) in cases {
        let response = passed(answer(kind, length), true);
        assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), packed, "{kind}");
        assert_eq!(response.headers().contains_key(header::VARY), packed, "{kind}");
    }
    let unwelcome = passed(answer("text/plain", 4000), false);
    assert!(!unwelcome.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(unwelcome.headers()[header::VARY], "accept-encoding");
}

#[test]
fn what_was_already_decided_about_the_bytes_stays() {
    for (name, value) in [
        (header::CONTENT_ENCODING, "br"),
        (header::CONTENT_RANGE, "bytes 0-9/10"),
        (header::CACHE_CONTROL, "public, no-transform"),
    ] {
        let mut response = answer("text/plain", 4000);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        let response = passed(response, true);
        assert_ne!(response.headers().get(header::CONTENT_ENCODING), Some(&GZIP), "{value}");
    }
}

#[test]
fn a_caller_takes_gzip_only_when_it_says_so() {
    let cases = [
        ("gzip", true),
        ("br, gzip;q=0.5", true),
        ("GZIP", true),
        ("*", true),
        ("gzip;q=0", false),
        ("*, gzip;q=0", false),
        ("br", false),
        ("gzip;q=nonsense", false),
        ("", false),
    ];
    for (value, taken) in cases {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        assert_eq!(welcome(&Method::GET, &headers), taken, "{value}");
        assert!(!welcome(&Method::HEAD, &headers));
    }
    assert!(!welcome(&Method::GET, &HeaderMap::new()));
}

#[tokio::test]
async fn what_comes_out_is_what_went_in() {
    let text: String = (0..200_000).map(|number| format!("{{\"number\":{number}}},")).collect();
    let mut response = ([(header::CONTENT_TYPE, "text/plain")], text.clone()).into_response();
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"tag\""));
    let response = passed(response, true);
    assert_eq!(response.headers()[header::ETAG], "W/\"tag\"");
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    assert!(packed.len() < text.len() / 2);
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
}

#[tokio::test]
async fn what_was_said_so_far_reaches_a_caller_that_waits() {
    let said = futures_util::stream::iter([Ok::<_, std::io::Error>("first")]);
    let stream = said.chain(futures_util::stream::pending());
    let response = ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(stream));
    let response = passed(response.into_response(), true);
    let mut body = response.into_body();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    while decoder.get_ref() != b"first" {
        let frame = body.frame().await.unwrap().unwrap();
        decoder.write_all(frame.data_ref().unwrap()).unwrap();
        decoder.flush().unwrap();
    }
}

#[test]
fn never_more_are_packed_at_once_than_memory_allows() {
    let packer = Packer::default();
    let large = || by(&packer, answer("text/plain", 4000), true);
    let answers: Vec<_> = (0..AT_ONCE + 5).map(|_| large()).collect();
    let packed = |response: &&Response| response.headers().contains_key(header::CONTENT_ENCODING);
    assert_eq!(answers.iter().filter(packed).count(), AT_ONCE as usize);
    drop(answers);
    assert!(packed(&&large()));
}
