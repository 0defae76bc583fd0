//! Process scopes: a program with all its descendants, signalled, waited for and
//! killed as one, and gone when the supervisor is gone, even by SIGKILL.
//!
//! How that is held is told in [`guard_main`]'s module.

mod cgroup;
mod guard;
mod members;
mod procfs;
mod protocol;
mod terminal;
mod usage;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};

use updraft_system::{Name, TerminalSize};

use crate::state_dir::{StateDir, StateLock};

pub use guard::{guard_main, remove_folder};
use members::{Listed, Members, Roll, ServiceMembers};
pub use procfs::ProcessId;
pub use protocol::StopSignal;
use protocol::{Estate, Launch, Order, Report};
pub(crate) use terminal::Terminal;

/// In the environment of every program: the run and scope it belongs to.
pub const SCOPE_VARIABLE: &str = "UPDRAFT_SCOPE";
/// In the environment of every guardian: the run it guards.
const GUARD_VARIABLE: &str = "UPDRAFT_GUARD";

/// Makes the scopes of one run of a system.
#[derive(Clone, Debug)]
pub struct Scopes(Arc<Run>);

#[derive(Debug)]
struct Run {
    id: String,
    group: Option<cgroup::RunGroup>,
    guardian: Mutex<RunGuardian>,
    members: Roll,
}

/// The guardian of the run. Its death alone harms nothing.
#[derive(Debug)]
struct RunGuardian {
    process: Child,
    orders: UnixStream,
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPlan {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// The folder it starts in.
    pub cwd: PathBuf,
}

/// The pipes a program writes to.
#[derive(Debug)]
pub struct Output {
    /// Read end of its standard output.
    pub stdout: OwnedFd,
    /// Read end of its standard error.
    pub stderr: OwnedFd,
}

/// A program that runs, with its descendants.
#[derive(Debug)]
pub struct Scope {
    label: String,
    leader: ProcessId,
    /// Its descendants are the scope. `None`: it was gone at once.
    guardian: Option<u32>,
    orders: OwnedWriteHalf,
    life: watch::Receiver<Life>,
}

#[derive(Clone, Debug, Default)]
struct Life {
    started: Option<Result<ProcessId, String>>,
    exit: Option<Exit>,
    empty: bool,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// Its guardian was killed, and the program with it.
    GuardLost,
}

/// A scope could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// A guardian could not be started.
    #[error("cannot start a guardian process")]
    Guard(#[source] std::io::Error),
    /// No terminal can be had.
    #[error("cannot make a terminal")]
    Terminal(#[source] std::io::Error),
    /// The program could not be started.
    #[error("{0}")]
    Refused(String),
}

impl Scopes {
    /// Starts the guardian of a run. It keeps `lock` locked until the run is gone for
    /// good, and removes `socket` if the supervisor cannot.
    pub async fn open(lock: &StateLock, socket: &Path) -> Result<Self, ScopeError> {
        Self::guarded(lock, socket, None).await
    }

    /// The same for a run whose whole state folder goes with it.
    pub async fn open_throwaway(lock: &StateLock, state: &StateDir) -> Result<Self, ScopeError> {
        Self::guarded(lock, &state.socket(), Some(state.root().to_owned())).await
    }

    async fn guarded(
        lock: &StateLock,
        socket: &Path,
        folder: Option<PathBuf>,
    ) -> Result<Self, ScopeError> {
        let lock = lock.file().map_err(ScopeError::Guard)?;
        let entropy = format!("{:?}{}", std::time::SystemTime::now(), std::process::id());
        let id = blake3::hash(entropy.as_bytes()).to_hex()[..12].to_owned();
        let group = cgroup::RunGroup::create(&id);
        let (ours, theirs) = pair()?;
        let process = guardian("run", &id, theirs)
            .stdout(lock)
            .stderr(Stdio::null())
            .spawn()
            .map_err(ScopeError::Guard)?;
        let mut orders = ours;
        let estate = Estate {
            run: id.clone(),
            socket: socket.to_owned(),
            folder,
            group: group.as_ref().map(|group| group.path().to_owned()),
        };
        send(&mut orders, &Order::Watch(estate)).await.map_err(ScopeError::Guard)?;
        let guardian = Mutex::new(RunGuardian { process, orders });
        Ok(Self(Arc::new(Run { id, group, guardian, members: Roll::default() })))
    }

    /// Starts a program in a scope of its own. `label` must differ among live scopes.
    pub async fn start(
        &self,
        label: &str,
        plan: &CommandPlan,
    ) -> Result<(Scope, Output), ScopeError> {
        let (stdout, stdout_writer) = std::io::pipe().map_err(ScopeError::Guard)?;
        let (stderr, stderr_writer) = std::io::pipe().map_err(ScopeError::Guard)?;
        let pipes = (stdout_writer.into(), stderr_writer.into());
        let scope = self.start_with(label, plan, pipes, None).await?;
        Ok((scope, Output { stdout: stdout.into(), stderr: stderr.into() }))
    }

    /// Starts a program in a scope of its own, with a terminal instead of pipes.
    pub(crate) async fn start_in_terminal(
        &self,
        label: &str,
        plan: &CommandPlan,
        size: TerminalSize,
    ) -> Result<(Scope, Terminal), ScopeError> {
        let (terminal, path) = Terminal::open(size).map_err(ScopeError::Terminal)?;
        let scope = self.start_with(label, plan, (Stdio::null(), Stdio::null()), Some(path));
        Ok((scope.await?, terminal))
    }

    async fn start_with(
        &self,
        label: &str,
        plan: &CommandPlan,
        (stdout, stderr): (Stdio, Stdio),
        terminal: Option<PathBuf>,
    ) -> Result<Scope, ScopeError> {
        let group = self.0.group.as_ref().and_then(|run| run.scope(label));
        let (ours, theirs) = pair()?;
        let guardian = guardian("scope", &self.0.id, theirs)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(ScopeError::Guard)?;
        let mark = format!("{}/{label}", self.0.id);
        let mut environment = plan.env.clone();
        environment.insert(SCOPE_VARIABLE.to_owned(), mark.clone());
        let launch = Launch {
            argv: plan.argv.clone(),
            environment,
            directory: plan.cwd.clone(),
            group: group.clone(),
            terminal,
        };
        // Before the program can open a socket.
        let guardian_id = guardian.id();
        let members = Members { group: group.clone(), guardian: guardian_id };
        let listed = self.0.members.add(label, members);
        let (reports, mut orders) = ours.into_split();
        send(&mut orders, &Order::Launch(launch)).await.map_err(ScopeError::Guard)?;

        let (teller, mut life) = watch::channel(Life::default());
        let follower = Follower { guardian, mark, group, teller, listed };
        tokio::spawn(follower.follow(BufReader::new(reports)));
        let started = life.wait_for(|life| life.started.is_some()).await;
        let started = started.ok().and_then(|life| life.started.clone());
        match started {
            Some(Ok(leader)) => {
                let label = label.to_owned();
                Ok(Scope { label, leader, guardian: guardian_id, orders, life })
            }
            Some(Err(reason)) => Err(ScopeError::Refused(reason)),
            None => Err(ScopeError::Refused("the guardian of the scope was killed".to_owned())),
        }
    }

    /// The live scopes of a service's processes and tasks.
    pub(crate) fn of_service(&self, service: &Name) -> ServiceMembers {
        self.0.members.of_service(service)
    }

    /// The processor time of the live scope with this label since its start; blocks for a
    /// look at `/proc`. `None`: there is none.
    pub(crate) fn processor_time(&self, label: &str) -> Option<Duration> {
        usage::processor_time(&self.0.members.get(label)?)
    }

    /// Lets the guardian of the run go, and waits until it is gone. To be called last, when
    /// all scopes are empty and the socket is removed.
    pub async fn close(&self) {
        let mut guardian = self.0.guardian.lock().await;
        // A guardian that is gone has nothing left to guard.
        drop(send(&mut guardian.orders, &Order::Dismiss).await);
        drop(guardian.process.wait().await);
        if let Some(group) = &self.0.group {
            cgroup::remove(group.path());
        }
    }
}

impl Scope {
    /// The program's process.
    pub fn leader(&self) -> ProcessId {
        self.leader
    }

    /// The label it was started under.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The processes that live in it now, nearest to the program first.
    pub fn members(&self) -> Vec<ProcessId> {
        self.guardian.map(procfs::descendants).unwrap_or_default()
    }

    /// Waits until the program has ended; its descendants may live on.
    pub async fn ended(&mut self) -> Exit {
        let life = self.life.wait_for(|life| life.exit.is_some()).await;
        life.ok().and_then(|life| life.exit).unwrap_or(Exit::GuardLost)
    }

    /// Waits until nothing of the scope is left.
    pub async fn emptied(&mut self) {
        // A closed channel means that the follower has seen to it.
        drop(self.life.wait_for(|life| life.empty).await);
    }

    /// Asks the program to end and, when it has ended without them, its descendants;
    /// kills what is left after `grace`. Returns whether something had to be killed.
    ///
    /// The program is asked first and alone because wrappers such as `npm` pass the
    /// signal on, and a second one means "at once" to many programs.
    pub async fn stop(&mut self, signal: StopSignal, grace: Duration) -> bool {
        let in_order = async {
            self.order(&Order::Signal(signal)).await;
            self.ended().await;
            if !self.life.borrow().empty {
                self.order(&Order::SignalAll(signal)).await;
            }
            self.emptied().await;
        };
        if tokio::time::timeout(grace, in_order).await.is_ok() {
            return false;
        }
        self.kill().await;
        true
    }

    /// Kills everything in the scope and waits until it is gone.
    pub async fn kill(&mut self) {
        self.order(&Order::Kill).await;
        self.emptied().await;
    }

    async fn order(&mut self, order: &Order) {
        // A guardian that is gone has taken its scope along.
        drop(send(&mut self.orders, order).await);
    }
}

/// Turns a guardian's reports into the state of its scope.
struct Follower {
    guardian: Child,
    mark: String,
    group: Option<PathBuf>,
    teller: watch::Sender<Life>,
    listed: Listed,
}

impl Follower {
    async fn follow(mut self, reports: BufReader<tokio::net::unix::OwnedReadHalf>) {
        let mut lines = reports.lines();
        let mut told_empty = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(report) = serde_json::from_str(&line) else { break };
            self.teller.send_modify(|life| match report {
                Report::Started(leader) => life.started = Some(Ok(leader)),
                Report::Refused(reason) => life.started = Some(Err(reason)),
                Report::Ended { code, signal, out_of_memory } => {
                    life.exit = Some(Exit::from_report(code, signal, out_of_memory));
                }
                Report::Empty => told_empty = true,
            });
        }
        // Both before the scope is said to be empty: then not even its guardian is left.
        drop(self.guardian.wait().await);
        if !told_empty {
            let (mark, group) = (self.mark, self.group);
            drop(tokio::task::spawn_blocking(move || sweep(&mark, group.as_deref())).await);
        }
        // Before the next scope of this label can be on the roll.
        drop(self.listed);
        self.teller.send_modify(|life| {
            life.exit = life.exit.or(Some(Exit::GuardLost));
            life.empty = true;
        });
    }
}

/// Kills a scope whose guardian was killed.
fn sweep(mark: &str, group: Option<&Path>) {
    if let Some(group) = group {
        cgroup::kill(group);
    }
    procfs::kill_all(
        || procfs::with_variable(SCOPE_VARIABLE, |scope| scope == mark.as_bytes()),
        std::thread::yield_now,
    );
    if let Some(group) = group {
        cgroup::remove(group);
    }
}

impl Exit {
    fn from_report(code: Option<i32>, signal: Option<i32>, out_of_memory: bool) -> Self {
        match (code, signal) {
            _ if out_of_memory => Self::OutOfMemory,
            (_, Some(signal)) => Self::Signal(signal),
            (Some(code), None) => Self::Code(code),
            (None, None) => Self::GuardLost,
        }
    }

    /// What a shell would have in `$?`: the code, or 128 and the number of the signal.
    pub fn shell_code(self) -> u8 {
        let killed = |signal: i32| u8::try_from(128 + signal).unwrap_or(u8::MAX);
        match self {
            Self::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Self::Signal(signal) => killed(signal),
            Self::OutOfMemory | Self::GuardLost => killed(signal_hook::consts::SIGKILL),
        }
    }

    /// Whether the program says that it has done its work.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(127) => f.write_str("exit code 127 (command not found)"),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_hook::low_level::signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
            Self::OutOfMemory => f.write_str("killed by the kernel: out of memory"),
            Self::GuardLost => f.write_str("killed with its guardian process"),
        }
    }
}

fn guardian(role: &str, run: &str, stdin: OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("updraft-guard").args([guard::VERB, role]);
    command.env_clear().env(GUARD_VARIABLE, run).stdin(stdin);
    command
}

/// One end for us, one to be the standard input of a guardian.
fn pair() -> Result<(UnixStream, OwnedFd), ScopeError> {
    let (ours, theirs) = UnixStream::pair().map_err(ScopeError::Guard)?;
    let theirs = theirs.into_std().map_err(ScopeError::Guard)?;
    theirs.set_nonblocking(false).map_err(ScopeError::Guard)?;
    Ok((ours, theirs.into()))
}

async fn send(stream: &mut (impl AsyncWriteExt + Unpin), order: &Order) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
