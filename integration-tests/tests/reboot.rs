//! What comes back after a reboot, and what systemd is told: the unit's own command line is
//! run here as systemd runs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{Running, TestSystem, eventually, processes};
use rustix::process::Signal;

const READY_WITHIN: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

const SHOP: &str = r#"
system = "reboot"
[resource]
store = { kind = "redis" }
[service.api]
run = "python3 web.py"
needs = ["store"]
[service.mail.process]
web = { run = "python3 web.py", scale = 2 }
[service.other]
run = "python3 web.py"
"#;

/// How many copies of each process run.
fn copies(system: &TestSystem) -> Result<BTreeMap<String, usize>> {
    let mut copies = BTreeMap::new();
    for row in system.ps()?.iter().filter(|row| row.kind == "service") {
        *copies.entry(format!("{}.{}", row.service, row.process)).or_default() += 1;
    }
    Ok(copies)
}

fn expected(copies: &[(&str, usize)]) -> BTreeMap<String, usize> {
    copies.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// What a reboot does to a supervisor in the background.
fn kill_supervisor(system: &TestSystem) -> Result<()> {
    let mut killed = 0;
    for process in system.processes()? {
        let words = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        if words.windows(12).any(|part| part == b"--background") {
            processes::signal(process.pid, Signal::KILL)?;
            killed += 1;
        }
    }
    ensure!(killed == 1, "{killed} supervisors ran");
    system.expect_nothing(&[], SOON)
}

#[test]
fn up_d_starts_again_what_ran_before_a_crash_and_down_forgets_it() -> Result<()> {
    let system = TestSystem::new(SHOP)?;
    system.ok(&["up", "-d", "api", "mail"])?;
    system.ok(&["attach", "store", "redis://127.0.0.1:1"])?;
    system.ok(&["scale", "api.web=3", "mail.web=1"])?;
    let before = copies(&system)?;
    assert_eq!(before, expected(&[("api.web", 3), ("mail.web", 1)]));
    kill_supervisor(&system)?;

    let again = system.ok(&["up", "-d"])?;
    ensure!(again.said().contains("api, mail, api.web=3, mail.web=1"), "{}", again.said());
    assert_eq!(copies(&system)?, before);
    ensure!(system.ps()?.iter().all(|row| row.service != "store"), "it is attached no more");
    // A run that was brought back is brought back again, as it is by then.
    system.ok(&["scale", "api.web=2"])?;
    kill_supervisor(&system)?;

    // Services that are named are a choice of today; the choice is remembered in turn.
    system.ok(&["up", "-d", "mail"])?;
    assert_eq!(copies(&system)?, expected(&[("mail.web", 2)]));
    kill_supervisor(&system)?;
    // What runs in a terminal neither remembers nor is remembered.
    let mut up = system.up()?;
    up.wait_ready(READY_WITHIN)?;
    assert_eq!(copies(&system)?.len(), 3);
    up.signal(Signal::INT)?;
    up.ended(SOON)?;
    system.ok(&["up", "-d"])?;
    assert_eq!(copies(&system)?, expected(&[("mail.web", 2)]));

    system.ok(&["down"])?;
    system.ok(&["up", "-d"])?;
    let whole = expected(&[("api.web", 1), ("mail.web", 2), ("other.web", 1)]);
    assert_eq!(copies(&system)?, whole);
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn what_ran_can_be_left_behind() -> Result<()> {
    let manifest = "system = 'fresh'\n[service.a]\nrun = 'python3 web.py'\n[service.b]\nrun = 'python3 web.py'\n";
    let system = TestSystem::new(manifest)?;
    let (one, both) = (expected(&[("a.web", 1)]), expected(&[("a.web", 1), ("b.web", 1)]));
    system.ok(&["up", "-d", "a"])?;
    kill_supervisor(&system)?;
    system.ok(&["up", "-d", "--fresh"])?;
    assert_eq!(copies(&system)?, both);
    system.run(&["up", "-d", "--fresh"])?.expect(2)?;
    system.ok(&["down"])?;

    // A system that does not run is forgotten as well.
    system.ok(&["up", "-d", "a"])?;
    kill_supervisor(&system)?;
    system.ok(&["down"])?;
    system.ok(&["up", "-d"])?;
    assert_eq!(copies(&system)?, both);
    system.ok(&["down"])?;

    // A start that fails leaves what was remembered before.
    system.ok(&["up", "-d", "a"])?;
    kill_supervisor(&system)?;
    let broken = manifest.replace("[service.b]\n", "[service.b]\nbuild = { run = 'false' }\n");
    system.write("updraft.toml", &broken)?;
    system.run(&["up", "-d", "b"])?.expect(1)?;
    system.write("updraft.toml", manifest)?;
    system.ok(&["up", "-d"])?;
    assert_eq!(copies(&system)?, one);
    kill_supervisor(&system)?;

    // What the manifest has no more is said, and never becomes the whole system.
    system.write("updraft.toml", &manifest.replace("service.a", "service.c"))?;
    let refused = system.run(&["up", "-d"])?.expect(2)?;
    ensure!(refused.said().contains("--fresh"), "{}", refused.said());
    system.expect_nothing(&[], SOON)
}

/// The settings of a unit's section `Service`, each word without its quotes.
fn settings(unit: &str) -> Vec<(String, Vec<String>)> {
    let (_, service) = unit.split_once("[Service]\n").unwrap_or_default();
    let (service, _) = service.split_once("\n[Install]").unwrap_or_default();
    let lines = service.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), words(value))).collect()
}

/// Words by systemd.syntax(7), as far as they are needed here.
fn words(value: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, any) = (!quoted, true),
            '\\' => word.extend(letters.next()),
            '%' => word.extend(letters.next()),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            letter => word.push(letter),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// A system in a folder whose name is hard to write down.
fn odd_system(manifest: &str) -> Result<(TestSystem, std::path::PathBuf)> {
    let system = TestSystem::new(manifest)?;
    let odd = system.root().join("odd \"100%\" of $HOME; it's");
    fs::rename(system.directory(), &odd)?;
    Ok((system, odd))
}

#[test]
fn the_command_of_the_unit_tells_when_it_is_ready_and_ends_in_order() -> Result<()> {
    let (system, odd) = odd_system(SHOP)?;
    let run = |words: &[&str]| {
        let mut command = system.command_in(&odd)?;
        command.args(words);
        system.finish(command)?.expect(0)
    };
    let unit = run(&["service", "install", "--dry-run"])?.stdout;
    ensure!(fs::read_dir(system.root())?.flatten().all(|entry| entry.file_name() != "config"));
    let settings = settings(&unit);
    let all = |name: &'static str| settings.iter().filter(move |(known, _)| known == name);
    let start = all("ExecStart").next().map(|(_, words)| words).context(unit.clone())?;
    let program = start[0].strip_prefix(':').context("variables would be replaced")?;
    assert_eq!(start[2], odd.to_str().context("it is text")?);

    let address = system.root().join("notify");
    let socket = UnixDatagram::bind(&address)?;
    socket.set_read_timeout(Some(READY_WITHIN))?;
    let mut command = Command::new(program);
    command.args(&start[1..]).current_dir("/").stdin(Stdio::null()).env_clear();
    for (_, words) in all("Environment") {
        command.envs(words.iter().filter_map(|word| word.split_once('=')));
    }
    command.env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "200000");
    let mut up = Running::start(&system, command)?;

    let mut told = Vec::new();
    let mut until = |wanted: &str| -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let count = socket.recv(&mut bytes).with_context(|| format!("{wanted}: {told:?}"))?;
            told.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
            if told.last().is_some_and(|last| last == wanted) {
                return Ok(());
            }
        }
    };
    until("READY=1")?;
    let mut ps = system.command_in(&odd)?;
    ps.args(["ps", "--json"]);
    let rows: Vec<integration_tests::Row> = serde_json::from_str(&system.finish(ps)?.stdout)?;
    ensure!(rows.len() == 5 && rows.iter().all(|row| row.state == "ready"), "{rows:?}");
    let secret = format!("{}", address.display());
    for row in &rows {
        let environment = fs::read(format!("/proc/{}/environ", row.pid.context("it runs")?))?;
        ensure!(!String::from_utf8_lossy(&environment).contains(&secret), "{row:?}");
    }
    until("WATCHDOG=1")?;
    until("WATCHDOG=1")?;
    up.signal(Signal::TERM)?;
    until("STOPPING=1")?;
    assert_eq!(up.ended(SOON)?.code(), Some(0), "{}", up.said()?);
    let statuses = told.iter().filter(|message| message.starts_with("STATUS="));
    ensure!(statuses.count() >= 2, "{told:?}");
    ensure!(told.iter().filter(|message| *message == "READY=1").count() == 1, "{told:?}");
    drop(socket);
    fs::remove_file(&address)?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn a_service_starts_what_ran_and_never_attaches() -> Result<()> {
    let system = TestSystem::new(SHOP)?;
    system.ok(&["up", "-d", "mail"])?;
    let refused = system.run(&["up", "--resume", "--quiet"])?.expect(1)?;
    ensure!(refused.said().contains("runs already"), "{}", refused.said());
    system.ok(&["scale", "mail.web=3"])?;
    kill_supervisor(&system)?;
    // Ended by a reboot in order, twice: SIGTERM is not `down`.
    for _ in 0..2 {
        let mut up = system.start(&["up", "--resume", "--quiet"])?;
        up.wait_ready(READY_WITHIN)?;
        assert_eq!(copies(&system)?, expected(&[("mail.web", 3)]));
        up.signal(Signal::TERM)?;
        assert_eq!(up.ended(SOON)?.code(), Some(0), "{}", up.said()?);
    }
    let mut up = system.start(&["up", "--resume", "--quiet"])?;
    up.wait_ready(READY_WITHIN)?;
    system.ok(&["down"])?;
    // systemd starts again what fails, and this has not failed.
    assert_eq!(up.ended(SOON)?.code(), Some(0), "{}", up.said()?);
    system.ok(&["up", "-d"])?;
    assert_eq!(copies(&system)?.len(), 3);
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

/// What is called instead of systemctl(1): it writes down what it was asked, and a manager
/// that is `dead` answers nothing.
const SYSTEMCTL: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo "systemd 252 (252)"; exit 0; }
[ -e "$ASKED.dead" ] && { echo "Failed to connect to bus" >&2; exit 1; }
echo "$*" >> "$ASKED"
case "$*" in *ActiveState*) printf 'ActiveState=active\nUnitFileState=enabled\nMainPID=7\n';; esac
"#;

#[test]
fn a_unit_is_written_enabled_started_and_taken_away() -> Result<()> {
    let system = TestSystem::new("system = 'unit'\n[service.a]\nrun = 'python3 web.py'\n")?;
    let (bin, asked) = (system.root().join("bin"), system.root().join("asked"));
    fs::create_dir(&bin)?;
    fs::write(bin.join("systemctl"), SYSTEMCTL)?;
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let service = |words: &[&str]| {
        let mut command = system.command()?;
        command.arg("service").args(words).env("PATH", &path).env("ASKED", &asked);
        command.env("XDG_CONFIG_HOME", system.root().join("config"));
        system.finish(command)
    };
    let file = system.root().join("config/systemd/user/updraft-unit.service");

    // Nobody answers: nothing is written.
    fs::write(asked.with_extension("dead"), "")?;
    let refused = service(&["install"])?.expect(4)?;
    ensure!(refused.said().contains("--no-start"), "{}", refused.said());
    ensure!(!file.exists() && !asked.exists());
    service(&["status"])?.expect(1)?;
    service(&["install", "--no-start"])?.expect(0)?;
    let text = fs::read_to_string(&file)?;
    // Its keys are where they are for this command.
    ensure!(text.contains("XDG_CONFIG_HOME="), "{text}");
    let shown = service(&["install", "--dry-run"])?.expect(0)?.stdout;
    assert_eq!(shown.trim_end(), text.trim_end());
    fs::remove_file(asked.with_extension("dead"))?;

    service(&["install"])?.expect(0)?;
    let orders = fs::read_to_string(&asked)?;
    let orders: Vec<_> = orders.lines().filter(|line| !line.contains(" show ")).collect();
    assert_eq!(
        orders,
        [
            "--user --no-pager daemon-reload",
            "--user --no-pager enable -- updraft-unit.service",
            "--user --no-pager start --no-block -- updraft-unit.service",
        ]
    );
    let status = service(&["status", "--json"])?.expect(0)?.json()?;
    assert_eq!((&status["installed"], &status["pid"]), (&"current".into(), &"7".into()));

    // Another time to stop is another unit; another shell is not.
    let slow = "system = 'unit'\n[service.a.process]\nweb = { run = 'a', stop = '5m' }\n";
    system.write("updraft.toml", slow)?;
    ensure!(service(&["status"])?.expect(1)?.stdout.contains("renews"));
    service(&["install"])?.expect(0)?;
    ensure!(fs::read_to_string(&file)?.contains("TimeoutStopSec=360s"));

    let edited = fs::read_to_string(&file)?.replace("Delegate=yes", "Delegate=no");
    fs::write(&file, &edited)?;
    for words in [&["install"][..], &["uninstall"]] {
        let refused = service(words)?.expect(2)?;
        ensure!(refused.said().contains("edited by hand"), "{}", refused.said());
        assert_eq!(fs::read_to_string(&file)?, edited);
    }
    fs::write(&file, edited.replace("Delegate=no", "Delegate=yes"))?;
    fs::write(&asked, "")?;

    // The unit of a system in another folder is not for this one to judge or to take away.
    let other = TestSystem::new("system = 'unit'\n[service.a]\nrun = 'python3 web.py'\n")?;
    for (verb, code) in [("uninstall", 2), ("install", 2), ("status", 1)] {
        let mut command = other.command()?;
        command.args(["service", verb]).env("PATH", &path).env("ASKED", &asked);
        command.env("XDG_CONFIG_HOME", system.root().join("config"));
        let said = other.finish(command)?.expect(code)?.said();
        ensure!(said.contains("of another system") || said.contains("not of this"), "{said}");
        ensure!(file.exists());
    }
    ensure!(!fs::read_to_string(&asked)?.contains("disable"));
    service(&["uninstall"])?.expect(0)?;
    ensure!(!file.exists());
    ensure!(fs::read_to_string(&asked)?.contains("disable --now -- updraft-unit.service"));
    ensure!(service(&["uninstall"])?.expect(0)?.said().contains("there is no"));
    Ok(())
}

#[test]
fn a_unit_of_the_machine_is_never_roots_unasked() -> Result<()> {
    let system = TestSystem::new("system = 'unit'\n[service.a]\nrun = 'python3 web.py'\n")?;
    let machine = ["service", "install", "--system", "--dry-run"];
    if rustix::process::getuid().is_root() {
        let refused = system.run(&machine)?.expect(2)?;
        ensure!(refused.said().contains("--run-as"), "{}", refused.said());
    }
    let unit = system.ok(&[&machine[..], &["--run-as", "daemon"]].concat())?.stdout;
    ensure!(unit.contains("\nUser=daemon\n") && unit.contains("multi-user.target"), "{unit}");
    let nobody = [&machine[..], &["--run-as", "no-such-user"]].concat();
    ensure!(system.run(&nobody)?.expect(2)?.said().contains("no-such-user"));
    eventually("nothing runs", SOON, || Ok(system.processes()?.is_empty()))
}
