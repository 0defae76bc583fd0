//! What the running service says of its contract.

use crate::service::{Service, contract, run};

#[test]
fn the_service_says_what_the_command_line_prints_and_nothing_to_who_has_it() {
    let service = Service::start();
    let printed = run(&["contract", "print"]);
    let answer = service.get("/openapi.json");
    assert_eq!(answer.body.as_bytes(), printed.stdout);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let etag = answer.header("etag").unwrap();
    for known in [etag, &format!("\"other\", W/{etag}"), "*"] {
        let again = service.ask("GET", "/openapi.json", &[("If-None-Match", known)], "");
        assert_eq!((again.status, &*again.body), (304, ""), "{known}");
    }
    let other = service.ask("GET", "/openapi.json", &[("If-None-Match", "\"other\"")], "");
    assert_eq!(other.status, 200);
    for version in ["1", "2"] {
        let own = service.get(&format!("/v{version}/openapi.json"));
        assert_eq!(own.json(), contract(version));
    }
    assert_eq!(service.get("/v3/openapi.json").status, 404);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let service = Service::start();
    let page = service.get("/docs");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("/v2/openapi.json /v1/openapi.json"), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    // No script and no style is in the page itself, so that the policy can hold.
    assert!(!page.body.contains("<style") && !page.body.contains(" style="));
    let mut parts = vec![page.body.clone()];
    for (part, media) in [("/docs/page.css", "text/css"), ("/docs/page.js", "text/javascript")] {
        assert!(page.body.contains(part.trim_start_matches('/')), "{part}");
        let part = service.get(part);
        assert!(part.header("content-type").unwrap().starts_with(media));
        parts.push(part.body);
    }
    for part in parts {
        for scheme in ["https://", "http://", "//cdn", "innerHTML", "eval("] {
            // A name space of XML is no place to load from.
            let part = part.replace("http://www.w3.org/2000/svg", "");
            assert!(!part.contains(scheme), "{scheme}");
        }
    }
}
