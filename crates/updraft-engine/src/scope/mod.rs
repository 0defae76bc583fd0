//! Process scopes: a program with all its descendants, signalled, waited for and
//! killed as one, and gone when the supervisor is gone, even by SIGKILL.
//!
//! How that is held is told in [`guard_main`]'s module.

mod cgroup;
mod confine;
mod exit;
mod follower;
mod guard;
mod launcher;
mod members;
mod procfs;
mod protocol;
mod temporary;
mod terminal;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};

use updraft_system::{ConfinementStatus, Name, TerminalSize};

use crate::state_dir::{StateDir, StateLock};

pub use confine::{Confinement, FileRules};
use confine::{Feature, Preparation};
pub use exit::Exit;
use follower::{Follower, Left, Life};
pub use guard::{guard_main, remove_folder};
use members::{Members, Roll, ServiceMembers};
pub use procfs::ProcessId;
pub use protocol::StopSignal;
use protocol::{Estate, Launch, Order};
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
    groups: cgroup::RunGroups,
    /// The folder of temporary files, or why there is none; `None`: nothing is confined.
    temporary: Option<Result<PathBuf, String>>,
    without: Vec<Feature>,
    /// What does not hold and was told, for each process type and task.
    told: std::sync::Mutex<BTreeSet<String>>,
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
    /// What it may use and do; `None`: what Updraft itself may.
    pub confinement: Option<Confinement>,
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
    confinement: Option<ConfinementStatus>,
    life: watch::Receiver<Life>,
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
    /// What is to be done without is not known.
    #[error("{0}")]
    Without(String),
}

impl Scopes {
    /// Starts the guardian of a run. It keeps `lock` locked until the run is gone for
    /// good, and removes `socket` if the supervisor cannot.
    pub async fn open(lock: &StateLock, socket: &Path) -> Result<Self, ScopeError> {
        let without = Feature::withheld().map_err(ScopeError::Without)?;
        let id = new_id();
        let temporary = temporary::make_run(&id).map_err(|error| error.to_string());
        let guarded = Guarded { id, folder: None, temporary: Some(temporary), without };
        guarded.open(lock, socket).await
    }

    /// The same for a run whose whole state folder goes with it.
    pub async fn open_throwaway(lock: &StateLock, state: &StateDir) -> Result<Self, ScopeError> {
        let folder = Some(state.root().to_owned());
        let guarded = Guarded { id: new_id(), folder, temporary: None, without: Vec::new() };
        guarded.open(lock, &state.socket()).await
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
        let (ours, theirs) = pair()?;
        let guardian = guardian("scope", &self.0.id, theirs)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(ScopeError::Guard)?;
        let mark = format!("{}/{label}", self.0.id);
        let launch = self.launch(label, &mark, plan, terminal);
        let group = launch.group.clone();
        let groups = launch.groups.clone();
        let folder = launch.preparation.as_ref().and_then(|it| it.folder.clone());
        // Before the program can open a socket.
        let guardian_id = guardian.id();
        let members = Members { group: group.clone(), guardian: guardian_id };
        let listed = self.0.members.add(label, members);
        let (reports, mut orders) = ours.into_split();
        send(&mut orders, &Order::Launch(Box::new(launch))).await.map_err(ScopeError::Guard)?;

        let (teller, mut life) = watch::channel(Life::default());
        let left = Left { mark, group, groups, folder };
        let follower = Follower { guardian, left, teller, listed };
        tokio::spawn(follower.follow(BufReader::new(reports)));
        let started = life.wait_for(|life| life.started.is_some()).await;
        let started = started.ok().and_then(|life| life.started.clone());
        match started {
            Some(Ok((leader, confinement))) => {
                let (label, guardian) = (label.to_owned(), guardian_id);
                Ok(Scope { label, leader, guardian, orders, confinement, life })
            }
            Some(Err(reason)) => Err(ScopeError::Refused(reason)),
            None => Err(ScopeError::Refused("the guardian of the scope was killed".to_owned())),
        }
    }

    /// What a guardian is told of a program.
    fn launch(
        &self,
        label: &str,
        mark: &str,
        plan: &CommandPlan,
        terminal: Option<PathBuf>,
    ) -> Launch {
        let run = &self.0;
        let mut environment = plan.env.clone();
        environment.insert(SCOPE_VARIABLE.to_owned(), mark.to_owned());
        let limits = plan.confinement.as_ref().map(|it| it.limits).unwrap_or_default();
        let groups = run.groups.scope(label, &limits);
        let preparation = plan.confinement.as_ref().map(|confinement| {
            let mut lacking = groups.lacking;
            let folder = match &run.temporary {
                Some(Ok(folder)) => Some(folder.join(label)),
                Some(Err(reason)) => {
                    lacking.push(format!("it has no temporary folder of its own: {reason}"));
                    None
                }
                None => None,
            };
            Preparation {
                confinement: confinement.clone(),
                held: groups.held,
                lacking,
                without: run.without.clone(),
                folder,
                directory: plan.cwd.clone(),
            }
        });
        Launch {
            argv: plan.argv.clone(),
            environment,
            directory: plan.cwd.clone(),
            group: groups.kill,
            groups: groups.join,
            memory: groups.memory,
            terminal,
            preparation,
        }
    }

    /// What is meant to hold for a program and does not, where it was not told before for its
    /// process type or task.
    pub(crate) fn news(&self, scope: &Scope) -> Vec<String> {
        // The last part is the replica, or which run of a task it is.
        let kind = scope.label.rsplit_once('.').map_or(scope.label.as_str(), |(kind, _)| kind);
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lacking = scope.confinement.iter().flat_map(|status| &status.lacking);
        lacking.filter(|reason| told.insert(format!("{kind}: {reason}"))).cloned().collect()
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
        self.0.groups.all().iter().for_each(|group| cgroup::remove(group));
        if let Some(Ok(folder)) = &self.0.temporary {
            // What is still there has an owner that is not ours.
            drop(remove_folder(folder));
        }
    }
}

/// A run whose guardian is to be started.
struct Guarded {
    id: String,
    /// Goes with the run.
    folder: Option<PathBuf>,
    temporary: Option<Result<PathBuf, String>>,
    without: Vec<Feature>,
}

impl Guarded {
    async fn open(self, lock: &StateLock, socket: &Path) -> Result<Scopes, ScopeError> {
        let Self { id, folder, temporary, without } = self;
        let lock = lock.file().map_err(ScopeError::Guard)?;
        let groups = match without.contains(&Feature::Cgroups) {
            true => cgroup::RunGroups::none(),
            false => cgroup::RunGroups::create(&id),
        };
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
            group: groups.kill().map(Path::to_owned),
            groups: groups.all(),
            temporary: temporary.as_ref().and_then(|made| made.as_ref().ok().cloned()),
        };
        send(&mut orders, &Order::Watch(estate)).await.map_err(ScopeError::Guard)?;
        let guardian = Mutex::new(RunGuardian { process, orders });
        let (members, told) = Default::default();
        Ok(Scopes(Arc::new(Run { id, groups, temporary, without, told, guardian, members })))
    }
}

fn new_id() -> String {
    let entropy = format!("{:?}{}", std::time::SystemTime::now(), std::process::id());
    blake3::hash(entropy.as_bytes()).to_hex()[..12].to_owned()
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

    /// What holds for the program; `None`: it is not confined.
    pub fn confinement(&self) -> Option<&ConfinementStatus> {
        self.confinement.as_ref()
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
