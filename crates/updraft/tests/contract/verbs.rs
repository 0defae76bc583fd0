//! `contract` and `call`.

use serde_json::{Value, json};

use crate::service::{contract, run};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_contract_is_printed_alike_every_time_and_needs_no_variable() {
    let once = run(&["contract", "print"]);
    assert_eq!(once.status.code(), Some(0));
    assert_eq!(once.stdout, run(&["contract", "print", "--version", "2"]).stdout);
    assert_ne!(once.stdout, run(&["contract", "print", "--version", "1"]).stdout);
    let wrong = run(&["contract", "print", "--version", "3"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("versions 1 to 2"));
}

#[test]
fn a_committed_contract_is_checked_against_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    let place = file.to_str().unwrap();
    let write = |document: &Value| std::fs::write(&file, document.to_string()).unwrap();
    let check = |more: &[&str]| {
        let output = run(&[&["contract", "check", place], more].concat());
        (output.status.code(), text(&output.stdout).to_owned())
    };

    write(&contract("2"));
    assert_eq!(check(&["--exact"]).0, Some(0));

    // Callers were told of a member that this release does not answer.
    let mut old = contract("2");
    let shelved = &mut old["components"]["schemas"]["Shelved"];
    shelved["properties"]["isbn"] = json!({ "type": "string" });
    shelved["required"].as_array_mut().unwrap().push("isbn".into());
    write(&old);
    let (code, said) = check(&[]);
    assert_eq!(code, Some(1));
    let line = "breaking: GET /books/{id}: response 200 body /isbn: the member is no longer there [response-member-removed]";
    assert!(said.lines().any(|it| it == line), "{said}");
    let (code, said) = check(&["--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["current"]), (Some(1), &false.into()));
    assert!(said["changes"].as_array().unwrap().iter().any(|it| {
        it["rule"] == "response-member-removed" && it["operation"] == "GET /books/{id}"
    }));

    // An operation that is new breaks nobody, but the file is not current.
    let mut old = contract("2");
    old["paths"].as_object_mut().unwrap().remove("/covers/{id}");
    write(&old);
    assert_eq!(check(&[]).0, Some(0));
    assert_eq!(check(&["--exact"]).0, Some(1));

    std::fs::write(&file, "{}").unwrap();
    assert_eq!(check(&[]).0, Some(2));
}

#[test]
fn a_request_is_answered_without_a_network() {
    let call = |arguments: &[&str]| {
        let output = run(&[&["call"], arguments].concat());
        (output.status.code().unwrap(), text(&output.stdout).to_owned())
    };
    let book = r#"{"title":"T","pageCount":3}"#;
    for (arguments, code, part) in [
        (&["GET", "/v1/books?limit=1"][..], 0, "\"Volume 0\""),
        (&["/v1/books/1"], 0, "\"Volume 1\""),
        (&["/v1/books/9"], 4, "No book has the number 9"),
        (&["/nowhere"], 4, "\"title\":\"Not Found\""),
        (&["-i", "/library"], 0, "location: /"),
        (&["/v1/books", "--json", book], 4, "needs a bearer token"),
        (&["/v1/books", "--json", book, "--scope", "books:read"], 4, "lacks the scope books:write"),
        (
            &["-i", "/v2/books", "--json", book, "--scope", "books:write"],
            0,
            "location: /v2/books/3",
        ),
        (&["/echo", "--data", "abc", "-H", "Content-Type: text/x-mine", "-i"], 0, "text/x-mine"),
    ] {
        let (exit, said) = call(arguments);
        assert_eq!(exit, code, "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let broken = run(&[
        "call",
        "/v1/books",
        "--scope",
        "books:write",
        "--json",
        r#"{"title":"Broken","pageCount":3}"#,
    ]);
    assert_eq!(broken.status.code(), Some(5));
    // The answer is alone and gives nothing away; the log says what happened.
    let answer: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!(answer, json!({ "title": "Internal Server Error", "status": 500 }));
    assert_eq!(text(&broken.stderr).matches("canary").count(), 1);
    for wrong in [&["books"][..], &["GET", "/x", "-H", "no colon"], &["G T", "/x"]] {
        assert_eq!(call(wrong).0, 2, "{wrong:?}");
    }
}
