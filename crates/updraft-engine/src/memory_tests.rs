//! The laws of what is remembered.

use tempfile::TempDir;
use updraft_system::parse_manifest;

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn state() -> (TempDir, StateDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::throwaway(folder.path().to_owned());
    (folder, state)
}

fn of_api() -> Remembered {
    Remembered { services: vec![name("api")], ..Remembered::default() }
}

#[test]
fn what_is_kept_is_found_again_until_it_is_forgotten() {
    let (_folder, state) = state();
    assert_eq!(Remembered::load(&state).unwrap(), None);
    let mut memory = Memory::begin(&state, Some(of_api())).unwrap();
    memory.scaled(&name("api"), &name("web"), 3).unwrap();
    memory.scaled(&name("api"), &name("worker"), 0).unwrap();
    memory.scaled(&name("api"), &name("web"), 2).unwrap();
    memory.released(Some(41)).unwrap();
    let found = Remembered::load(&state).unwrap().unwrap();
    assert_eq!(found.services, [name("api")]);
    assert_eq!(found.release, Some(41));
    let scales = &found.scales[&name("api")];
    assert_eq!((scales[&name("web")], scales[&name("worker")]), (2, 0));

    memory.forget().unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), None);
    // A command that is still under way brings nothing back.
    memory.scaled(&name("api"), &name("web"), 5).unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), None);
    let lock = state.lock().unwrap().unwrap();
    Remembered::forget(&state, &lock).unwrap();
}

#[test]
fn a_start_that_fails_leaves_what_was_remembered_before() {
    let (_folder, state) = state();
    let mut first = Memory::begin(&state, Some(of_api())).unwrap();
    first.failed().unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), None);

    drop(Memory::begin(&state, Some(of_api())).unwrap());
    let mut second = Memory::begin(&state, Some(Remembered::default())).unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), Some(Remembered::default()));
    second.failed().unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), Some(of_api()));
}

#[test]
fn a_run_that_keeps_nothing_touches_nothing() {
    let (_folder, state) = state();
    drop(Memory::begin(&state, Some(of_api())).unwrap());
    let mut memory = Memory::begin(&state, None).unwrap();
    memory.scaled(&name("api"), &name("web"), 5).unwrap();
    memory.released(Some(2)).unwrap();
    memory.failed().unwrap();
    assert_eq!(Remembered::load(&state).unwrap(), Some(of_api()));
}

#[test]
fn what_is_not_ours_is_refused_and_replaced_by_the_next_run() {
    let (folder, state) = state();
    let texts: [&[u8]; 7] = [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        br#"{"version": 1, "services": ["Not A Name"]}"#,
        br#"{"version": 2}"#,
        br#"{"version": 1, "scales": {"api": {"web": 4000000000}}}"#,
    ];
    for text in texts {
        std::fs::write(folder.path().join("ran.json"), text).unwrap();
        let refused = Remembered::load(&state).unwrap_err().to_string();
        assert!(refused.contains("ran.json") && refused.contains("--fresh"), "{refused}");
        drop(Memory::begin(&state, Some(of_api())).unwrap());
        assert_eq!(Remembered::load(&state).unwrap(), Some(of_api()));
    }
}

#[test]
fn names_that_are_gone_are_left_out_and_told() {
    let manifest = "system = 's'\n[service.api]\nrun = 'a'\n[service.mail]\nrun = 'm'\n";
    let system = parse_manifest(manifest).unwrap();
    let scales = |names: &[(&str, &str)]| {
        let mut scales = BTreeMap::<Name, BTreeMap<Name, u32>>::new();
        for (service, process) in names {
            scales.entry(name(service)).or_default().insert(name(process), 3);
        }
        scales
    };
    let all = [("api", "web"), ("api", "worker"), ("gone", "web")];
    let run = Remembered {
        services: ["api", "gone"].map(name).to_vec(),
        scales: scales(&all),
        release: Some(7),
    };
    let (kept, strangers) = run.without_strangers(&system);
    assert_eq!(strangers, ["gone", "api.worker", "gone.web"]);
    assert_eq!(
        kept,
        Remembered { scales: scales(&all[..1]), ..Remembered { release: Some(7), ..of_api() } }
    );
    let scaled = kept.scaled(system);
    let copies = |service| scaled.services[&name(service)].processes[&Name::web()].scale;
    assert_eq!((copies("api"), copies("mail")), (3, 1));
}
