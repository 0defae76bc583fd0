//! Units as systemd itself reads them.

use std::os::unix::fs::symlink;
use std::process::Command;

use updraft_system::parse_manifest;

use super::*;

fn unit(owner: Owner) -> Unit {
    Unit {
        system: "shop".parse().unwrap(),
        directory: "/srv/shop".into(),
        program: "/bin/true".into(),
        owner,
        path: Some("/usr/local/bin:/usr/bin:/bin".to_owned()),
        places: vec![("XDG_STATE_HOME", "/srv/state".into())],
        state: "/srv/state/updraft/shop-0123abcd".into(),
        stop: Duration::from_secs(75),
        systemd: Some(252),
    }
}

fn machine() -> Owner {
    Owner::Machine { user: "daemon".to_owned() }
}

/// What `systemd-analyze verify` says of a unit; empty: it is sound.
fn verified(text: &str, owner: &Owner) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("updraft-shop.service");
    std::fs::write(&file, text).unwrap();
    let whose = if *owner == Owner::User { "--user" } else { "--system" };
    let mut verify = Command::new("systemd-analyze");
    // The user's manager wants a folder for its sockets, though none is opened.
    verify.env("XDG_RUNTIME_DIR", folder.path()).args([whose, "verify"]).arg(&file);
    let output = verify.output().expect("systemd-analyze is installed by `cargo xtask setup`");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // What is installed on this machine has faults of its own.
    let ours = said.lines().filter(|line| line.contains("updraft-shop"));
    let ours: Vec<_> = ours.collect();
    if output.status.success() || !ours.is_empty() { ours.join("\n") } else { said }
}

#[test]
fn the_unit_of_a_user_is_short() {
    insta::assert_snapshot!(unit(Owner::User).render().unwrap());
}

#[test]
fn the_unit_of_the_machine_is_confined() {
    insta::assert_snapshot!(Unit { systemd: Some(257), ..unit(machine()) }.render().unwrap());
}

#[test]
fn systemd_finds_nothing_wrong() {
    for owner in [Owner::User, machine()] {
        let text = unit(owner.clone()).render().unwrap();
        assert_eq!(verified(&text, &owner), "", "{text}");
        // It does look.
        let broken = text.replace("KillMode=mixed", "KillMode=gently");
        assert_ne!(verified(&broken, &owner), "", "{broken}");
    }
}

#[test]
fn systemd_finds_the_command_whatever_its_path_is() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "plain",
        "two words",
        "100%",
        "%h",
        "say \"hi\"",
        "it's",
        "back\\slash",
        "$HOME",
        "${A}",
        "; rm",
        "#no",
        "été",
        "a  b",
        "end ",
        "-x",
        "@y",
    ];
    for name in names {
        let directory = folder.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        let program = directory.join("up draft");
        symlink("/bin/true", &program).unwrap();
        let odd = Unit { program, directory: directory.clone(), ..unit(machine()) };
        let text = match odd.render() {
            Ok(text) => text,
            Err(problems) => {
                assert!(name.contains(['"', '\'', '\\']), "{name}: {problems:?}");
                continue;
            }
        };
        assert_eq!(verified(&text, &odd.owner), "", "{name}: {text}");
        std::fs::remove_dir_all(&directory).unwrap();
        assert_ne!(verified(&text, &odd.owner), "", "{name} is not what systemd looks for");
    }
}

#[test]
fn everything_that_cannot_stand_in_a_unit_is_told_at_once() {
    let broken = Unit {
        directory: "/srv/a\nUser=root".into(),
        path: Some("/bin\u{7}".to_owned()),
        ..unit(Owner::Machine { user: "a\nb".to_owned() })
    };
    let problems = broken.render().unwrap_err();
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for what in ["the folder", "the environment", "the user"] {
        assert!(all.iter().any(|problem| problem.contains(what)), "{what}: {all:?}");
    }
}

#[test]
fn services_end_one_after_another() {
    let manifest = "system = 's'\n[service.a.process]\nweb = { run = 'a', stop = '40s' }\nwork = { run = 'a', stop = '2m' }\n[service.b.process]\nweb = { run = 'b', stop = '5s' }\n";
    let within = stop_within(&parse_manifest(manifest).unwrap());
    assert_eq!(within, Duration::from_secs(125) + SERVERS_WITHIN + STOP_SLACK);
}
