//! The launcher: this same executable in the role that stands between a guardian and a program.
//! It confines itself as it is told and becomes the program, which cannot undo it.
//!
//! What it is told, and what it answers, goes over its standard input, which the program never
//! sees: the paths of a preparation are no business of `/proc/PID/cmdline`, and a launcher that
//! dies is heard of at once.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};
use serde::{Deserialize, Serialize};
use updraft_system::ConfinementStatus;

use super::cgroup;
use super::confine::Preparation;
use super::guard::VERB;
use super::protocol::Launch;
use super::terminal;

/// The word after the verb that makes this executable a launcher.
pub(super) const ROLE: &str = "launch";

/// How long a launcher may take to be ready to become its program.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The longest answer of a launcher.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// What a launcher is told.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    guardian: u32,
    /// The terminal that the program reads and writes, where it gets one.
    terminal: Option<PathBuf>,
    /// The control groups of a program that is not confined.
    groups: Vec<PathBuf>,
    /// `None`: the program is run as it is.
    preparation: Option<Preparation>,
}

/// What a launcher answers, once, before it becomes the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// It becomes the program, and this holds.
    Ready(Option<ConfinementStatus>),
    /// It cannot be done as declared.
    Refused(String),
}

/// Starts a launcher, and waits until it is about to become the program. `None` beside the
/// child: nothing is confined, or the launcher has ended, which its exit tells.
pub(super) fn start(launch: &Launch) -> io::Result<(Child, Option<ConfinementStatus>)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(READY_WITHIN))?;
    let mut child = Command::new("/proc/self/exe")
        .args([VERB, ROLE])
        .args(&launch.argv)
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.directory)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()?;
    let told = Told {
        guardian: std::process::id(),
        terminal: launch.terminal.clone(),
        groups: launch.groups.clone(),
        preparation: launch.preparation.clone(),
    };
    match ask(&ours, &told) {
        Ok(Some(Answer::Ready(status))) => Ok((child, status)),
        Ok(None) => Ok((child, None)),
        Ok(Some(Answer::Refused(reason))) => {
            child.wait()?;
            Err(io::Error::other(reason))
        }
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(io::Error::new(error.kind(), format!("its launcher does not answer: {error}")))
        }
    }
}

/// `None`: the launcher ended without an answer.
fn ask(mut launcher: &UnixStream, told: &Told) -> io::Result<Option<Answer>> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    match launcher.write_all(&line).and_then(|()| launcher.shutdown(Shutdown::Write)) {
        Err(error) if is_end(&error) => return Ok(None),
        other => other?,
    }
    let mut answer = String::new();
    match BufReader::new(launcher.take(ANSWER_BYTES_MAX)).read_line(&mut answer) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(serde_json::from_str(&answer)?)),
        Err(error) if is_end(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// Becomes the program: joins its groups, starts a session, ties its life to the guardian's,
/// and confines itself. Only returns when that fails.
pub(super) fn become_program(program: &[OsString]) -> io::Error {
    match prepare() {
        Ok(tmpdir) => exec(program, tmpdir.as_deref()),
        Err(error) => error,
    }
}

fn exec(program: &[OsString], tmpdir: Option<&Path>) -> io::Error {
    let Some((name, rest)) = program.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    let mut command = Command::new(name);
    command.args(rest).envs(tmpdir.map(|folder| ("TMPDIR", folder)));
    let error = command.exec();
    io::Error::new(error.kind(), format!("cannot run `{}`: {error}", name.display()))
}

fn prepare() -> io::Result<Option<PathBuf>> {
    let guardian = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let nowhere = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    let mut line = String::new();
    BufReader::new(&guardian).read_line(&mut line)?;
    let told: Told = serde_json::from_str(&line)?;
    let _ = setsid();
    if let Some(path) = &told.terminal {
        terminal::take(path)?;
    }
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let parent = i32::try_from(told.guardian).ok().and_then(Pid::from_raw);
    if getppid() != parent {
        return Err(gone());
    }
    let Some(mut preparation) = told.preparation else {
        for group in &told.groups {
            // Without the group the family tree still holds the scope together.
            drop(cgroup::join(group));
        }
        answer(&guardian, &Answer::Ready(None))?;
        return Ok(None);
    };
    join(&told.groups, &mut preparation);
    match preparation.confine() {
        Ok((status, tmpdir)) => {
            // A new user namespace clears it, and so does a change of capabilities (`prctl(2)`).
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            if getppid() != parent {
                return Err(gone());
            }
            answer(&guardian, &Answer::Ready(Some(status)))?;
            Ok(tmpdir)
        }
        Err(error) => {
            answer(&guardian, &Answer::Refused(error.to_string()))?;
            Err(error)
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the guardian of this scope is gone")
}

/// A limit whose group cannot be joined does not hold.
fn join(groups: &[PathBuf], preparation: &mut Preparation) {
    for group in groups {
        let Err(error) = cgroup::join(group) else { continue };
        let held = preparation.held;
        if held.memory_bytes.or(held.pids.map(u64::from)).is_some() || held.cpu_millicores.is_some()
        {
            preparation.held = updraft_system::Limits { files: held.files, ..Default::default() };
            let group = group.display();
            let reason = format!("its limits do not hold: it cannot join {group}: {error}");
            preparation.lacking.push(reason);
        }
    }
}

fn answer(mut guardian: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    guardian.write_all(&line)
}
