//! What a program may use and do, seen from inside of it and as the kernel tells it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{Outcome, TestSystem, eventually, http, processes, until};
use rustix::process::Signal;
use serde_json::Value;

/// Not the folder of temporary files, so that a program can have that for itself.
const ELSEWHERE: &str = "/var/tmp";
const SOON: Duration = Duration::from_secs(30);

/// The row of `ps --json` of a process, whole.
fn row(system: &TestSystem, process: &str) -> Result<Value> {
    let rows = system.ok(&["ps", "--json"])?.json()?;
    let mut rows = rows.as_array().context("rows")?.iter();
    let row = rows.find(|row| row["process"] == process && row["kind"] == "service");
    Ok(row.with_context(|| format!("no row of {process}"))?.clone())
}

/// What the program says that runs `code`.
fn inside(system: &TestSystem, process: &str, code: &str) -> Result<String> {
    let port = row(system, process)?["port"].clone();
    let answer = http::post(&format!("http://127.0.0.1:{port}/"), &[], &code.into())?;
    Ok(answer.body)
}

fn write(path: &str) -> String {
    format!("open({path}, 'w').write('x')")
}

/// Whether a limit holds on this machine; one that does not must have been said in the log.
fn holds(system: &TestSystem, process: &str, limit: &str) -> Result<bool> {
    let confinement = row(system, process)?["confinement"].clone();
    if !confinement["limits"][limit].is_null() {
        return Ok(true);
    }
    let lacking = confinement["lacking"].to_string();
    ensure!(lacking.contains("limit"), "{limit} does not hold, and it is not said: {confinement}");
    ensure!(system.ok(&["logs"])?.stdout.contains("does not hold"), "it is not in the log");
    Ok(false)
}

#[test]
fn each_limit_bites_or_is_said_not_to_hold() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "limits"
[service.a.process.web]
run = "python3 confined.py"
limits = { memory = "96MiB", cpu = "20%", files = 64, pids = 12 }
"#,
    )?;
    system.ok(&["up", "-d"])?;
    let files = "keep = [open('/dev/null') for _ in range(100)]";
    assert_eq!(inside(&system, "web", files)?, "EMFILE");
    if holds(&system, "web", "pids")? {
        let forks = "import signal\nfor _ in range(30):\n  if os.fork() == 0: signal.pause()";
        assert_eq!(inside(&system, "web", forks)?, "EAGAIN");
    }
    if holds(&system, "web", "cpu_millicores")? {
        let burn =
            "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass";
        assert_eq!(inside(&system, "web", burn)?, "done");
        let pid = row(&system, "web")?["pid"].to_string();
        ensure!(times_throttled(&pid)? > 0, "it was never made to wait");
    }
    if holds(&system, "web", "memory_bytes")? {
        // It cannot answer any more.
        drop(inside(&system, "web", "held = b'x' * (300 << 20)"));
        let killed = "killed: out of memory, its limit is 96 MiB";
        system.row_when(("a", "web"), SOON, |row| row.last_exit.as_deref() == Some(killed))?;
        let log = system.ok(&["logs", "a"])?.stdout;
        ensure!(log.contains(killed), "{log}");
    }
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

/// `nr_throttled` of the group of a process, in either version of control groups.
fn times_throttled(pid: &str) -> Result<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let places = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(PathBuf::from(format!("/sys/fs/cgroup/{controllers}{path}/cpu.stat")))
    });
    let mut stats = places.filter_map(|file| fs::read_to_string(file).ok());
    let throttled = stats.find_map(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse().ok())
    });
    throttled.with_context(|| format!("no cpu.stat: {groups}"))
}

/// A call by the gateway, which looks whose socket it is.
const CALL: &str =
    "import urllib.request\nresult = urllib.request.urlopen(os.environ['B_URL']).read().decode()";

/// A service that declares where it writes, beside one that does not.
const FILES: &str = r#"
system = "files"
[resource]
db = { kind = "sql" }
other = { kind = "blob" }
[service.a]
needs = ["db", "b"]
[service.a.process]
web = { run = "python3 confined.py", writable = ["data", "spool/deep"] }
[service.a.task]
inherits = { run = "touch data/by-task" }
escapes = { run = "touch by-task" }
own = { run = "touch own/by-task", writable = ["own"] }
[service.b.process]
web = { run = "python3 confined.py", version = "v1" }
free = { run = "python3 confined.py", ready = { tcp = true } }
"#;

#[test]
fn a_program_writes_where_it_is_declared_and_nowhere_else() -> Result<()> {
    let system = TestSystem::within(Path::new(ELSEWHERE), FILES)?;
    system.ok(&["up", "-d"])?;
    let confinement = row(&system, "web")?["confinement"].clone();
    if !confinement["writable"].is_array() {
        let said = confinement["lacking"].to_string().contains("where it may write");
        ensure!(said, "it is not said: {confinement}");
        return Ok(());
    }
    let state = system.control_socket()?.parent().context("a folder")?.display().to_string();
    let database = "os.environ['DB_URL'].removeprefix('sqlite://')";
    // Mounts refuse before Landlock does, and what lies on another mount is elsewhere.
    let is_read_only = confinement["read_only"] == true;
    let refused = if is_read_only { "EROFS" } else { "EACCES" };
    let (moved, outward, kept) = match is_read_only {
        true => ("EXDEV", "EXDEV", "'data/a'"),
        false => ("done", "EACCES", "'spool/deep/a'"),
    };
    for (code, expected) in [
        (write("'data/a'"), "done"),
        ("os.rename('data/a', 'spool/deep/a')".to_owned(), moved),
        (format!("os.remove({kept})"), "done"),
        (write("os.environ['TMPDIR'] + '/a'"), "done"),
        (write("'/dev/null'"), "done"),
        (write("'/dev/stdout'"), "done"),
        (
            format!("import sqlite3\nsqlite3.connect({database}).execute('create table t (x)')"),
            "done",
        ),
        (write("'a'"), refused),
        (write("'spool/a'"), refused),
        (write("'/var/tmp/updraft-never'"), refused),
        ("os.truncate('web.py', 0)".to_owned(), refused),
        ("os.remove('web.py')".to_owned(), refused),
        ("os.symlink('web.py', 'link')".to_owned(), refused),
        ("os.mkdir('made')".to_owned(), refused),
        ("os.rename('web.py', 'data/web.py')".to_owned(), outward),
        (CALL.to_owned(), "ready"),
        // What it starts is confined alike.
        ("import subprocess\nresult = subprocess.call(['touch', 'a'])".to_owned(), "1"),
        ("result = open('updraft.toml').read()[:8]".to_owned(), "\nsystem "),
    ] {
        let said = inside(&system, "web", &code)?;
        assert_eq!(said, expected, "{code}");
    }
    assert_eq!(system.run(&["task", "a.inherits"])?.code, Some(0));
    assert_eq!(system.run(&["task", "a.escapes"])?.code, Some(1));
    assert_eq!(system.run(&["task", "a.own"])?.code, Some(0));
    for (file, there) in [("data/by-task", true), ("by-task", false), ("own/by-task", true)] {
        assert_eq!(system.directory().join(file).exists(), there, "{file}");
    }
    read_only(&system, is_read_only)?;
    // Whoever declares nothing writes anywhere, as before.
    assert_eq!(inside(&system, "free", &write("'by-free'"))?, "done");
    private_places(&system, &state)?;
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

/// What is no writing and changes a file all the same, where this machine has namespaces.
fn read_only(system: &TestSystem, holds: bool) -> Result<()> {
    let changes = ["os.chmod('web.py', 0o777)", "os.utime('web.py', (0, 0))"];
    if !holds {
        let lacking = row(system, "web")?["confinement"]["lacking"].to_string();
        ensure!(lacking.contains("read-only"), "it is not said: {lacking}");
        return Ok(());
    }
    for change in changes {
        assert_eq!(inside(system, "web", change)?, "EROFS", "{change}");
        assert_eq!(inside(system, "free", change)?, "done", "{change}");
    }
    for place in ["/etc/hostname", "/usr/bin/env"] {
        assert_eq!(inside(system, "web", &format!("os.utime('{place}')"))?, "EROFS", "{place}");
    }
    assert_eq!(inside(system, "web", "os.chmod('data', 0o700)")?, "done");
    Ok(())
}

/// `/tmp` and the state folder, where this machine has namespaces.
fn private_places(system: &TestSystem, state: &str) -> Result<()> {
    let confinement = row(system, "web")?["confinement"].clone();
    if confinement["temporary"] != "private" {
        let lacking = confinement["lacking"].to_string();
        ensure!(lacking.contains("/tmp"), "it is not said: {confinement}");
        return Ok(());
    }
    let list =
        |path: &str| inside(system, "web", &format!("result = sorted(os.listdir('{path}'))"));
    assert_eq!(list("/tmp")?, "['a']", "what it wrote to TMPDIR and nothing of others");
    assert_eq!(list(state)?, "['resources']");
    assert_eq!(list(&format!("{state}/resources"))?, "['db']");
    let talk = format!("import socket\nsocket.socket(1).connect('{state}/control.sock')");
    assert_eq!(inside(system, "web", &talk)?, "ENOENT");
    let free = inside(system, "free", &format!("result = os.listdir('{state}')"))?;
    ensure!(free.contains("control.sock"), "{free}");
    Ok(())
}

#[test]
fn each_replica_has_its_own_temporary_files_and_they_go_with_it() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "temporary"
[service.a.process]
web = { run = "python3 confined.py", scale = 2 }
[service.a.task]
leave = { run = "sh -c 'touch $TMPDIR/left; echo $TMPDIR'" }
"#,
    )?;
    let start = || -> Result<Vec<PathBuf>> {
        system.ok(&["up", "-d"])?;
        let mut folders = Vec::new();
        for row in system.rows("a", "web")? {
            let url = row.url.context("it serves")?;
            let code =
                format!("{}\nresult = os.environ['TMPDIR']", write("os.environ['TMPDIR'] + '/a'"));
            folders.push(PathBuf::from(http::post(&url, &[], &code.into())?.body));
        }
        Ok(folders)
    };
    let folders = start()?;
    ensure!(folders.len() == 2 && folders[0] != folders[1], "{folders:?}");
    for folder in &folders {
        ensure!(folder.join("a").exists(), "{} is not a folder of its own", folder.display());
        let mode = fs::metadata(folder)?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "others look into it");
    }
    let left = system.ok(&["task", "a.leave"])?.stdout;
    ensure!(!Path::new(left.trim()).exists(), "a task has left {left}");
    system.ok(&["restart", "a.web.1"])?;
    let code = "result = os.listdir(os.environ['TMPDIR'])";
    assert_eq!(inside(&system, "web", code)?, "[]", "it is not emptied");
    system.ok(&["down"])?;
    let run = folders[0].ancestors().nth(2).context("the folder of the run")?;
    ensure!(!run.exists(), "{} is left", run.display());

    let folders = start()?;
    let supervisor = processes::within(system.root())?.into_iter();
    let supervisor = supervisor.filter(|process| process.command.contains("updraft up "));
    for process in supervisor {
        processes::signal(process.pid, Signal::KILL)?;
    }
    system.expect_nothing(&[], SOON)?;
    let run = folders[0].ancestors().nth(2).context("the folder of the run")?;
    eventually("nothing is left after SIGKILL", SOON, || Ok(!run.exists()))
}

#[test]
fn no_program_has_a_capability_that_is_not_declared_or_can_gain_one() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "powers"
[service.a.process]
web = "python3 confined.py"
kept = { run = "python3 confined.py", capabilities = ["NET_BIND_SERVICE"], ready = { tcp = true } }
[service.a.task]
status = { run = "cat /proc/self/status" }
"#,
    )?;
    system.ok(&["up", "-d"])?;
    let web = system.row("a", "web")?.pid.context("it runs")?;
    let status = fs::read_to_string(format!("/proc/{web}/status"))?;
    let task = system.ok(&["task", "a.status"])?.stdout;
    for status in [status, task] {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            ensure!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
        }
        ensure!(status.contains("NoNewPrivs:\t1"), "{status}");
        if rustix::process::getuid().is_root() {
            ensure!(status.contains("CapBnd:\t0000000000000000"), "{status}");
        }
    }
    let kept = row(&system, "kept")?;
    if rustix::process::getuid().is_root() {
        let status = fs::read_to_string(format!("/proc/{}/status", kept["pid"]))?;
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            // CAP_NET_BIND_SERVICE is number 10.
            ensure!(status.contains(&format!("{set}:\t0000000000000400")), "{status}");
        }
        assert_eq!(kept["confinement"]["capabilities"][0], "NET_BIND_SERVICE");
    } else {
        let lacking = kept["confinement"]["lacking"].to_string();
        ensure!(lacking.contains("CAP_NET_BIND_SERVICE"), "it is not said: {kept}");
    }
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn what_a_machine_lacks_is_said_once_and_the_program_runs() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "lacking"
[service.a.process.web]
run = "python3 confined.py"
writable = ["data"]
limits = { memory = "96MiB", cpu = 0.5, pids = 12 }
"#,
    )?;
    let without = |words: &str| -> Result<Outcome> {
        let mut command = system.command()?;
        command.args(["up", "-d"]).env("UPDRAFT_WITHOUT", words);
        system.finish(command)
    };
    let refused = without("cgroups,landlok")?.expect(4)?;
    ensure!(refused.said().contains("landlok"), "{}", refused.said());
    without("cgroups,landlock,namespaces")?.expect(0)?;
    system.ok(&["restart", "a.web"])?;
    assert_eq!(inside(&system, "web", &write("'anywhere'"))?, "done");
    let confinement = row(&system, "web")?["confinement"].clone();
    assert_eq!(confinement["limits"].as_object().map(serde_json::Map::len), Some(0));
    ensure!(confinement["writable"].is_null() && confinement["temporary"] == "tmpdir");
    let lacking = confinement["lacking"].as_array().context("a list")?;
    assert_eq!(lacking.len(), 5, "{lacking:?}");
    let log = system.ok(&["logs", "--raw", "-n", "1000"])?.stdout;
    for reason in lacking {
        let reason = reason.as_str().context("text")?;
        assert_eq!(log.matches(reason).count(), 1, "{reason}:\n{log}");
    }
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_made_keeps_the_program_from_running() -> Result<()> {
    let system = TestSystem::new(
        r#"
system = "unmade"
[service.a.process]
idle = { run = "sh -c 'touch ran; sleep 1000'", writable = ["web.py/below"] }
"#,
    )?;
    let _up = system.up()?;
    let row = system.row_when(("a", "idle"), SOON, |row| row.restarts > 0)?;
    let detail = row.detail.context("it says why")?;
    ensure!(detail.contains("web.py/below") && detail.contains("writable"), "{detail}");
    ensure!(!system.directory().join("ran").exists(), "it ran");
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn an_ordinary_user_has_what_that_user_can_have() -> Result<()> {
    const NOBODY: u32 = 65_534;
    if !rustix::process::getuid().is_root() {
        // All other tests are of an ordinary user then.
        return Ok(());
    }
    let system = TestSystem::within(Path::new(ELSEWHERE), FILES)?;
    let program = system.root().join("updraft");
    if fs::hard_link(system.program(), &program).is_err() {
        fs::copy(system.program(), &program)?;
    }
    for entry in fs::read_dir(system.directory())? {
        chown(entry?.path(), Some(NOBODY), Some(NOBODY))?;
    }
    for folder in [system.root(), system.directory()] {
        chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let verb = |words: &[&str]| -> Result<Outcome> {
        let mut command = system.bare("setpriv");
        let user = format!("--reuid={NOBODY}");
        command.args([&user, "--regid=65534", "--clear-groups"]).arg(&program);
        command.arg("-C").arg(system.directory()).args(words).env("HOME", system.root());
        system.finish(command)?.expect(0)
    };
    verb(&["up", "-d"])?;
    let rows = verb(&["ps", "--json"])?.json()?;
    let web = rows.as_array().context("rows")?.iter().find(|row| row["service"] == "a");
    let web = web.context("a row")?;
    assert_eq!(web["confinement"]["no_new_privileges"], true);
    let url = web["url"].as_str().context("it serves")?;
    let said = |code: &str| Ok::<_, anyhow::Error>(http::post(url, &[], &code.into())?.body);
    let status = said("result = open('/proc/self/status').read()")?;
    ensure!(status.contains("Uid:\t65534") && status.contains("CapEff:\t0000000000000000"));
    let landlock = web["confinement"]["writable"].is_array();
    let refused = match web["confinement"]["read_only"] == true {
        true => "EROFS",
        false if landlock => "EACCES",
        false => "done",
    };
    assert_eq!(said(&write("'a'"))?, refused);
    assert_eq!(said(&write("'data/a'"))?, "done");
    assert_eq!(said(CALL)?, "ready");
    let private = web["confinement"]["temporary"] == "private";
    let lacking = web["confinement"]["lacking"].as_array().context("a list")?.len();
    assert_eq!(lacking, usize::from(!landlock) + usize::from(!private), "{web}");
    verb(&["down"])?;
    until("nothing remains", SOON, || Ok(system.processes()?.is_empty().then_some(())))
}
