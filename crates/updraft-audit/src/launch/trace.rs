//! Observes which executables a program runs (`ptrace(2)`).
//!
//! The program is a child of the launcher, which seizes it before it begins. A traced program
//! takes its signals through the tracer, so nothing that is seen here says how it takes them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{Spec, Status};
use crate::role::VERB;

/// One executable that began to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Executed {
    /// The process that became it.
    pub(crate) pid: i32,
    /// The file that runs: of a script, its interpreter.
    pub(crate) executable: PathBuf,
    /// Its arguments, its own name first.
    pub(crate) argv: Vec<String>,
}

impl Executed {
    /// What has been noted so far. A line that is being written is left out.
    pub(crate) fn read(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Runs the program as a traced child and ends as it ends. What it has left behind ends with
/// the tracer.
pub(super) fn observe(spec: &Spec, path: &Path, log: &Path) -> io::Result<ExitCode> {
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    let child = Command::new("/proc/self/exe").args([VERB, "traced"]).arg(path).spawn()?;
    let program = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // Where that fails, it ends with its parent and has not begun.
    seize(program).map_err(|error| super::refused(spec, format!("cannot trace it: {error}")))?;
    Status::Running { pid: child.id() }.write(&spec.status)?;
    let (code, signal) = follow(program, &mut log)?;
    super::ended(spec, code, signal)
}

/// The child before it becomes the program: waits until it is seized.
pub(super) fn wait_for_tracer() -> io::Result<()> {
    Ok(raise(Signal::SIGSTOP)?)
}

fn seize(program: Pid) -> io::Result<()> {
    let stopped = waitpid(program, Some(WaitPidFlag::WUNTRACED))?;
    if !matches!(stopped, WaitStatus::Stopped(..)) {
        return Err(io::Error::other("it ended before it could be traced"));
    }
    let options = Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(program, options)?;
    Ok(kill(program, Signal::SIGCONT)?)
}

/// Lets all go on that stop, until the program has ended: its exit code, or the signal.
fn follow(program: Pid, log: &mut File) -> io::Result<(Option<i32>, Option<i32>)> {
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Ok((Some(code), None)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return Ok((None, Some(signal as i32)));
            }
            Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                    note(pid, log)?;
                }
                go_on(pid, None)?;
            }
            Ok(WaitStatus::Stopped(pid, signal)) => go_on(pid, Some(signal))?,
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A process that was killed meanwhile is told of by the next wait.
fn go_on(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::cont(pid, signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn note(pid: Pid, log: &mut File) -> io::Result<()> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    // Killed meanwhile, it has not run anything.
    let Ok(executable) = std::fs::read_link(process.join("exe")) else { return Ok(()) };
    let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words = words.strip_suffix(b"\0").unwrap_or(&words);
    let argv = words.split(|byte| *byte == 0);
    let argv = argv.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let executed = Executed { pid: pid.as_raw(), executable, argv };
    let mut line = serde_json::to_vec(&executed)?;
    line.push(b'\n');
    log.write_all(&line)
}
