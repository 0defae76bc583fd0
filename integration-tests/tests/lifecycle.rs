//! `up` and its companions, from the first start to the last process.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{Row, TestSystem, eventually, http, processes};
use rustix::process::Signal;

const READY_WITHIN: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

const WEB: &str = r#"
system = "lifecycle"
[service.api]
run = "python3 web.py"
needs = ["pricing"]
route = "/"
[service.pricing]
needs = ["api"]
[service.pricing.process]
web = { run = "python3 web.py", ready = "/readyz", live = "/livez" }
worker = "python3 forker.py"
"#;

#[test]
fn a_system_goes_through_its_whole_life() -> Result<()> {
    let system = TestSystem::new(WEB)?;
    let up = system.ok(&["up", "-d"])?;
    ensure!(up.said().contains("http://127.0.0.1:"), "no address is told: {}", up.said());
    system.ok(&["wait", "--ready", "10s"])?;

    let rows = system.ps()?;
    let names: BTreeSet<_> =
        rows.iter().map(|row| format!("{}.{}.{}", row.service, row.process, row.replica)).collect();
    let expected = ["api.web.1", "pricing.web.1", "pricing.worker.1"];
    assert_eq!(names, expected.map(str::to_owned).into());
    for row in &rows {
        ensure!(row.state == "ready" && row.restarts == 0 && row.release.is_null(), "{row:?}");
        ensure!(row.pid.is_some_and(|pid| processes::read(pid).is_some()), "{row:?}");
    }
    let api = system.row("api", "web")?;
    let url = api.url.clone().context("a web process has an address")?;
    assert_eq!(http::get(&url)?.status, 200);

    restarts_give_new_processes_at_ports_that_come_back(&system, &api)?;
    scaling_changes_how_many_answer(&system)?;

    let again = system.ok(&["up", "-d"])?;
    ensure!(again.said().contains("run"), "the second `up -d` says nothing: {}", again.said());
    let ports = ports(&system)?;
    system.ok(&["down"])?;
    assert_eq!(system.ps()?, []);
    system.expect_nothing(&ports, SOON)?;
    ensure!(system.ok(&["down"])?.said().contains("not running"));
    Ok(())
}

fn restarts_give_new_processes_at_ports_that_come_back(
    system: &TestSystem,
    first: &Row,
) -> Result<()> {
    let restarted = |words: &[&str], before: &Row| -> Result<Row> {
        system.ok(words)?;
        let after = system.row("api", "web")?;
        ensure!(after.state == "ready" && after.pid != before.pid, "{after:?}");
        let old = before.pid.context("it ran")?;
        ensure!(processes::read(old).is_none(), "the old process still runs");
        Ok(after)
    };
    let second = restarted(&["restart", "api.web"], first)?;
    ensure!(second.port != first.port, "it started beside the old one: {second:?}");
    let third = restarted(&["restart", "api.web"], &second)?;
    assert_eq!((third.port, &third.url), (first.port, &first.url));
    let fourth = restarted(&["restart", "api.web", "--hard"], &third)?;
    assert_eq!(fourth.port, first.port);
    Ok(())
}

fn scaling_changes_how_many_answer(system: &TestSystem) -> Result<()> {
    system.ok(&["scale", "api.web=3"])?;
    eventually("three ready replicas", READY_WITHIN, || {
        let rows = system.rows("api", "web")?;
        Ok(rows.len() == 3 && rows.iter().all(|row| row.state == "ready"))
    })?;
    let rows = system.rows("api", "web")?;
    let ports: BTreeSet<_> = rows.iter().filter_map(|row| row.port).collect();
    assert_eq!(ports.len(), 3, "each replica has its own port: {rows:?}");
    let mut answering = BTreeSet::new();
    for port in ports {
        let answer = http::get(&format!("http://127.0.0.1:{port}/"))?.json()?;
        answering.insert(answer["pid"].as_u64());
    }
    let running: BTreeSet<_> = rows.iter().map(|row| row.pid.map(u64::from)).collect();
    assert_eq!(answering.len(), 3, "{answering:?} of {running:?}");

    system.ok(&["scale", "api.web=1"])?;
    eventually("one replica", SOON, || Ok(system.rows("api", "web")?.len() == 1))?;
    for row in &rows[1..] {
        let pid = row.pid.context("it ran")?;
        eventually("its end", SOON, || Ok(processes::read(pid).is_none()))?;
    }
    // All or nothing: one wrong name leaves the right one as it is.
    system.run(&["scale", "api.web=2", "api.wep=2"])?.expect(2)?;
    assert_eq!(system.rows("api", "web")?.len(), 1);
    Ok(())
}

fn ports(system: &TestSystem) -> Result<Vec<u16>> {
    Ok(system.ps()?.iter().filter_map(|row| row.port).collect())
}

#[test]
fn up_says_ready_only_when_every_process_is() -> Result<()> {
    // Several times: a moment at which nothing is unready yet is a short one.
    let system = TestSystem::new(WEB)?;
    for _ in 0..10 {
        system.ok(&["up", "-d"])?;
        let rows = system.ps()?;
        ensure!(rows.len() == 3 && rows.iter().all(|row| row.state == "ready"), "{rows:#?}");
        system.ok(&["down", "--now"])?;
    }
    Ok(())
}

#[test]
fn ports_are_the_same_at_each_run_and_conflicts_name_the_holder() -> Result<()> {
    let system = TestSystem::new(WEB)?;
    let mut runs = Vec::new();
    for _ in 0..2 {
        system.ok(&["up", "-d"])?;
        runs.push(ports(&system)?);
        system.ok(&["down"])?;
    }
    assert_eq!(runs[0], runs[1]);

    // This test itself holds the port now.
    let port = runs[0][0];
    let held = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let refused = system.run(&["up", "-d"])?.expect(4)?.said();
    for fact in [port.to_string(), std::process::id().to_string()] {
        ensure!(refused.contains(&fact), "{fact} is not named:\n{refused}");
    }
    system.expect_nothing(&[], SOON)?;
    drop(held);
    system.ok(&["up", "-d"])?;
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn two_checkouts_run_at_once() -> Result<()> {
    let system = TestSystem::new(WEB)?;
    let other = system.root().join("other");
    std::fs::create_dir(&other)?;
    for entry in std::fs::read_dir(system.directory())?.flatten() {
        std::fs::copy(entry.path(), other.join(entry.file_name()))?;
    }
    let elsewhere = |words: &[&str]| {
        let mut command = system.command_in(&other)?;
        command.args(words);
        system.finish(command)?.expect(0)
    };
    system.ok(&["up", "-d"])?;
    elsewhere(&["up", "-d"])?;
    let rows: Vec<Row> = serde_json::from_str(&elsewhere(&["ps", "--json"])?.stdout)?;
    let first: BTreeSet<u16> = ports(&system)?.into_iter().collect();
    let second: BTreeSet<u16> = rows.iter().filter_map(|row| row.port).collect();
    ensure!(first.is_disjoint(&second), "{first:?} and {second:?}");
    elsewhere(&["down"])?;
    ensure!(system.ps()?.iter().all(|row| row.state == "ready"), "one stopped the other");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn a_second_up_attaches_and_leaves_without_harm() -> Result<()> {
    let system = TestSystem::new(WEB)?;
    let first = system.up()?;
    first.wait_ready(READY_WITHIN)?;
    let mut second = system.up()?;
    second.says("listening on", SOON)?;
    second.signal(Signal::INT)?;
    let status = second.ended(SOON)?;
    assert_eq!(status.code(), Some(0), "{}", second.said()?);
    ensure!(system.ps()?.iter().all(|row| row.state == "ready"), "the first one was disturbed");
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn ctrl_c_stops_in_order_and_a_second_one_at_once() -> Result<()> {
    let polite = TestSystem::new(WEB)?;
    let mut up = polite.up()?;
    up.wait_ready(READY_WITHIN)?;
    up.signal(Signal::INT)?;
    assert_eq!(up.ended(SOON)?.code(), Some(0), "{}", up.said()?);
    polite.expect_nothing(&[], Duration::ZERO)?;
    let said = polite.ok(&["logs", "api"])?.stdout;
    ensure!(said.contains("ended in order"), "it was killed and not asked:\n{said}");

    let stubborn = TestSystem::new(
        "system = 'stubborn'\n[service.mule.process]\nidle = { run = 'python3 stubborn.py', stop = '10m' }\n",
    )?;
    let mut up = stubborn.up()?;
    up.wait_ready(READY_WITHIN)?;
    up.says("nothing moves me", SOON)?;
    up.signal(Signal::INT)?;
    stubborn.row_when(("mule", "idle"), SOON, |row| row.state == "stopping")?;
    up.signal(Signal::INT)?;
    assert_eq!(up.ended(SOON)?.code(), Some(1), "{}", up.said()?);
    stubborn.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn each_process_has_its_own_grace_and_then_its_whole_scope_is_killed() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "grace"
[service.mule.process]
idle = { run = "python3 stubborn.py", stop = "300ms" }
litter = { run = "python3 {here}/daemons.py", stop = "300ms" }
"#,
    )?;
    system.ok(&["up", "-d"])?;
    eventually("the daemons", SOON, || {
        Ok(system.ok(&["logs"])?.stdout.contains("daemons are out"))
    })?;
    let down = system.run(&["down"])?.expect(1)?;
    ensure!(down.said().contains("mule.idle"), "who was killed is not told: {}", down.said());
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn tasks_run_in_the_environment_of_their_service() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "tasks"
[service.api]
run = "python3 web.py"
[service.api.task]
prepare = { run = "echo prepared for $UPDRAFT_SERVICE", when = "release" }
answer = { run = "sh -c 'echo asked; exit 42'" }
"#,
    )?;
    system.ok(&["up", "-d"])?;
    let log = system.ok(&["logs"])?.stdout;
    ensure!(log.contains("prepared for api"), "{log}");
    let asked = system.run(&["task", "api.answer"])?.expect(42)?;
    ensure!(asked.stdout.contains("asked"), "{}", asked.said());
    system.ok(&["down"])?;
    Ok(())
}
