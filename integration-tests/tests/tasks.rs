//! Tasks by the calendar, what is kept of them, and tasks that talk with a person.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, until};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(20);

const CALENDAR: &str = r#"
system = "calendar"
[service.a.process]
worker = "python3 forker.py"
[service.a.task]
once = { run = "sh -c 'echo $0 ran; echo ran >> once.txt' once", every = "0 3 1 1 *", missed = "once" }
skip = { run = "sh -c 'echo ran >> skip.txt'", every = "0 3 1 1 *", timezone = "Europe/Berlin" }
fail = { run = "sh -c 'echo no good >&2; exit 3'" }
"#;

/// A row of `task --json`.
fn row(system: &TestSystem, task: &str) -> Result<Value> {
    let all = system.ok(&["task", "--json"])?.json()?;
    let rows = all.as_array().context("no list")?;
    let row = rows.iter().find(|row| row["task"] == task);
    row.cloned().with_context(|| format!("no row of {task}: {all}"))
}

/// Sets the book of a stopped system back by two years.
fn forget_two_years(system: &TestSystem) -> Result<()> {
    let folder = fs::read_dir(system.state_home().join("updraft"))?.next();
    let path = folder.context("no state folder")??.path().join("tasks.json");
    let mut book: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    for task in ["a.once", "a.skip"] {
        let considered = &mut book[task]["considered"];
        ensure!(considered.is_string(), "{task} is not in the book");
        *considered = Value::from("2024-06-01T00:00:00Z");
    }
    Ok(fs::write(path, book.to_string())?)
}

#[test]
fn what_the_calendar_missed_runs_once_at_the_next_up_or_is_left_out() -> Result<()> {
    let system = TestSystem::new(CALENDAR)?;
    system.ok(&["up", "-d"])?;
    eventually("both are in the book", WITHIN, || {
        Ok(["once", "skip"].iter().all(|task| {
            row(&system, task).is_ok_and(|row| row["next"].is_string() && row["last"].is_null())
        }))
    })?;
    system.ok(&["down"])?;
    forget_two_years(&system)?;

    system.ok(&["up", "-d"])?;
    let last = until("the run that was missed", WITHIN, || {
        let last = row(&system, "once")?["last"].clone();
        Ok(last["ended"].is_string().then_some(last))
    })?;
    ensure!(last["cause"] == "schedule" && last["code"] == 0, "{last}");
    let due = last["due"].as_str().context("it was due at no time")?;
    ensure!(due.ends_with("-01-01T03:00:00Z"), "{last}");
    assert_eq!(fs::read_to_string(system.directory().join("once.txt"))?, "ran\n");
    let skipped = row(&system, "skip")?;
    ensure!(skipped["last"].is_null() && skipped["next"].is_string(), "{skipped}");
    ensure!(skipped["next"].as_str().is_some_and(|next| next.ends_with("-01-01T02:00:00Z")));
    let log = system.ok(&["logs", "a.skip"])?.stdout;
    ensure!(log.contains("times have passed while the system did not run"), "{log}");
    system.ok(&["down"])?;

    // It has run, so another `up` has nothing to make up for.
    system.ok(&["up", "-d"])?;
    eventually("the book is open", WITHIN, || Ok(row(&system, "once")?["next"].is_string()))?;
    assert_eq!(fs::read_to_string(system.directory().join("once.txt"))?, "ran\n");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn the_last_run_of_a_task_is_kept_with_its_output_and_its_end() -> Result<()> {
    let system = TestSystem::new(CALENDAR)?;
    system.run(&["task", "--last", "a.fail"])?.expect(1)?;
    system.ok(&["up", "-d"])?;
    system.run(&["task", "a.fail"])?.expect(3)?;
    let last = row(&system, "fail")?["last"].clone();
    ensure!(last["cause"] == "hand" && last["code"] == 3 && last["due"].is_null(), "{last}");
    let table = system.ok(&["task"])?.stdout;
    ensure!(table.contains("3 (exit code 3)") && table.contains("0 3 1 1 * (UTC)"), "{table}");
    let running = system.run(&["task", "--last", "a.fail"])?.expect(3)?;
    system.ok(&["down"])?;
    let stopped = system.run(&["task", "--last", "a.fail"])?.expect(3)?;
    for shown in [running, stopped] {
        assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("", "no good\n"));
    }
    let wrong = system.run(&["task", "--last", "a.fial"])?.expect(2)?.said();
    ensure!(wrong.contains("did you mean `fail`?"), "{wrong}");
    Ok(())
}

const TALK: &str = r#"
trap 'echo interrupted' INT
test -t 0 && test -t 1 && test -t 2 && echo "at a terminal of kind $TERM"
while :; do
  if read -r word rest; then
    case $word in
      size) stty size ;;
      quit) exit "$rest" ;;
      *) echo "heard $word" ;;
    esac
  fi
done
"#;

const TALKING: &str = "system = \"talking\"\n[service.a]\nrun = \"python3 web.py\"\n\
    [service.a.task]\ntalk = { run = \"sh talk.sh\", tty = true }\nplain = { run = \"sh talk.sh\" }\n";

/// A person at a terminal, in which a verb runs.
struct Person {
    ours: OwnedFd,
    theirs: OwnedFd,
    verb: Child,
    seen: Vec<u8>,
}

impl Person {
    /// Runs a verb in a session of its own at a new terminal.
    fn run(system: &TestSystem, arguments: &[&str]) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        tcsetwinsize(&ours, size(91, 33))?;
        let mut command = system.bare("setsid");
        command.args(["--ctty", "--wait"]).arg(system.program());
        command.arg("-C").arg(system.directory()).args(arguments).env("TERM", "vt220");
        command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs.try_clone()?);
        let verb = command.spawn().context("setsid cannot be started")?;
        Ok(Self { ours, theirs, verb, seen: Vec::new() })
    }

    fn types(&self, keys: &[u8]) -> Result<()> {
        ensure!(rustix::io::write(&self.ours, keys)? == keys.len(), "the terminal is full");
        Ok(())
    }

    /// Pastes more than a terminal takes at once.
    fn pastes(&self, mut text: &[u8]) -> Result<()> {
        until("the terminal takes what is pasted", WITHIN, || {
            while !text.is_empty() {
                match rustix::io::write(&self.ours, text) {
                    Ok(count) => text = &text[count..],
                    Err(rustix::io::Errno::AGAIN) => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Some(()))
        })
    }

    /// Waits until this is to be seen, beyond what was looked for before; gives what comes
    /// before it.
    fn sees(&mut self, text: &str) -> Result<String> {
        let looked = until(&format!("`{text}` is to be seen"), WITHIN, || {
            let mut piece = [0; 4096];
            if let Ok(count) = rustix::io::read(&self.ours, &mut piece) {
                self.seen.extend(&piece[..count]);
            }
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            Ok(seen.find(text))
        });
        let start = looked.with_context(|| String::from_utf8_lossy(&self.seen).into_owned())?;
        let before = String::from_utf8_lossy(&self.seen[..start]).into_owned();
        self.seen.drain(..start + text.len());
        Ok(before)
    }

    /// The exit code of the verb.
    fn ended(&mut self) -> Result<Option<i32>> {
        let status = until("the verb ends", WITHIN, || Ok(self.verb.try_wait()?))?;
        Ok(status.code())
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        drop(self.verb.kill());
        drop(self.verb.wait());
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn a_task_at_a_terminal_talks_with_a_person() -> Result<()> {
    let system = TestSystem::new(TALKING)?;
    system.write("talk.sh", TALK)?;
    system.ok(&["up", "-d"])?;
    let mut person = Person::run(&system, &["task", "a.talk"])?;
    person.sees("at a terminal of kind vt220\r\n")?;
    person.types(b"hello\r")?;
    person.sees("hello\r\nheard hello\r\n")?;
    person.types(b"size\r")?;
    person.sees("33 91\r\n")?;
    tcsetwinsize(&person.ours, size(120, 40))?;
    // The size goes its own way, so it may come after what is typed next.
    eventually("the new size is seen", WITHIN, || {
        person.types(b"size\r")?;
        person.sees("size\r\n")?;
        Ok(person.sees("\r\n")? == "40 120")
    })?;
    // Ctrl-C reaches the task, and ends neither it nor the verb.
    person.types(b"\x03")?;
    person.sees("interrupted\r\n")?;
    person.types(b"quit 7\r")?;
    assert_eq!(person.ended()?, Some(7));
    person.sees("a.talk failed: exit code 7")?;
    let last = row(&system, "talk")?["last"].clone();
    ensure!(last["code"] == 7 && last["cause"] == "hand", "{last}");
    let log = system.ok(&["logs", "a.talk"])?.stdout;
    ensure!(!log.contains("hello"), "what was typed is in the log: {log}");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn what_is_pasted_arrives_whole() -> Result<()> {
    let system = TestSystem::new(TALKING)?;
    let script = "stty raw -echo; echo ready; head -c 1048576 | cmp pasted - && echo same";
    system.write("talk.sh", script)?;
    let pasted: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_be_bytes).collect();
    fs::write(system.directory().join("pasted"), &pasted)?;
    system.ok(&["up", "-d"])?;
    let mut person = Person::run(&system, &["task", "--tty", "a.plain"])?;
    person.sees("ready")?;
    person.pastes(&pasted)?;
    person.sees("same")?;
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn a_person_who_leaves_takes_the_task_along_and_the_terminal_is_as_before() -> Result<()> {
    let system = TestSystem::new(TALKING)?;
    system.write("talk.sh", TALK)?;
    system.ok(&["up", "-d"])?;
    let mut person = Person::run(&system, &["task", "--tty", "a.plain"])?;
    person.sees("at a terminal of kind vt220\r\n")?;
    let raw = tcgetattr(&person.theirs)?;
    person.types(b"quit 0\r")?;
    assert_eq!(person.ended()?, Some(0));
    let after = tcgetattr(&person.theirs)?;
    ensure!(raw.local_modes != after.local_modes, "keys were not handed on as they are");

    let mut person = Person::run(&system, &["task", "--tty", "a.plain"])?;
    let before = tcgetattr(&person.theirs)?;
    assert_eq!(before.local_modes, after.local_modes);
    person.sees("at a terminal of kind vt220\r\n")?;
    drop(person);
    eventually("the task ends", WITHIN, || {
        let row = row(&system, "plain")?;
        Ok(row["running"] == 0 && row["last"]["reason"] == "killed by SIGHUP")
    })?;

    for arguments in [["task", "--tty", "a.plain"].as_slice(), &["task", "a.talk"]] {
        let said = system.run(arguments)?.expect(2)?.said();
        ensure!(said.contains("wants a terminal"), "{said}");
    }
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}
