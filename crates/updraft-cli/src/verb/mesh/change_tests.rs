//! What the words of `mesh` make of the traffic that is there, as tables of cases.

use super::*;

fn rule(name: &str, version: &str) -> TrafficRule {
    let action = Action::Route(version.parse().unwrap());
    TrafficRule { name: name.parse().unwrap(), matches: Default::default(), action }
}

fn traffic(rules: &[(&str, &str)]) -> Traffic {
    Traffic { split: None, rules: rules.iter().map(|(name, to)| rule(name, to)).collect() }
}

fn after(step: Step, manifest: &Traffic, now: &Traffic) -> Traffic {
    step.apply(manifest, now.clone()).unwrap()
}

fn add(name: &str, version: &str, first: bool) -> Step {
    Step::Rule { rule: Box::new(rule(name, version)), first }
}

fn clear_of(name: &str) -> Step {
    Step::Clear(Some(name.parse().unwrap()))
}

#[test]
fn a_rule_is_replaced_where_it_stands_and_a_new_one_comes_last() {
    let none = Traffic::default();
    let two = traffic(&[("a", "v1"), ("b", "v1")]);
    let expected = traffic(&[("a", "v2"), ("b", "v1")]);
    assert_eq!(after(add("a", "v2", false), &none, &two), expected);
    let expected = traffic(&[("a", "v1"), ("b", "v1"), ("c", "v2")]);
    assert_eq!(after(add("c", "v2", false), &none, &two), expected);
    let expected = traffic(&[("b", "v2"), ("a", "v1")]);
    assert_eq!(after(add("b", "v2", true), &none, &two), expected);
}

#[test]
fn clearing_goes_back_to_the_manifest() {
    let manifest = traffic(&[("a", "v1")]);
    let now = traffic(&[("a", "v2"), ("b", "v2")]);
    assert_eq!(after(Step::Clear(None), &manifest, &now), manifest);
    assert_eq!(after(clear_of("a"), &manifest, &now), traffic(&[("a", "v1"), ("b", "v2")]));
    assert_eq!(after(clear_of("b"), &manifest, &now), traffic(&[("a", "v2")]));
    let refused = clear_of("c").apply(&manifest, now).unwrap_err();
    assert!(matches!(refused, Failure::Said(said) if said.message == "no rule `c`; a, b"));
}

#[test]
fn the_split_is_cleared_by_its_name() {
    let split = Split { weights: [("v1".parse().unwrap(), 1)].into(), sticky: None };
    let now = after(Step::Split(split.clone()), &Traffic::default(), &Traffic::default());
    assert_eq!(now.split, Some(split));
    assert_eq!(after(clear_of("split"), &Traffic::default(), &now), Traffic::default());
}
