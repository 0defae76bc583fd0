//! Refusals as their readers see them.

use http_body_util::BodyExt;

use super::*;

async fn read(response: Response<Full<Bytes>>) -> serde_json::Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let refusal = Refusal::from(Rule::DotSegment);
    let response = refusal.response(Version::HTTP_11, Some("r-1"), false);
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[CONNECTION], "close");
    let document = read(response).await;
    assert_eq!(document["title"], "Bad Request");
    assert_eq!(document["status"], 400);
    assert_eq!(document["kind"], "dot_segment");
    assert_eq!(document["request_id"], "r-1");
    assert_eq!(document["detail"], Rule::DotSegment.title());
}

#[tokio::test]
async fn a_detail_takes_the_place_of_the_rules_own_sentence() {
    let refusal = Refusal::detailed(Rule::DuplicateField, "`range` stands twice");
    let response = refusal.response(Version::HTTP_2, None, false);
    assert!(!response.headers().contains_key(CONNECTION), "not a field of HTTP/2");
    let document = read(response).await;
    assert_eq!(document["detail"], "`range` stands twice");
    assert!(document.get("request_id").is_none());
}

#[tokio::test]
async fn a_405_says_what_is_allowed_and_a_used_up_request_has_no_body() {
    let refused = Refusal::from(Rule::Connect).response(Version::HTTP_11, None, false);
    assert_eq!(refused.headers()[ALLOW], ALLOWED);
    let reached = Refusal::from(Rule::MaxForwardsReached).response(Version::HTTP_11, None, false);
    assert_eq!((reached.status().as_u16(), reached.headers().contains_key(ALLOW)), (204, true));
    assert!(reached.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn grpc_is_answered_in_its_own_words() {
    let refusal = Refusal::detailed(Rule::DuplicateField, "100 % schön");
    let response = refusal.response(Version::HTTP_2, None, true);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "13");
    assert_eq!(response.headers()["grpc-message"], "100 %25 sch%C3%B6n");
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[test]
fn statuses_are_those_a_client_of_grpc_would_make_of_them() {
    // doc/http-grpc-status-mapping.md, read forwards.
    for (http, grpc) in [(400, 13), (401, 16), (403, 7), (404, 12), (502, 14), (503, 14), (418, 2)]
    {
        assert_eq!(grpc_status(StatusCode::from_u16(http).unwrap()), grpc, "{http}");
    }
    // Where the gateway knows better: who is told UNAVAILABLE asks again.
    for (http, grpc) in [(429, 8), (504, 4)] {
        assert_eq!(grpc_status(StatusCode::from_u16(http).unwrap()), grpc, "{http}");
    }
}

#[test]
fn a_request_of_grpc_is_known_by_its_type() {
    for (value, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("Application/gRPC; charset=utf-8", true),
        ("application/grpc-web", false),
        ("application/grpcx", false),
        ("application/json", false),
    ] {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert_eq!(is_grpc(&headers), grpc, "{value}");
    }
    assert!(!is_grpc(&HeaderMap::new()));
}

#[test]
fn the_answer_on_the_wire_is_whole() {
    for rule in Rule::ALL {
        let text = String::from_utf8(http1(*rule)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", rule.status().as_u16())), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains(rule.name()), "{body}");
    }
}
