//! Every mistake in a text is found, each at its place.

use proptest::prelude::{ProptestConfig, Strategy as _, any, prop, proptest};

use super::*;

const WRONG: &str = r#"system = "Shop"
versoin = 7
limits = { connections = "many", streams = 5, drain = "10" }

[[edges]]
from = "a"
listen = "127.0.0.1:7001"

[[edges]]
from = "a"
to = "b"
only = ["GET /x", "get /y"]
calls = { retry = { on = ["conect", "503", "404"], budget = "20" }, hop = "h3" }

[clusters.b]
protocol = "udp"
endpoints = [{ address = "127.0.0.1:1" }, { address = "here", wieght = 3 }]
operations = { "GET /{x" = {}, "GET /x" = { priority = "urgent" } }
[[clusters.b.traffic.rules]]
name = "x"
abort = { status = 99999 }
"#;

/// The text `WRONG`, as places and pointers.
const FOUND: &[(usize, usize, &str)] = &[
    (1, 10, "/system"),
    (2, 1, "/versoin"),
    (3, 26, "/limits/connections"),
    (3, 55, "/limits/drain"),
    (5, 1, "/edges/0"),
    (12, 19, "/edges/1/only/1"),
    (13, 27, "/edges/1/calls/retry/on/0"),
    (13, 44, "/edges/1/calls/retry/on/2"),
    (13, 61, "/edges/1/calls/retry/budget"),
    (13, 75, "/edges/1/calls/hop"),
    (16, 12, "/clusters/b/protocol"),
    (17, 55, "/clusters/b/endpoints/1/address"),
    (17, 63, "/clusters/b/endpoints/1/wieght"),
    (18, 16, "/clusters/b/operations/GET ~1{x"),
    (18, 56, "/clusters/b/operations/GET ~1x/priority"),
    (19, 1, "/clusters/b/traffic/rules/0"),
];

#[test]
fn json_that_ends_with_a_line_ends_in_its_first_column() {
    for (text, line) in [("", 1), ("{\n", 2), ("[1,\n\n", 3)] {
        let problems = GatewayConfig::from_json(text).unwrap_err();
        assert_eq!(problems[0].place, Some(Place { line, column: 1 }), "{text:?}");
    }
}

#[test]
fn every_mistake_of_form_is_found_once_at_its_place() {
    let problems = GatewayConfig::from_toml(WRONG).unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let place = problem.place.unwrap();
            (place.line, place.column, problem.pointer.as_str())
        })
        .collect();
    assert_eq!(found, FOUND, "{problems:#?}");
}

#[test]
fn json_has_the_same_mistakes_without_places() {
    let value: serde_json::Value = toml::from_str(WRONG).unwrap();
    let problems = GatewayConfig::from_json(&value.to_string()).unwrap_err();
    let mut found: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    let mut expected: Vec<_> = FOUND.iter().map(|(.., pointer)| *pointer).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.place.is_none()));
}

#[test]
fn what_is_no_toml_and_no_json_is_told_with_its_place() {
    let problems = GatewayConfig::from_toml("system = \"x\"\nedges = [\nadmin = x\n").unwrap_err();
    assert!(problems.iter().all(|it| it.message.contains("not TOML") && it.place.is_some()));
    let problems = GatewayConfig::from_json("{\n  \"system\": }").unwrap_err();
    assert_eq!(problems[0].place, Some(Place { line: 2, column: 13 }), "{problems:?}");
    assert_eq!(problems.len(), 1);
}

#[test]
fn what_is_null_is_absent() {
    let json = r#"{ "system": "x", "admin": null, "edges": [], "limits": { "streams": 7 } }"#;
    let config = GatewayConfig::from_json(json).unwrap();
    assert_eq!((config.admin, config.limits.streams), (None, 7));
    let problems = GatewayConfig::from_json(r#"{ "system": null, "edges": [null] }"#).unwrap_err();
    let found: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert!(found.contains(&"") && found.contains(&"/edges/0"), "{problems:?}");
}

#[test]
fn what_has_no_sound_meaning_is_found_at_its_place() {
    let text = "system = 'x'\n[[edges]]\nfrom = 'a'\nto = 'b'\nlisten = '127.0.0.1:1'\n\
                [clusters.c]\nprotocol = 'tcp'\noperations = { 'GET /x' = {} }\n";
    let problems = GatewayConfig::from_toml(text).unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.place.unwrap().line, problem.pointer.as_str()))
        .collect();
    assert_eq!(found, [(4, "/edges/0/to"), (8, "/clusters/c/operations")]);
}

#[test]
fn an_endless_number_of_mistakes_has_an_end() {
    let items = "3, ".repeat(10 * MISTAKES_MAX);
    let text = format!("system = 'x'\nedges = [{items}]");
    assert_eq!(GatewayConfig::from_toml(&text).unwrap_err().len(), MISTAKES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_text_is_a_configuration_or_has_problems(
        at in any::<prop::sample::Index>(),
        cut in 0..12_usize,
        piece in prop::sample::select(vec!["", "\"", "{", "}", "[", "= 3", "x", "\n", "é", "0"])
            .prop_map(str::to_owned),
    ) {
        let mut text = WRONG.to_owned();
        let start = text.floor_char_boundary(at.index(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len())).max(start);
        text.replace_range(start..end, &piece);
        if let Err(problems) = GatewayConfig::from_toml(&text) {
            assert!(!problems.is_empty() && problems.len() <= MISTAKES_MAX.max(problems.len()));
            for problem in &problems {
                let place = problem.place.unwrap();
                assert!(place.line <= text.lines().count() + 1, "{problem}");
            }
        }
    }
}
