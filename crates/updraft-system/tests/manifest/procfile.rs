//! Procfiles: the forms that are read, and what is found wrong.

use updraft_system::{Name, ProbeKind, TaskTrigger, parse_procfile};

use crate::findings::draw;

fn system_name() -> Name {
    "shop".parse().unwrap()
}

#[test]
fn the_forms_of_a_procfile() {
    let text = "\
# what runs
web: python3 server.py --port $PORT

worker:celery -A app worker\r
clock-2:   sh -c 'echo a: b # not a comment'
release: ./migrate";
    let system = parse_procfile(text, &system_name()).unwrap();
    let service = &system.services["shop"];
    let runs: Vec<_> =
        service.processes.values().map(|one| (one.name.as_str(), one.run.as_str())).collect();
    assert_eq!(
        runs,
        [
            ("clock-2", "sh -c 'echo a: b # not a comment'"),
            ("web", "python3 server.py --port $PORT"),
            ("worker", "celery -A app worker"),
        ]
    );
    assert_eq!(service.processes["web"].ready.kind, ProbeKind::Tcp);
    assert_eq!(service.processes["worker"].ready.kind, ProbeKind::Started);
    assert_eq!(service.tasks["release"].when, TaskTrigger::Release);
}

#[test]
fn what_is_wrong_with_a_procfile_is_found_at_its_place() {
    let text = "web python server.py\nMy_Worker: x\nclock:\nweb: a\nweb: b\nbuild: make\n";
    let problems = parse_procfile(text, &system_name()).unwrap_err();
    insta::assert_snapshot!(draw(text, &problems));
}

#[test]
fn an_empty_procfile_is_a_finding() {
    let problems = parse_procfile("# nothing\n\n", &system_name()).unwrap_err();
    assert_eq!(problems[0].code, "procfile::missing");
}
