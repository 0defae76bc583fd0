//! A program's environment is exactly what is declared plus the documented base.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, http};
use rustix::process::Signal;

const MANIFEST: &str = r#"
system = "env"
[resource]
db = { kind = "sql" }
store = { kind = "cache" }
[service.idle]
needs = ["db", "store", "peer-one"]
[service.idle.config]
LOG_LEVEL = { one_of = ["debug", "info"], default = "info" }
PAGE_SIZE = { type = "int", min = 1, max = 500, default = 50 }
TOKEN = "secret"
[service.idle.process]
idle = "/bin/sleep 100000"
[service.peer-one]
run = "python3 web.py"
"#;

/// What may come from the caller: `docs/reference/environment.md`.
const BASE: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

#[test]
fn a_program_gets_what_is_declared_and_nothing_else() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    system.write(".env", "TOKEN=s3cret-canary\nPAGE_SIZE=7\n")?;
    let mut command = system.command()?;
    command.args(["up", "-d"]).env("AWS_SECRET_ACCESS_KEY", "of-the-caller").env("LANG", "C");
    let up = system.finish(command)?.expect(0)?;

    let row = system.row("idle", "idle")?;
    let environment = environment(row.pid.context("it runs")?)?;
    let declared = [
        ("LOG_LEVEL", "info"),
        ("PAGE_SIZE", "7"),
        ("TOKEN", "s3cret-canary"),
        ("HOST", "127.0.0.1"),
        ("UPDRAFT_SYSTEM", "env"),
        ("UPDRAFT_SERVICE", "idle"),
        ("UPDRAFT_PROCESS", "idle"),
        ("UPDRAFT_REPLICA", "1"),
        ("LANG", "C"),
    ];
    for (name, value) in declared {
        assert_eq!(environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    // The port is that of its calls, and this process is none of its own.
    let borrowed = http::get(&environment["PEER_ONE_URL"])?;
    assert_eq!(borrowed.status, 403, "{borrowed:?}");
    assert_eq!(environment.get("DATABASE_URL"), environment.get("DB_URL"));
    ensure!(environment["DB_URL"].starts_with("sqlite:///"), "{environment:?}");
    assert_eq!(environment.get("PORT"), row.port.map(|port| port.to_string()).as_ref());

    let wires = ["PORT", "DB_URL", "DATABASE_URL", "STORE_URL", "PEER_ONE_URL", "DRAIN_DELAY"];
    let own = ["PYTHONUNBUFFERED", "UPDRAFT_SCOPE"];
    let known: BTreeSet<&str> = declared
        .iter()
        .map(|(name, _)| *name)
        .chain(wires)
        .chain(own)
        .chain(BASE.iter().copied())
        .collect();
    let given: BTreeSet<&str> = environment.keys().map(String::as_str).collect();
    let extra: Vec<_> = given.difference(&known).collect();
    ensure!(extra.is_empty(), "more than is declared: {extra:?}");

    for (what, text) in [("up", up.said()), ("ps", system.ok(&["ps", "--json"])?.said())] {
        ensure!(!text.contains("s3cret-canary"), "{what} shows a secret");
    }
    for process in system.processes()? {
        ensure!(!process.command.contains("s3cret-canary"), "a secret in {process:?}");
    }
    system.ok(&["down"])?;
    Ok(())
}

/// The environment of a process. In the moment in which it becomes its program it has none.
fn environment(pid: u32) -> Result<BTreeMap<String, String>> {
    let mut block = Vec::new();
    eventually("it has become its program", Duration::from_secs(10), || {
        block = fs::read(format!("/proc/{pid}/environ"))?;
        Ok(!block.is_empty())
    })?;
    let text = String::from_utf8_lossy(&block);
    let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[test]
fn values_that_are_missing_or_wrong_are_refused_together() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    system.write(".env", "PAGE_SIZE=s3cret-900\nLOG_LEVEL=loud\n")?;
    let refused = system.run(&["up", "-d"])?.expect(2)?.said();
    for name in ["TOKEN", "PAGE_SIZE", "LOG_LEVEL"] {
        ensure!(refused.contains(name), "{name} is not named:\n{refused}");
    }
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn servers_are_private_keep_their_data_and_are_attached_by_address() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "servers"
[resource]
base = { kind = "postgres" }
store = { kind = "redis" }
bus = { kind = "nats" }
[service.idle]
needs = ["base", "store", "bus"]
[service.idle.process]
idle = "/bin/sleep 100000"
"#,
    )?;
    system.ok(&["up", "-d"])?;
    let first = environment(system.row("idle", "idle")?.pid.context("it runs")?)?;
    for (name, scheme) in [("BASE_URL", "postgres"), ("STORE_URL", "redis:"), ("BUS_URL", "nats:")]
    {
        let url = first.get(name).with_context(|| format!("no {name}"))?;
        ensure!(url.starts_with(scheme) && url.contains("127.0.0.1"), "{name} is {url}");
    }
    let servers: Vec<_> = system.ps()?.into_iter().filter(|row| row.kind == "resource").collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
    for process in system.processes()? {
        let password = first["STORE_URL"].split(':').nth(2).and_then(|it| it.split('@').next());
        let password = password.context("the address has a password")?;
        ensure!(!process.command.contains(password), "a password in {process:?}");
    }

    // SIGKILL of everything: the next run has the same addresses and the same data.
    let ports: Vec<u16> = servers.iter().filter_map(|row| row.port).collect();
    let supervisor = supervisor(&system)?;
    integration_tests::processes::signal(supervisor, Signal::KILL)?;
    system.expect_nothing(&ports, Duration::from_secs(20))?;
    system.ok(&["up", "-d"])?;
    let second = environment(system.row("idle", "idle")?.pid.context("it runs")?)?;
    assert_eq!(first["BASE_URL"], second["BASE_URL"]);

    // A server that runs elsewhere: ours is no longer needed.
    system.ok(&["attach", "store", "redis://127.0.0.1:1/0"])?;
    // It is behind the same port of the gateway, without the password of ours.
    let port = second["STORE_URL"].rsplit(':').next().context("it has a port")?.to_owned();
    let expected = format!("redis://127.0.0.1:{}/0", port.trim_end_matches("/0"));
    let row = system.row_when(("idle", "idle"), Duration::from_secs(30), |row| {
        let attached = row.pid.and_then(|pid| environment(pid).ok());
        attached.is_some_and(|it| it.get("STORE_URL") == Some(&expected))
    })?;
    assert_eq!(row.state, "ready");
    system.ok(&["down", "--resources"])?;
    system.expect_nothing(&ports, Duration::from_secs(20))
}

fn supervisor(system: &TestSystem) -> Result<u32> {
    let all = system.processes()?;
    let mut found = all.iter().filter(|process| process.command.contains("updraft up "));
    let supervisor = found.next().with_context(|| format!("no supervisor: {all:#?}"))?;
    ensure!(found.next().is_none(), "two supervisors: {all:#?}");
    Ok(supervisor.pid)
}
