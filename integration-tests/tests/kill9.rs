//! `kill -9` of `updraft` at random moments, twenty times, with the worst company there
//! is: nothing remains, and the next `up` works.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration_tests::{Random, TestSystem, eventually, processes, until};
use rustix::process::Signal;

const KILLS: u32 = 20;

/// How long anything may remain after the kill.
const GONE_WITHIN: Duration = Duration::from_secs(10);

const READY_WITHIN: Duration = Duration::from_secs(60);

const MANIFEST: &str = r#"
system = "company"
[service.web.process]
web = { run = "python3 {here}/web.py", ready = "/readyz", scale = 2 }
[service.bad.process]
forker = "python3 {here}/forker.py"
daemons = { run = "python3 {here}/daemons.py", ready = { log = "daemons are out" }, stop = "500ms" }
stubborn = { run = "python3 {here}/stubborn.py", ready = { log = "nothing" }, stop = "500ms" }
shell = { run = "python3 {here}/daemons.py & python3 {here}/stubborn.py", stop = "500ms" }
"#;

#[test]
fn nothing_remains_after_kill_9_at_any_moment() -> Result<()> {
    let mut random = Random::announced()?;
    let system = TestSystem::new(MANIFEST)?;

    // A whole run first: how long it takes, and which ports it has.
    let began = Instant::now();
    let up = system.up()?;
    up.wait_ready(READY_WITHIN)?;
    let whole = began.elapsed();
    let ports: Vec<u16> = system.ps()?.iter().filter_map(|row| row.port).collect();
    ensure!(ports.len() >= 2, "{ports:?}");
    up.kill9()?;
    system.expect_nothing(&ports, GONE_WITHIN)?;

    for kill in 1..=KILLS {
        let moment = random.below(whole * 2);
        let began = Instant::now();
        let up = system.up()?;
        until("the moment of the kill", whole * 3, || {
            Ok((began.elapsed() >= moment).then_some(()))
        })?;
        up.kill9()?;
        system
            .expect_nothing(&ports, GONE_WITHIN)
            .with_context(|| format!("kill {kill}, {moment:?} after the start"))?;
    }

    let up = system.up()?;
    up.wait_ready(READY_WITHIN)?;
    let again: Vec<u16> = system.ps()?.iter().filter_map(|row| row.port).collect();
    assert_eq!(again, ports);
    system.run(&["down"])?.expect(1)?;
    system.expect_nothing(&ports, GONE_WITHIN)
}

#[test]
fn the_next_up_may_come_at_once() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    for _ in 0..3 {
        let up = system.up()?;
        up.wait_ready(READY_WITHIN)?;
        up.kill9()?;
    }
    system.ok(&["up", "-d"])?;
    system.run(&["down"])?.expect(1)?;
    system.expect_nothing(&[], GONE_WITHIN)
}

#[test]
fn a_guardian_that_is_killed_takes_its_program_along() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let up = system.up()?;
    up.wait_ready(READY_WITHIN)?;
    let before = system.row("bad", "daemons")?;
    let program = before.pid.context("it runs")?;
    let guardian = processes::read(program).context("it runs")?.parent;
    ensure!(guardian != up.pid(), "the program has no guardian");
    processes::signal(guardian, Signal::KILL)?;
    eventually("the end of its program", GONE_WITHIN, || Ok(processes::read(program).is_none()))?;
    // The supervisor takes it for an end like any other.
    system.row_when(("bad", "daemons"), READY_WITHIN, |row| {
        row.state == "ready" && row.pid.is_some_and(|pid| pid != program)
    })?;
    system.run(&["down"])?.expect(1)?;
    system.expect_nothing(&[], GONE_WITHIN)
}

#[test]
fn a_stopped_system_leaves_only_its_state_on_disk() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    system.ok(&["up", "-d"])?;
    system.run(&["down"])?.expect(1)?;
    system.expect_nothing(&[], Duration::ZERO)?;
    let state = system.state_home().join("updraft");
    let folders: Vec<_> = fs::read_dir(&state)?.flatten().map(|entry| entry.path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&folders[0])?.permissions().mode() & 0o777, 0o700);
    Ok(())
}
