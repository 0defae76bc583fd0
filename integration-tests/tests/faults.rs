//! What goes wrong, and how it is told: builds, crashes, missing programs, exit codes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, http};

const SOON: Duration = Duration::from_secs(20);
const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_failed_build_shows_its_output_and_starts_nothing() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "build"
[service.web]
run = "python3 web.py"
[service.broken]
build = { run = "echo the compiler is unhappy >&2; exit 7" }
run = "python3 web.py"
"#,
    )?;
    let up = system.run(&["up", "-d"])?.expect(1)?;
    ensure!(up.said().contains("the compiler is unhappy"), "{}", up.said());
    system.expect_nothing(&[], SOON)?;
    let log = system.ok(&["logs", "web"])?.stdout;
    ensure!(!log.contains("listening"), "half of the system was started:\n{log}");
    Ok(())
}

#[test]
fn a_build_is_skipped_until_a_file_changes() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "build"
[service.web]
path = "web"
build = { run = "echo built >> ../builds; cp ../web.py made.py", keep = ["made.py"] }
run = "python3 made.py"
"#,
    )?;
    system.write("web/source.txt", "one")?;
    let builds = || -> Result<usize> {
        Ok(std::fs::read_to_string(system.directory().join("builds"))?.lines().count())
    };
    for (change, expected) in [(None, 1), (None, 1), (Some("one"), 1), (Some("two"), 2)] {
        if let Some(text) = change {
            system.write("web/source.txt", text)?;
        }
        system.ok(&["up", "-d"])?;
        system.ok(&["down"])?;
        assert_eq!(builds()?, expected, "after {change:?}");
    }
    Ok(())
}

#[test]
fn a_crash_loop_is_shown_as_one_with_its_last_words() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "moon"
[service.wolf.process]
howl = { run = "python3 crasher.py", ready = { log = "never" } }
[service.web]
run = "python3 web.py"
"#,
    )?;
    let up = system.up()?;
    let row = system
        .row_when(("wolf", "howl"), WITHIN, |row| row.state == "crash-loop")
        .with_context(|| up.said().unwrap_or_default())?;
    ensure!(row.restarts >= 3, "{row:?}");
    ensure!(row.last_exit.as_deref().is_some_and(|exit| exit.contains('3')), "{row:?}");
    up.says("the moon is full", SOON)?;
    up.says("crash loop", SOON)?;
    // The neighbour does not suffer.
    system.row_when(("web", "web"), WITHIN, |row| row.state == "ready" && row.restarts == 0)?;
    // Nobody waits for ever: a system with a crash loop is not ready, and that is a finding.
    system.run(&["wait", "--ready", "2s"])?.expect(1)?;
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_program_that_crashes_is_started_again_and_its_signal_is_named() -> Result<()> {
    let system = TestSystem::new(
        "system = 'crash'\n[service.web.process]\nweb = { run = 'python3 web.py', ready = '/readyz' }\n",
    )?;
    system.ok(&["up", "-d"])?;
    let before = system.row("web", "web")?;
    let port = before.port.context("it has a port")?;
    ensure!(http::get(&format!("http://127.0.0.1:{port}/crash")).is_err(), "it lives on");
    let after = system.row_when(("web", "web"), WITHIN, |row| {
        row.state == "ready" && row.pid.is_some() && row.pid != before.pid
    })?;
    assert_eq!((after.restarts, after.port), (1, before.port));
    ensure!(after.last_exit.as_deref().is_some_and(|exit| exit.contains("SIGSEGV")), "{after:?}");
    eventually("its last words", SOON, || {
        Ok(system.ok(&["logs", "web"])?.stdout.contains("last words before the crash"))
    })?;
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_process_that_is_never_ready_is_restarted_when_its_boot_budget_is_spent() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "late"
[service.web.process]
web = { run = "python3 web.py", ready = { http = "/never", within = "700ms", every = "100ms" } }
"#,
    )?;
    let up = system.up()?;
    let row = system
        .row_when(("web", "web"), WITHIN, |row| row.restarts >= 2)
        .with_context(|| up.said().unwrap_or_default())?;
    ensure!(row.state != "ready", "{row:?}");
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn exit_codes_tell_what_kind_of_thing_is_wrong() -> Result<()> {
    let empty = TestSystem::empty()?;
    empty.run(&["ps"])?.expect(2)?;
    empty.run(&["no-such-verb"])?.expect(2)?;
    empty.ok(&["--help"])?;

    let stopped = TestSystem::new("system = 'codes'\n[service.web]\nrun = 'python3 web.py'\n")?;
    for (words, code) in [
        (&["ps"][..], 0),
        (&["down"], 0),
        (&["logs"], 0),
        (&["wait", "--ready", "1s"], 1),
        (&["restart", "web"], 1),
        (&["scale", "web.web=many"], 2),
        (&["up", "no-such-service"], 2),
    ] {
        stopped.run(words)?.expect(code)?;
    }
    stopped.ok(&["up", "-d"])?;
    for (words, code, near) in [
        (&["restart", "wep"][..], 2, "web"),
        (&["scale", "web.wep=2"], 2, "web"),
        (&["logs", "wep"], 2, "web"),
        (&["attach", "db", "sqlite:///x"], 2, "db"),
    ] {
        let refused = stopped.run(words)?.expect(code)?.said();
        ensure!(refused.contains(near), "{words:?} does not name `{near}`:\n{refused}");
    }
    stopped.ok(&["down"])?;

    let lacking = TestSystem::new(
        "system = 'lacks'\n[resource]\ndb = { kind = 'postgres', version = '99' }\n[service.web]\nrun = 'python3 web.py'\nneeds = ['db']\n",
    )?;
    let refused = lacking.run(&["up", "-d"])?.expect(4)?.said();
    ensure!(refused.contains("99") && refused.contains("db"), "{refused}");
    lacking.expect_nothing(&[], SOON)
}
