//! How two targets and two graphs are put together.

use std::collections::BTreeSet;

use updraft_system::{Name, System, parse_manifest};

use super::*;

fn system(text: &str) -> System {
    parse_manifest(text).unwrap()
}

fn target(text: &str) -> RunTarget {
    RunTarget::unbuilt(system(text), Path::new("/srv"), BTreeMap::new())
}

fn names(text: &[&str]) -> BTreeSet<Name> {
    text.iter().map(|name| name.parse().unwrap()).collect()
}

const OLD: &str = r#"
system = "s"
[service.a]
run = "a1"
needs = ["b:GET /one", "gone"]
[service.a.config]
TOKEN = "secret"
[service.b]
run = "b1"
[service.b.operation."GET /one"]
[service.b.operation."GET /two"]
[service.gone]
run = "gone"
"#;

const NEW: &str = r#"
system = "s"
[resource]
db = { kind = "sql" }
[service.a]
run = "a2"
needs = ["b:GET /two", "new", "db"]
[service.b]
run = "b2"
[service.b.operation."GET /one"]
[service.b.operation."GET /two"]
[service.new]
run = "new"
"#;

#[test]
fn a_blend_has_each_service_whole_from_one_of_the_two() {
    let (old, new) = (target(OLD), target(NEW));
    let run = |target: &RunTarget, name: &str| {
        let service = target.system.services.get(&name.parse::<Name>().unwrap());
        service.map(|it| it.processes[&Name::web()].run.clone())
    };
    let blend = old.blend(&new, &names(&["a", "new"]));
    assert_eq!(run(&blend, "a").as_deref(), Some("a2"));
    assert_eq!(run(&blend, "b").as_deref(), Some("b1"));
    assert_eq!(run(&blend, "new").as_deref(), Some("new"));
    assert_eq!(run(&blend, "gone").as_deref(), Some("gone"));
    assert_eq!(
        blend.parts.keys().collect::<Vec<_>>(),
        blend.system.services.keys().collect::<Vec<_>>()
    );
    assert_eq!(old.blend(&new, &names(&[])).system.services, old.system.services);
    let whole = old.blend(&new, &names(&["a", "b", "new", "gone"]));
    assert_eq!((&whole.system.services, &whole.parts), (&new.system.services, &new.parts));
}

#[test]
fn while_two_graphs_run_each_program_may_call_whom_its_own_lets_it_call() {
    let both = union(&system(NEW), &system(OLD));
    let a = &both.services[&"a".parse::<Name>().unwrap()];
    let called: BTreeSet<&str> = a.needs.iter().map(|need| need.target.name().as_str()).collect();
    assert_eq!(called, BTreeSet::from(["b", "gone", "new", "db"]));
    let b = a.needs.iter().find(|need| need.target.name().as_str() == "b").unwrap();
    let only: BTreeSet<String> = b.only.iter().map(ToString::to_string).collect();
    assert_eq!(only, BTreeSet::from(["GET /one".to_owned(), "GET /two".to_owned()]));
    let wide = OLD.replace("b:GET /one", "b");
    let both = union(&system(NEW), &system(&wide));
    let a = &both.services[&"a".parse::<Name>().unwrap()];
    let b = a.needs.iter().find(|need| need.target.name().as_str() == "b").unwrap();
    assert!(b.only.is_empty(), "all operations, and {:?} of them", b.only);
    let rest = |system: &System| system.services[&"a".parse::<Name>().unwrap()].processes.clone();
    assert_eq!(rest(&both), rest(&system(NEW)));
}

#[test]
fn a_target_that_is_printed_shows_no_value() {
    let mut target = target(OLD);
    for part in target.parts.values_mut() {
        part.config.insert("TOKEN".to_owned(), "hunter2".to_owned());
    }
    let text = format!("{target:?}");
    assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
}
