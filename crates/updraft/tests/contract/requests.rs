//! What is wrong with a request is said all at once, each at its place.

use serde_json::{Value, json};

use crate::service::{Answer, Service};

/// Place and text of each finding.
fn findings(answer: &Answer) -> Vec<(String, String)> {
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{answer:?}");
    let one = |it: &Value| {
        let place = it["pointer"].as_str().or(it["parameter"].as_str()).unwrap_or("");
        (place.to_owned(), it["detail"].as_str().unwrap().to_owned())
    };
    problem["errors"].as_array().unwrap_or_else(|| panic!("{answer:?}")).iter().map(one).collect()
}

fn is(answer: &Answer, status: u16, expected: &[(&str, &str)]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let found = findings(answer);
    let found: Vec<_> = found.iter().map(|(place, detail)| (&**place, &**detail)).collect();
    assert_eq!(found, expected, "{answer:?}");
}

#[test]
fn every_wrong_member_of_a_body_is_named_with_its_pointer() {
    let service = Service::start();
    let body = json!({
        "title": 7, "pageCount": "many", "genre": "prose", "pages": 3,
        "authors": [{ "name": "A" }, { "born": 40_000 }],
    });
    let answer = service.send_json("PUT", "/v1/books/1", &body.to_string());
    is(
        &answer,
        422,
        &[
            ("#/authors/1/name", "is missing"),
            ("#/authors/1/born", "must be from -32768 to 32767"),
            ("#/genre", "must be one of \"novel\", \"poems\", \"atlas\""),
            ("#/pageCount", "must be a whole number"),
            ("#/pages", "is unknown"),
            ("#/title", "must be a string"),
        ],
    );
    assert_eq!(answer.json()["detail"], "6 parts of the request are wrong");
}

#[test]
fn every_broken_rule_is_named_by_the_name_that_callers_know() {
    let service = Service::start();
    let body = json!({ "title": "", "pageCount": 0, "authors": [{ "name": "A" }, { "name": "" }] });
    let answer = service.send_json("PUT", "/v1/books/1", &body.to_string());
    assert_eq!(answer.status, 422);
    let mut places: Vec<_> = findings(&answer).into_iter().map(|(place, _)| place).collect();
    places.sort();
    assert_eq!(places, ["#/authors/1/name", "#/pageCount", "#/title"]);
}

#[test]
fn path_query_headers_and_body_are_refused_in_one_answer() {
    let service = Service::start();
    let answer = service.ask(
        "PUT",
        "/v1/books/x/pages/-1",
        &[("X-Copies", "lots"), ("Content-Type", "text/plain")],
        "text",
    );
    is(
        &answer,
        400,
        &[
            ("x-copies", "must be a whole number"),
            ("id", "must be a whole number"),
            ("number", "must be from 0 to 4294967295"),
        ],
    );
    let answer = service.send_json("PUT", "/v1/books/x", "{\"title\":\"T\"}");
    is(
        &answer,
        422,
        &[
            ("id", "must be a whole number from 0 to 18446744073709551615"),
            ("#/pageCount", "is missing"),
        ],
    );
}

#[test]
fn every_wrong_parameter_of_a_query_is_named() {
    let service = Service::start();
    let answer = service.get("/v1/books?limit=few&genre=prose&reversed=yes&page=2&limt=3");
    let mut found = findings(&answer);
    found.sort();
    let found: Vec<_> = found.iter().map(|(place, detail)| (&**place, &**detail)).collect();
    assert_eq!(
        found,
        [
            ("genre", "must be one of \"novel\", \"poems\", \"atlas\""),
            ("limit", "must be a whole number"),
            ("limt", "is unknown; did you mean `limit`?"),
            ("page", "is unknown"),
            ("reversed", "must be true or false"),
        ]
    );
    is(&service.get("/v1/books?limit=1&limit=2"), 400, &[("limit", "is given 2 times")]);
    is(&service.get("/v1/books?limit=0"), 422, &[("limit", "lower than 1")]);
    let sound = service.get("/v2/books?limit=100&genre=poems&genre=atlas&reversed=true");
    assert_eq!(sound.json()["genres"], json!({ "Atlas": 1, "Poems": 1 }));
}

#[test]
fn what_is_no_json_is_told_from_json_that_is_wrong() {
    let service = Service::start();
    let put = |body: &str| service.send_json("PUT", "/v1/books/1", body);
    is(&put("{\"title\": }"), 400, &[("#", "is no JSON: line 1, column 11")]);
    is(&put(""), 400, &[("#", "is empty, and must be JSON")]);
    is(&put("[]"), 422, &[("#", "must be an object")]);
    let text = service.ask("PUT", "/v1/books/1", &[("Content-Type", "text/plain")], "{}");
    assert_eq!((text.status, text.json()["title"].as_str()), (415, Some("Unsupported Media Type")));
    let typed = service.ask(
        "PUT",
        "/v1/books/1",
        &[("Content-Type", "application/vnd.book+json; charset=utf-8")],
        "{\"title\":\"T\",\"pageCount\":1}",
    );
    assert_eq!(typed.status, 200, "{typed:?}");
}

#[test]
fn a_tagged_choice_says_which_choices_there_are_and_what_the_chosen_one_lacks() {
    let service = Service::start();
    let patch = |body: &str| service.send_json("PATCH", "/v2/books/1", body);
    is(
        &patch("{\"what\":\"burn\"}"),
        422,
        &[("#", "must be one of what = \"rename\", what = \"move\"")],
    );
    is(&patch("{\"what\":\"move\",\"shelf\":300}"), 422, &[("#/shelf", "must be from 0 to 255")]);
    assert_eq!(patch("{\"what\":\"move\",\"shelf\":3}").status, 202);
}

#[test]
fn a_variant_of_a_problem_is_its_document() {
    let service = Service::start();
    let put = |title: &str| {
        let body = json!({ "title": title, "pageCount": 1 }).to_string();
        service.send_json("PUT", "/v1/books/2", &body)
    };
    let expected = json!({
        "type": "/docs#problem-duplicate", "title": "The book is there already", "status": 409,
        "detail": "The title Taken is number 2.", "book": "Taken", "id": 2,
    });
    assert_eq!(put("Taken").json(), expected);
    let full = put("Full");
    assert_eq!((full.status, full.header("retry-after")), (503, Some("30")));
    let missing = service.get("/v1/books/9").json();
    assert_eq!(missing["detail"], "No book has the number 9");
    assert_eq!(missing["title"], "No such book");
    assert_eq!(service.get("/covers/9").json()["title"], "Not Found");
}

#[test]
fn an_operation_is_of_its_versions_and_of_no_other() {
    let service = Service::start();
    for (method, target, status) in [
        ("GET", "/v1/books", 200),
        ("GET", "/v2/books", 200),
        ("GET", "/books", 404),
        ("GET", "/v3/books", 404),
        ("DELETE", "/v1/books/1", 204),
        ("DELETE", "/v2/books/1", 405),
        ("PATCH", "/v1/books/1", 405),
        ("GET", "/covers/1", 200),
        ("GET", "/v1/covers/1", 404),
        ("HEAD", "/v1/books/1", 200),
        ("GET", "/library", 308),
    ] {
        let answer = service.ask(method, target, &[], "");
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
    }
    assert!(service.get("/v1/books").json().is_array());
    assert!(service.get("/v2/books").json().is_object());
}

#[test]
fn an_operation_with_a_scope_is_closed_to_whoever_is_not_known() {
    let service = Service::start();
    let answer = service.send_json("POST", "/v1/books", "not even JSON");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
