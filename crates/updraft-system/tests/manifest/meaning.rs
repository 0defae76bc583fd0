//! What sound manifests mean.

use std::time::Duration;

use updraft_system::{
    After, Build, ConfigType, Name, ProbeKind, ResourceKind, System, Target, TaskTrigger,
    parse_manifest,
};

use crate::good::GOOD;

fn system(text: &str) -> System {
    parse_manifest(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn every_good_manifest_is_accepted_and_survives_json() {
    for (title, text) in GOOD {
        let system = parse_manifest(text).unwrap_or_else(|all| panic!("{title}: {all:#?}"));
        let json = serde_json::to_string(&system).unwrap();
        assert_eq!(serde_json::from_str::<System>(&json).unwrap(), system, "{title}");
    }
}

#[test]
fn the_example_of_the_reference_means_what_it_says() {
    let system = system(include_str!("../../src/manifest/example.toml"));
    insta::assert_json_snapshot!(system);
}

#[test]
fn a_web_process_without_a_probe_is_ready_when_its_port_opens() {
    let system = system("system='x'\n[service.s.process]\nweb='w'\nother='o'");
    let service = &system.services["s"];
    let (web, other) = (&service.processes["web"], &service.processes["other"]);
    assert_eq!(web.ready.kind, ProbeKind::Tcp);
    assert_eq!(other.ready.kind, ProbeKind::Started);
    assert_eq!((web.scale, web.stop), (1, Duration::from_secs(10)));
    assert_eq!(web.ready.within, Duration::from_secs(60));
    assert_eq!((service.path.to_str(), &service.build), (Some("."), &Build::None));
}

#[test]
fn a_queue_lives_on_the_only_database_or_on_its_own() {
    let on = |resources: &str| {
        let system = system(&format!("system='x'\n[resource]\nq={{kind='queue'}}\n{resources}"));
        match &system.resources["q"].kind {
            ResourceKind::Queue { on, max_attempts: 5 } => on.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(on("a={kind='sql'}\nb={kind='postgres'}"), Some(name("a")));
    assert_eq!(on("b={kind='postgres'}"), None);
    assert_eq!(on(""), None);
}

#[test]
fn references_resolve_to_what_they_name() {
    let system = system(
        "system='x'
        [resource]
        db={kind='sql'}
        [service.a]
        run='a'
        task.m={run='m',when='release'}
        [service.b]
        run='b'
        needs=['db','a']
        after=['a','a.web','a.m']",
    );
    let b = &system.services["b"];
    let targets: Vec<_> = b.needs.iter().map(|need| need.target.clone()).collect();
    assert_eq!(targets, [Target::Resource(name("db")), Target::Service(name("a"))]);
    let (a, web, m) = (name("a"), name("web"), name("m"));
    let after = [After::Service(a.clone()), After::Process(a.clone(), web), After::Task(a, m)];
    assert_eq!(b.after, after);
    assert_eq!(system.services["a"].tasks["m"].when, TaskTrigger::Release);
}

#[test]
fn numbers_of_any_radix_become_plain_defaults() {
    let system = system(
        "system='x'
        [service.a]
        run='a'
        config={A={type='int',max=0xff,default=0o17},B={type='int',default=0b101}}",
    );
    let config = &system.services["a"].config;
    assert_eq!(config["A"].shape, ConfigType::Int { min: None, max: Some(255) });
    assert_eq!(config["A"].default.as_deref(), Some("15"));
    assert_eq!(config["B"].default.as_deref(), Some("5"));
}
