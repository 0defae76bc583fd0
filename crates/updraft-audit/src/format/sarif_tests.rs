//! Levels, identities and places of the results.

use std::collections::BTreeMap;

use super::*;
use crate::example::{finding, report, report_of, texts};

fn log(report: &Report) -> Value {
    serde_json::from_str(&sarif(report, &texts())).unwrap()
}

fn results(log: &Value) -> &Vec<Value> {
    log["runs"][0]["results"].as_array().unwrap()
}

#[test]
fn the_log_is_whole() {
    let mut settings = insta::Settings::clone_current();
    // The order of keys depends on who else uses `serde_json`.
    settings.set_sort_maps(true);
    settings.bind(|| insta::assert_json_snapshot!(log(&report())));
}

#[test]
fn verdicts_have_their_kind_and_level_and_what_holds_is_no_result() {
    for (verdict, expected) in [
        (Verdict::Fail, Some(("fail", "error"))),
        (Verdict::Flaky, Some(("fail", "warning"))),
        (Verdict::Warn, Some(("fail", "warning"))),
        (Verdict::Unknown, Some(("open", "none"))),
        (Verdict::Pass, None),
        (Verdict::Info, None),
        (Verdict::NotApplicable, None),
    ] {
        let child = finding(ProbeId::IxDrain, "a", Some(Shape::Child), verdict);
        let log = log(&report_of(vec![child]));
        let found = results(&log).first();
        let found =
            found.map(|one| (one["kind"].as_str().unwrap(), one["level"].as_str().unwrap()));
        assert_eq!(found, expected, "{verdict}");
    }
    let other = finding(ProbeId::IxDrain, "a", Some(Shape::Pid1), Verdict::Fail);
    let child = finding(ProbeId::IxDrain, "a", Some(Shape::Child), Verdict::Pass);
    let log = log(&report_of(vec![child, other]));
    assert_eq!(results(&log)[0]["level"], "warning");
}

#[test]
fn every_result_names_its_rule_and_no_two_are_the_same() {
    let log = log(&report());
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let mut seen = BTreeMap::new();
    for one in results(&log) {
        let index = usize::try_from(one["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], one["ruleId"]);
        let print = one["fingerprints"]["updraft.finding/v1"].as_str().unwrap();
        assert!(seen.insert(print.to_owned(), ()).is_none(), "{print} twice");
    }
    for rule in rules {
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty());
    }
}

#[test]
fn only_what_was_read_from_files_has_a_place_in_one() {
    let log = log(&report());
    for one in results(&log) {
        for location in one["locations"].as_array().unwrap() {
            assert!(location["logicalLocations"][0]["name"].is_string());
            let physical = location.get("physicalLocation");
            assert_eq!(physical.is_some(), one["ruleId"] == "I.secret", "{one}");
        }
    }
}

#[test]
fn paths_are_references_with_a_line_where_there_is_one() {
    for (place, uri, line) in [
        ("src/a.rs:12", "src/a.rs", Some(12)),
        ("src/a.rs", "src/a.rs", None),
        ("a b/ü:0", "a%20b/%C3%BC%3A0", None),
        ("c:/x:y", "c%3A/x%3Ay", None),
        ("/etc/app.env:3", "file:///etc/app.env", Some(3)),
    ] {
        let found = physical(place);
        assert_eq!(found["artifactLocation"]["uri"], uri);
        assert_eq!(found["region"]["startLine"].as_u64(), line, "{place}");
    }
}
