//! Roll-outs by the built command, under load: what is replaced, what fails, and that no
//! request is lost to either.
//!
//! A campaign: `UPDRAFT_ROLL_OUTS=20 UPDRAFT_ROLL_OUT_RATE=500 cargo nextest run -p
//! integration-tests no_request_fails`.

mod load;
mod setup;

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration_tests::{TestSystem, eventually, http, processes, until};

use load::Load;
use setup::{Manifest, SOON, answer, campaign_rate, replicas};

/// Requests a second in the gate.
const RATE: u32 = 60;
/// Roll-outs in the gate.
const ROLL_OUTS: u32 = 2;

fn roll_outs() -> u32 {
    let asked = env::var("UPDRAFT_ROLL_OUTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(ROLL_OUTS)
}

#[test]
fn no_request_fails_while_everything_is_replaced() -> Result<()> {
    let scaled = Manifest { keys: "scale = 2", ..Manifest::default() };
    let (system, url) = scaled.up()?;
    let ports = |system: &TestSystem| -> Result<Vec<Option<u16>>> {
        Ok(system.ps()?.iter().map(|row| row.port).collect())
    };
    let before = ports(&system)?;
    let load = Load::start(&url, campaign_rate().unwrap_or(RATE));
    let began = Instant::now();
    for turn in 1..=roll_outs() {
        let new = if turn % 2 == 1 { ("a2", "b2", "b") } else { ("a1", "b1", "") };
        Manifest { front: new.0, back: new.1, ..scaled.clone() }.write(&system)?;
        system.ok(&["roll-out"])?;
        assert_eq!(answer(&url)?, format!("{} {}", new.0, new.1));
        let slot = new.2;
        let names = ["back.web.1", "back.web.2", "front.web.1"];
        assert_eq!(replicas(&system)?, names.map(|it| format!("{it}{slot} ready serving")));
        assert_eq!(ports(&system)? == before, turn % 2 == 0, "each slot has its port");
    }
    system.ok(&["restart", "back"])?;
    let total = load.end()?;
    let rate = total as f64 / began.elapsed().as_secs_f64();
    println!("{} roll-outs, {total} requests, {rate:.0} a second", roll_outs());
    let asked = campaign_rate().map_or(0.0, f64::from);
    ensure!(asked <= rate, "this machine gave {rate:.0} requests a second only");
    let log = system.ok(&["logs", "front"])?.stdout;
    ensure!(!log.contains("lost"), "a request was lost on the edge:\n{log}");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

/// By the name that supervisors lock a port with, whoever asks first.
fn is_reserved(port: u16) -> Result<bool> {
    let name = SocketAddr::from_abstract_name(format!("updraft-port-{port}"))?;
    Ok(UnixListener::bind_addr(&name).is_err())
}

#[test]
fn the_port_of_a_slot_that_is_free_is_given_to_no_other_system() -> Result<()> {
    let (system, _url) = Manifest::default().up()?;
    let ports =
        || -> Result<Vec<u16>> { Ok(system.ps()?.iter().filter_map(|row| row.port).collect()) };
    let first = ports()?;
    system.ok(&["restart", "back"])?;
    let second = ports()?;
    for port in first.iter().chain(&second) {
        ensure!(is_reserved(*port)?, "{port} of {first:?} and {second:?}");
    }
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)?;
    for port in first.iter().chain(&second) {
        ensure!(!is_reserved(*port)?, "{port} is not given back");
    }
    Ok(())
}

#[test]
fn what_fails_changes_nothing_and_loses_nothing() -> Result<()> {
    let good = Manifest::default();
    let (system, url) = good.up()?;
    let load = Load::start(&url, RATE);
    let cases: [(Manifest, &[&str]); 4] = [
        (
            Manifest { back: "b2", task: "sh -c 'echo boom; exit 3'", ..good.clone() },
            &["task back.migrate failed: exit code 3", "boom"],
        ),
        (
            Manifest { back: "b2 never", keys: "stop = '1s'", settle: "1s", ..good.clone() },
            &["back.web.1b", "503", "b2 begins"],
        ),
        (
            Manifest { back: "b2 crashes", settle: "5s", ..good.clone() },
            &["back.web.1b", "exit code 7", "last words of b2"],
        ),
        // Here `back` has been replaced already when `front` fails, and goes back.
        (
            Manifest { front: "a2", back: "b2", ..good.clone() },
            &["front.web.1b", "exit code 9", "no front"],
        ),
    ];
    for (bad, words) in cases {
        let text = bad.text().replace("within = \"10s\"", "within = \"3s\"");
        let text = text.replace("node front.js a2", "sh -c 'echo no front; exit 9'");
        system.write("updraft.toml", &text)?;
        let failed = system.run(&["roll-out"])?.expect(1)?.said();
        for word in words.iter().chain(&["what ran before runs on"]) {
            ensure!(failed.contains(word), "{word:?} is not said:\n{failed}");
        }
        assert_eq!(answer(&url)?, "a1 b1");
        let ready = replicas(&system)?.iter().all(|it| it.ends_with("ready serving"));
        ensure!(ready && replicas(&system)?.len() == 2, "{:?}", replicas(&system)?);
        let shown = system.ok(&["ps"])?.said();
        ensure!(shown.contains("the last roll-out failed"), "{shown}");
        let logged = system.ok(&["logs"])?.stdout;
        ensure!(logged.contains("the last roll-out failed"), "{logged}");
    }
    load.end()?;
    good.write(&system)?;
    system.ok(&["roll-out"])?;
    ensure!(!system.ok(&["ps"])?.said().contains("failed"), "it succeeded since");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn an_old_one_that_does_not_end_is_killed_and_the_new_one_serves() -> Result<()> {
    let stubborn = Manifest { back: "b1 stubborn", keys: "stop = '500ms'", ..Manifest::default() };
    let (system, url) = stubborn.up()?;
    let old = system.row("back", "web")?.pid;
    let load = Load::start(&url, RATE);
    Manifest { back: "b2", ..stubborn }.write(&system)?;
    let told = system.ok(&["roll-out", "back", "--json"])?.stdout;
    ensure!(told.contains("did not end in its time"), "{told}");
    // Nobody chose the other one.
    ensure!(replicas(&system)?.contains(&"front.web.1 ready serving".to_owned()), "{told}");
    load.end()?;
    assert_eq!(answer(&url)?, "a1 b2");
    ensure!(old.is_some_and(|pid| processes::read(pid).is_none()), "the old one is there still");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn nothing_is_left_of_a_roll_out_whose_supervisor_is_killed() -> Result<()> {
    let good = Manifest { settle: "60s", ..Manifest::default() };
    let system = good.folder()?;
    let up = system.up()?;
    up.wait_ready(SOON)?;
    Manifest { back: "b2", ..good.clone() }.write(&system)?;
    let mut roll_out = system.start(&["roll-out"])?;
    eventually("two copies of one replica", SOON, || {
        let names = replicas(&system)?;
        Ok(names.contains(&"back.web.1b starting incoming".to_owned()) && names.len() == 3)
    })?;
    up.kill9()?;
    assert_eq!(roll_out.ended(SOON)?.code(), Some(1), "{}", roll_out.said()?);
    system.expect_nothing(&[], SOON)?;
    system.ok(&["up", "-d"])?;
    let url = system.ok(&["open", "--print"])?.stdout.trim().trim_end_matches('/').to_owned();
    assert_eq!(answer(&url)?, "a1 b2");
    assert_eq!(replicas(&system)?, ["back.web.1 ready serving", "front.web.1 ready serving"]);
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn commands_wait_for_a_roll_out_and_down_ends_it() -> Result<()> {
    let good = Manifest { settle: "1s", ..Manifest::default() };
    let (system, url) = good.up()?;
    let load = Load::start(&url, RATE);
    Manifest { back: "b2", ..good.clone() }.write(&system)?;
    let mut first = system.start(&["roll-out"])?;
    let mut second = system.start(&["roll-out", "--json"])?;
    let mut scale = system.start(&["scale", "back.web=2"])?;
    let mut restart = system.start(&["restart", "front"])?;
    for verb in [&mut first, &mut second, &mut scale, &mut restart] {
        ensure!(verb.ended(SOON)?.success(), "{}", verb.said()?);
    }
    load.end()?;
    let names = replicas(&system)?;
    ensure!(names.len() == 3 && names.iter().all(|it| it.ends_with("ready serving")), "{names:?}");
    assert_eq!(answer(&url)?, "a1 b2");

    Manifest { back: "b3", settle: "60s", ..good }.write(&system)?;
    let mut third = system.start(&["roll-out"])?;
    eventually("a new one beside the old", SOON, || {
        Ok(replicas(&system)?.iter().any(|it| it.ends_with("starting incoming")))
    })?;
    system.ok(&["down"])?;
    assert_eq!(third.ended(SOON)?.code(), Some(1), "{}", third.said()?);
    system.expect_nothing(&[], SOON)
}

#[test]
fn of_an_exclusive_process_there_are_never_two_and_that_is_said_before() -> Result<()> {
    let alone = Manifest { back: "b1 alone", ..Manifest::default() };
    let exclusive = |manifest: &Manifest, system: &TestSystem| {
        let text =
            manifest.text().replace("roll = { settle = \"200ms\" }\n", "roll = \"exclusive\"\n");
        system.write("updraft.toml", &text)
    };
    let (system, url) = alone.up()?;
    exclusive(&Manifest { back: "b2 alone", ..alone.clone() }, &system)?;
    let planned = system.ok(&["roll-out", "--plan"])?.stdout;
    ensure!(planned.contains("back.web cannot roll: it stops first"), "{planned}");
    assert_eq!(answer(&url)?, "a1 b1");
    let port = system.row("back", "web")?.port;

    let told = system.ok(&["roll-out"])?.said();
    ensure!(told.contains("back.web cannot roll: it stops first"), "{told}");
    assert_eq!(answer(&url)?, "a1 b2");
    assert_eq!(system.row("back", "web")?.port, port, "one that is alone keeps its place");
    ensure!(system.ok(&["restart", "back"])?.said().contains("cannot roll"), "a gap is not said");

    // The old one is started again where the new one fails.
    let broken = Manifest { back: "b3 alone", ..alone.clone() };
    system.write("alone.js", "console.error('no alone'); process.exit(1);")?;
    let text = broken.text().replace("roll = { settle = \"200ms\" }\n", "roll = \"exclusive\"\n");
    system.write("updraft.toml", &text.replace("server.js b3", "alone.js b3"))?;
    let failed = system.run(&["roll-out"])?.expect(1)?.said();
    ensure!(failed.contains("no alone"), "{failed}");
    assert_eq!(answer(&url)?, "a1 b2");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn services_needs_routes_and_values_come_and_go_with_the_graph() -> Result<()> {
    let old = Manifest {
        more: "[service.gone]\nroute = '/gone'\nrun = 'node server.js gone'",
        ..Manifest::default()
    };
    let (system, url) = old.up()?;
    let load = Load::start(&url, RATE);
    assert_eq!(http::get(&format!("{url}/gone"))?.body, "gone");
    // One path, another service behind it; and a value of the configuration.
    let new = Manifest {
        keys: "[service.back.config]\nGREETING = { type = \"string\", default = \"hello\" }",
        more: "[service.new]\nroute = '/gone'\nrun = 'node server.js new'\nneeds = ['front', 'notes']\n\
               [resource]\nnotes = { kind = 'sql' }",
        ..old.clone()
    };
    new.write(&system)?;
    let planned = system.ok(&["roll-out", "--plan"])?.stdout;
    for words in ["new is new", "gone goes", "GREETING", "task migrate runs first"] {
        ensure!(planned.contains(words), "{words:?} is not planned:\n{planned}");
    }
    system.ok(&["roll-out"])?;
    load.end()?;
    assert_eq!(answer(&url)?, "a1 b1 hello");
    assert_eq!(http::get(&format!("{url}/gone"))?.body, "new");
    let names = until("three replicas", SOON, || {
        let names = replicas(&system)?;
        Ok((names.len() == 3).then_some(names))
    })?;
    ensure!(names.contains(&"new.web.1 ready serving".to_owned()), "{names:?}");

    // What cannot be done is refused before anything is touched: all of it at once.
    let text = new.text().replace("kind = 'sql'", "kind = 'blob'");
    system.write("updraft.toml", &text)?;
    let refused = system.run(&["roll-out"])?.expect(2)?.said();
    ensure!(refused.contains("`notes` changes its kind"), "{refused}");
    system.write("updraft.toml", &text.replace("kind = 'blob'", "kine = 'sql'"))?;
    let refused = system.run(&["roll-out"])?.expect(2)?.said();
    ensure!(refused.contains("kine"), "{refused}");
    new.write(&system)?;
    let refused = system.run(&["roll-out", "bakc"])?.expect(2)?.said();
    ensure!(refused.contains("bakc"), "{refused}");
    let late = system.run(&["roll-out", "--deadline", "1ms"])?.expect(1)?.said();
    ensure!(late.contains("deadline"), "{late}");
    assert_eq!(answer(&url)?, "a1 b1 hello");
    system.ok(&["down"])?;
    system.expect_nothing(&[], Duration::ZERO)
}

/// What a start waits for may be what the roll-out mends.
#[test]
fn a_start_that_hangs_is_mended() -> Result<()> {
    let manifest = |base: &str| {
        format!(
            "system = 'stuck'\n[service.base]\nrun = '{base}'\n[service.web]\nneeds = ['base']\n\
             run = 'python3 web.py'\ntask.migrate = {{ run = 'touch migrated', when = 'release' }}\n"
        )
    };
    let system = TestSystem::new(&manifest("false"))?;
    let mut up = system.up()?;
    system.row_when(("base", "web"), SOON, |row| row.restarts > 0)?;
    system.write("updraft.toml", &manifest("python3 web.py"))?;
    system.ok(&["roll-out", "--deadline", "60s"])?;
    system.row_when(("web", "web"), SOON, |row| row.state == "ready")?;
    ensure!(system.directory().join("migrated").exists(), "the release task did not run");
    up.signal(rustix::process::Signal::INT)?;
    up.ended(SOON)?;
    system.expect_nothing(&[], SOON)
}
