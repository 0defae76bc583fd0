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

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, setsid, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use updraft_system::ConfinementStatus;

use super::cgroup::MemoryGroup;
use super::procfs::{self, ProcessId};
use super::protocol::{Estate, Launch, Order, Report};
use super::{GUARD_VARIABLE, SCOPE_VARIABLE, cgroup, confine, launcher, temporary};

/// How a shell says that what it ran was killed: 128 and the number of the signal.
const SHELL_KILLED: i32 = 128 + Signal::KILL.as_raw();

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
        confine::ATTEMPT => confine::attempt_mounts(),
        launcher::ROLE => Err(launcher::become_program(&arguments.collect::<Vec<_>>())),
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

fn guard_scope() -> io::Result<()> {
    let (supervisor, children) = settle(c"updraft-scope")?;
    set_child_subreaper(Some(getpid()))?;
    let mut orders = Orders::of(supervisor.try_clone()?);
    let Some(Order::Launch(mut launch)) = orders.next()? else { return Ok(()) };
    let oom_kills = procfs::oom_kills();
    let memory = launch.memory.as_deref().map(MemoryGroup::of);
    let belongings = Belongings::make(&mut launch);
    let (leader, confinement) = match spawn(&launch) {
        Ok(started) => started,
        Err(error) => {
            let report = Report::Refused(format!("cannot start {:?}: {error}", launch.argv));
            return tell(&supervisor, &report).and_then(|()| tell(&supervisor, &Report::Empty));
        }
    };
    // The program alone writes to the pipes; their end is its family's end.
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    tell(&supervisor, &Report::Started(leader, confinement))?;

    supervisor.set_nonblocking(true)?;
    let memory_limit = memory.zip(launch.memory_limit());
    let scope = GuardedScope { leader, belongings, oom_kills, memory_limit, supervisor, children };
    let outcome = scope.keep(&mut orders);
    if outcome.is_err() {
        scope.kill();
    }
    outcome
}

/// What there is of a scope beside processes; removed when it is dropped.
struct Belongings {
    /// Kills in one step.
    group: Option<PathBuf>,
    groups: Vec<PathBuf>,
    /// With what keeps it from being tidied up.
    folder: Option<(PathBuf, File)>,
}

impl Belongings {
    /// Makes the folder of temporary files, where there is to be one. The groups are made.
    fn make(launch: &mut Launch) -> Self {
        let mut folder = None;
        if let Some(preparation) = &mut launch.preparation
            && let Some(path) = preparation.folder.take()
        {
            match temporary::make(&path) {
                Ok(lock) => {
                    preparation.folder = Some(path.clone());
                    folder = Some((path, lock));
                }
                Err(error) => {
                    let reason = format!("{}: {error}", path.display());
                    let lacking = format!("it has no temporary folder of its own: {reason}");
                    preparation.lacking.push(lacking);
                }
            }
        }
        Self { group: launch.group.clone(), groups: launch.groups.clone(), folder }
    }
}

impl Drop for Belongings {
    fn drop(&mut self) {
        self.groups.iter().for_each(|group| cgroup::remove(group));
        if let Some((folder, _)) = &self.folder {
            drop(remove_folder(folder));
        }
    }
}

struct GuardedScope {
    leader: ProcessId,
    belongings: Belongings,
    oom_kills: u64,
    memory_limit: Option<(MemoryGroup, u64)>,
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
                    let killed =
                        signal == Some(Signal::KILL.as_raw()) || code == Some(SHELL_KILLED);
                    let exceeded = self.memory_limit.as_ref().filter(|(it, _)| it.was_exceeded());
                    let memory_limit = exceeded.filter(|_| killed).map(|(_, limit)| *limit);
                    let ended = Report::Ended { code, signal, out_of_memory, memory_limit };
                    tell(&self.supervisor, &ended)?;
                }
                Ok(Some(_)) => {}
            }
        }
    }

    fn kill(&self) {
        if let Some(group) = &self.belongings.group {
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
    if let Some(folder) = &estate.temporary {
        drop(remove_folder(folder));
    }
    estate.groups.iter().for_each(|group| cgroup::remove(group));
}

/// Removes a folder with all that is in it. A folder in which its owner may not read or write,
/// as of overlayfs or of an unpacked release, is opened first.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    const OPEN: u32 = 0o700;
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return std::fs::remove_file(folder);
    }
    if metadata.permissions().mode() & OPEN != OPEN {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(OPEN))?;
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

/// Starts the program. Returns what holds for it.
fn spawn(launch: &Launch) -> io::Result<(ProcessId, Option<ConfinementStatus>)> {
    let (child, confinement) = launcher::start(launch)?;
    // Not reaped yet, so its entry in /proc is there.
    let leader = ProcessId::of(child.id()).ok_or_else(|| io::Error::other("it is gone at once"))?;
    Ok((leader, confinement))
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
