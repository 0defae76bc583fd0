//! Guardians: small processes of this same executable that outlive the supervisor
//! just long enough to leave nothing behind.
//!
//! Each scope has one. It is the subreaper of its program, so every descendant,
//! even one that forked twice and changed its session, stays in its family tree.
//! It holds one end of a socket pair; when the other end closes, because the
//! supervisor ended in whatever way, it kills the tree. One more guardian watches
//! over the run: it holds the lock of the state directory and removes what is left
//! on disk, so that the next run starts only when the last is gone for good.
//!
//! A guardian that is itself killed takes its program along (parent death signal);
//! what the program had started is found by the mark in its environment.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, set_child_subreaper,
    set_parent_process_death_signal, setsid, wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::procfs::{self, ProcessId};
use super::protocol::{Estate, Launch, Order, Report};
use super::{GUARD_VARIABLE, SCOPE_VARIABLE, cgroup, terminal};

/// The first argument that makes this executable a guardian.
pub(super) const VERB: &str = "__guard";

/// Runs as a guardian when the arguments ask for it; `None`: they do not.
///
/// The command calls it first thing in `main`, before any thread exists.
pub fn guard_main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != VERB {
        return None;
    }
    let outcome = match arguments.next()?.to_str()? {
        "scope" => guard_scope(),
        "run" => guard_run(),
        "launch" => Err(launch(arguments.collect())),
        _ => return None,
    };
    Some(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Of a launch this is the program's own stderr; guardians have none.
            drop(writeln!(io::stderr(), "updraft: {error}"));
            ExitCode::from(127)
        }
    })
}

/// Becomes the program: joins its group, starts a session, ties its life to the guardian's.
fn launch(mut arguments: Vec<OsString>) -> io::Error {
    let program = arguments.split_off(2.min(arguments.len()));
    let [group, guardian] = arguments.as_slice() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    if !group.is_empty() {
        // Without the group the family tree still holds the scope together.
        drop(cgroup::join(Path::new(group)));
    }
    let _ = setsid();
    if let Err(error) = terminal::take_control() {
        return error;
    }
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let guardian = guardian.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if getppid() != guardian {
        return io::Error::other("the guardian of this scope is gone");
    }
    let Some((name, rest)) = program.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    let error = Command::new(name).args(rest).exec();
    io::Error::new(error.kind(), format!("cannot run `{}`: {error}", name.display()))
}

fn guard_scope() -> io::Result<()> {
    let (supervisor, children) = settle(c"updraft-scope")?;
    set_child_subreaper(Some(getpid()))?;
    let mut orders = Orders::of(supervisor.try_clone()?);
    let Some(Order::Launch(launch)) = orders.next()? else { return Ok(()) };
    let group = launch.group.clone();
    let oom_kills = procfs::oom_kills();
    let leader = match spawn(&launch) {
        Ok(leader) => leader,
        Err(error) => {
            let report = Report::Refused(format!("cannot start {:?}: {error}", launch.argv));
            return tell(&supervisor, &report).and_then(|()| tell(&supervisor, &Report::Empty));
        }
    };
    // The program alone writes to the pipes; their end is its family's end.
    let nowhere = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    tell(&supervisor, &Report::Started(leader))?;

    supervisor.set_nonblocking(true)?;
    let scope = GuardedScope { leader, group, oom_kills, supervisor, children };
    let outcome = scope.keep(&mut orders);
    if outcome.is_err() {
        scope.kill();
    }
    if let Some(group) = &scope.group {
        cgroup::remove(group);
    }
    outcome
}

struct GuardedScope {
    leader: ProcessId,
    group: Option<std::path::PathBuf>,
    oom_kills: u64,
    supervisor: UnixStream,
    children: UnixStream,
}

impl GuardedScope {
    /// Follows orders until nothing of the scope is left.
    fn keep(&self, orders: &mut Orders) -> io::Result<()> {
        loop {
            if !self.reap()? {
                return tell(&self.supervisor, &Report::Empty);
            }
            let mut ready = [
                PollFd::new(&self.supervisor, PollFlags::IN),
                PollFd::new(&self.children, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            drain(&self.children);
            while let Some(order) = orders.next()? {
                self.follow(&order);
            }
        }
    }

    fn follow(&self, order: &Order) {
        match order {
            Order::Signal(signal) => self.leader.signal((*signal).into()),
            Order::SignalAll(signal) => {
                for member in procfs::descendants(own_pid()) {
                    member.signal((*signal).into());
                }
            }
            Order::Kill => self.kill(),
            Order::Launch(_) | Order::Watch(_) | Order::Dismiss => {}
        }
    }

    /// Collects the dead; says whether anybody lives.
    fn reap(&self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(None) => return Ok(true),
                Err(rustix::io::Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
                Ok(Some((pid, status))) if is(pid, self.leader) => {
                    let signal = status.terminating_signal();
                    let out_of_memory = signal == Some(Signal::KILL.as_raw())
                        && procfs::oom_kills() > self.oom_kills;
                    let code = status.exit_status();
                    tell(&self.supervisor, &Report::Ended { code, signal, out_of_memory })?;
                }
                Ok(Some(_)) => {}
            }
        }
    }

    fn kill(&self) {
        if let Some(group) = &self.group {
            cgroup::kill(group);
        }
        procfs::kill_all(|| procfs::descendants(own_pid()), || self.await_death());
    }

    /// Waits until a child ends, or a moment: an orphan's death tells another parent first.
    fn await_death(&self) {
        let mut ready = [PollFd::new(&self.children, PollFlags::IN)];
        let moment = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let _ = poll(&mut ready, Some(&moment));
    }
}

fn guard_run() -> io::Result<()> {
    let (supervisor, _children) = settle(c"updraft-run")?;
    let mut orders = Orders::of(supervisor);
    let Some(Order::Watch(estate)) = orders.next()? else { return Ok(()) };
    match orders.next() {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => {
            clean_up(&estate);
            Ok(())
        }
    }
}

/// Ends whatever the run has left, and waits for the guardians that do the same.
fn clean_up(estate: &Estate) {
    if let Some(group) = &estate.group {
        cgroup::kill(group);
    }
    let own = own_pid();
    let wait_a_moment = || {
        let moment = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let _ = poll(&mut [], Some(&moment));
    };
    while procfs::with_variable(GUARD_VARIABLE, |run| run == estate.run.as_bytes())
        .iter()
        .any(|id| id.pid != own)
    {
        wait_a_moment();
    }
    let prefix = format!("{}/", estate.run);
    let marked =
        || procfs::with_variable(SCOPE_VARIABLE, |scope| scope.starts_with(prefix.as_bytes()));
    procfs::kill_all(marked, wait_a_moment);
    drop(std::fs::remove_file(&estate.socket));
    if let Some(folder) = &estate.folder {
        drop(remove_folder(folder));
    }
    if let Some(group) = &estate.group {
        cgroup::remove(group);
    }
}

/// Removes a folder with all that is in it. A folder that was made unreadable, as overlayfs
/// does with its own, is made readable first.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let kind = std::fs::symlink_metadata(folder)?.file_type();
    if !kind.is_dir() {
        return std::fs::remove_file(folder);
    }
    if std::fs::read_dir(folder).is_err() {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    for entry in std::fs::read_dir(folder)? {
        remove_folder(&entry?.path())?;
    }
    std::fs::remove_dir(folder)
}

/// Leaves the terminal, survives its signals, and hears of children's deaths.
fn settle(name: &std::ffi::CStr) -> io::Result<(UnixStream, UnixStream)> {
    let _ = setsid();
    let _ = rustix::thread::set_name(name);
    // Handlers, not `SIG_IGN`: a program inherits what is ignored, but no handler.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, std::sync::Arc::default())?;
    }
    let (told, teller) = UnixStream::pair()?;
    told.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, teller)?;
    let supervisor = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    Ok((UnixStream::from(supervisor), told))
}

fn spawn(launch: &Launch) -> io::Result<ProcessId> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args([VERB, "launch"])
        .arg(launch.group.as_deref().unwrap_or(Path::new("")))
        .arg(own_pid().to_string())
        .args(&launch.argv)
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.directory)
        .stdin(Stdio::null());
    if let Some(path) = &launch.terminal {
        terminal::give(&mut command, path)?;
    }
    let child = command.spawn()?;
    // Not reaped yet, so its entry in /proc is there.
    ProcessId::of(child.id()).ok_or_else(|| io::Error::other("it is gone at once"))
}

/// Orders as they arrive.
struct Orders {
    stream: BufReader<UnixStream>,
    /// The part of a line that has come; its rest may take another read.
    line: String,
}

impl Orders {
    fn of(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), line: String::new() }
    }

    /// The next order; `None`: none has arrived yet. The end of the stream is an error.
    fn next(&mut self) -> io::Result<Option<Order>> {
        match self.stream.read_line(&mut self.line) {
            Ok(_) if self.line.ends_with('\n') => {
                let order = serde_json::from_str(&self.line)?;
                self.line.clear();
                Ok(Some(order))
            }
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn tell(mut supervisor: &UnixStream, report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    supervisor.write_all(&line)
}

fn drain(mut stream: &UnixStream) {
    let mut buffer = [0; 64];
    while matches!(io::Read::read(&mut stream, &mut buffer), Ok(count) if count > 0) {}
}

fn own_pid() -> u32 {
    std::process::id()
}

fn is(pid: Pid, id: ProcessId) -> bool {
    u32::try_from(pid.as_raw_nonzero().get()) == Ok(id.pid)
}
