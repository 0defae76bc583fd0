//! What is planned for each kind of difference between two targets.

use std::path::Path;

use updraft_system::parse_manifest;

use super::*;

const BASE: &str = r#"
system = "s"
[service.a]
needs = ["b"]
route = "/"
[service.a.config]
LEVEL = { type = "string", default = "low" }
[service.a.process]
web = "a web"
worker = { run = "a work", scale = 2 }
[service.a.task]
migrate = { run = "a migrate", when = "release" }
[service.b]
run = "b"
"#;

fn target(text: &str) -> RunTarget {
    let system = parse_manifest(text).unwrap();
    let mut target = RunTarget::unbuilt(system, Path::new("/srv"), BTreeMap::new());
    for part in target.parts.values_mut() {
        part.artefact = Some("one".to_owned());
    }
    target
}

/// As many copies as the manifest says.
fn present(target: &RunTarget) -> AllPresent {
    let services = target.system.services.values();
    let of = |service: &Service| {
        let name = service.name.clone();
        let each = service.processes.values().map(move |process| {
            let booted_in = Some(Duration::from_millis(1500));
            ((name.clone(), process.name.clone()), Present { copies: process.scale, booted_in })
        });
        each.collect::<Vec<_>>()
    };
    services.flat_map(of).collect()
}

/// What is planned for `service`: its processes with their ways, and its tasks.
fn planned(old: &RunTarget, new: &RunTarget, service: &str) -> (ServiceChange, String) {
    let plan = plan(old, new, &present(old), false);
    let found = plan.services.iter().find(|it| it.service.as_str() == service).unwrap();
    let ways = found.processes.iter().map(|it| {
        let gap = it.gap_ms.map(|gap| format!(" {gap}ms")).unwrap_or_default();
        format!("{} {:?} {}{gap}", it.process, it.way, it.replicas)
    });
    let tasks = found.tasks.iter().map(|task| format!("task {task}"));
    (found.change, tasks.chain(ways).collect::<Vec<_>>().join(", "))
}

#[test]
fn what_has_changed_is_replaced_and_nothing_else() {
    use ServiceChange::{Changed, Same};
    let all = "task migrate, web Beside 1, worker Beside 2";
    let old = target(BASE);
    for (from, to, change, ways) in [
        ("", "", Same, ""),
        ("a web\"", "a web --more\"", Changed, "task migrate, web Beside 1"),
        ("scale = 2", "scale = 2, stop = '1s'", Changed, "task migrate, worker Beside 2"),
        ("scale = 2", "scale = 4", Changed, "worker Start 4"),
        ("scale = 2", "scale = 1", Changed, "worker Stop 1"),
        ("scale = 2", "scale = 2, roll = { surge = 2 }", Changed, ""),
        (
            "worker = { run = \"a work\", scale = 2 }",
            "clock = 'tick'",
            Changed,
            "clock Start 1, worker Stop 0",
        ),
        (
            "{ run = \"a work\", scale = 2 }",
            "{ run = \"other\", roll = \"exclusive\" }",
            Changed,
            "task migrate, worker Exclusive 1 1500ms",
        ),
        ("a migrate", "a migrate --more", Changed, "task migrate"),
        ("route = \"/\"", "route = \"/a\"", Changed, ""),
        ("needs = [\"b\"]", "needs = []", Changed, all),
        ("needs = [\"b\"]", "needs = [\"b:GET /\"]", Changed, ""),
    ] {
        assert!(BASE.contains(from), "{from}");
        let text = BASE.replace(from, to);
        let text =
            if to.contains("b:GET") { text + "[service.b.operation.\"GET /\"]\n" } else { text };
        let new = target(&text);
        assert_eq!(planned(&old, &new, "a"), (change, ways.to_owned()), "{from} → {to}");
    }
}

#[test]
fn programs_values_and_folders_count_and_no_value_is_shown() {
    let old = target(BASE);
    let a: Name = "a".parse().unwrap();
    let changed = |change: fn(&mut ServiceTarget)| {
        let mut new = old.clone();
        change(new.parts.get_mut(&a).unwrap());
        let plan = plan(&old, &new, &present(&old), false);
        let found = plan.services.into_iter().find(|it| it.service == a).unwrap();
        assert_eq!(found.processes.len(), 2, "{found:?}");
        found.reason
    };
    assert!(changed(|part| part.artefact = Some("two".into())).contains("programs"));
    assert!(changed(|part| part.artefact = None).contains("folder"));
    assert!(changed(|part| part.directory = "/other".into()).contains("folder"));
    let reason = changed(|part| drop(part.config.insert("TOKEN".into(), "hunter2".into())));
    assert!(reason.contains("TOKEN") && !reason.contains("hunter2"), "{reason}");
    // The number of a release alone starts nothing anew.
    let mut new = old.clone();
    new.parts.get_mut(&a).unwrap().release = Some(7);
    let plan = plan(&old, &new, &present(&old), false);
    assert!(plan.services.iter().all(|it| it.processes.is_empty()), "{plan:?}");
    assert_eq!(plan.release, Some(7));
}

#[test]
fn who_is_not_chosen_stays_even_where_nobody_knows_whether_it_has_changed() {
    let old = target(BASE);
    let mut new = old.clone();
    for part in new.parts.values_mut() {
        part.artefact = None;
    }
    for (chosen, expected) in [(vec![], vec!["b", "a"]), (vec!["a"], vec!["a"])] {
        let chosen: Vec<Name> = chosen.iter().map(|name: &&str| name.parse().unwrap()).collect();
        let mut plan = plan(&old, &new, &present(&old), false);
        only(&mut plan, &chosen);
        let replaced = plan.services.iter().filter(|it| !it.processes.is_empty());
        let replaced: Vec<&str> = replaced.map(|it| it.service.as_str()).collect();
        assert_eq!(replaced, expected);
        assert!(plan.services.iter().all(|it| it.tasks.is_empty() || !it.processes.is_empty()));
    }
}

#[test]
fn a_number_that_was_chosen_while_it_ran_holds() {
    let (old, mut copies) = (target(BASE), AllPresent::new());
    let key = |process: &str| ("a".parse().unwrap(), process.parse().unwrap());
    copies.insert(key("web"), Present { copies: 5, booted_in: None });
    copies.insert(key("worker"), Present { copies: 2, booted_in: None });
    let new = target(&BASE.replace("a web\"", "another\""));
    let counted = plan(&old, &new, &copies, true);
    let a = counted.services.iter().find(|it| it.service.as_str() == "a").unwrap();
    let counts: Vec<u32> = a.processes.iter().map(|it| it.replicas).collect();
    assert_eq!(counts, [5, 2]);
}

#[test]
fn those_that_others_need_come_first_and_those_that_go_come_last() {
    let old = target(BASE);
    let new = target(&BASE.replace("[service.b]", "[service.c]").replace("\"b\"", "\"c\""));
    let plan = plan(&old, &new, &present(&old), false);
    let order: Vec<&str> = plan.services.iter().map(|it| it.service.as_str()).collect();
    assert_eq!(order, ["c", "a", "b"]);
    let changes: Vec<ServiceChange> = plan.services.iter().map(|it| it.change).collect();
    use ServiceChange::{Added, Changed, Removed};
    assert_eq!(changes, [Added, Changed, Removed]);
}
