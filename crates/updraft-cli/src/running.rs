//! The system that a command addresses, running or not.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::Instant;
use updraft_engine::{StateDir, StateLock};
use updraft_system::Name;

use crate::control::Client;
use crate::failure::Failure;
use crate::system_dir::SystemDir;

/// From one look at a supervisor that is just starting or ending to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a supervisor may hold the lock without answering: it opens its
/// socket before anything else, and removes it after everything else.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A system as its manifest names it.
#[derive(Debug)]
pub(crate) struct Addressed {
    pub(crate) dir: SystemDir,
    pub(crate) name: Name,
    pub(crate) state: StateDir,
}

/// Whether an addressed system runs.
#[derive(Debug)]
pub(crate) enum Presence {
    /// It runs, and its supervisor answers.
    Running(Client),
    /// It does not, and cannot start while the lock is held.
    Stopped(StateLock),
}

impl Addressed {
    /// The system of the nearest manifest.
    pub(crate) fn find(start: &Path) -> Result<Self, Failure> {
        Self::of(SystemDir::find(start)?)
    }

    pub(crate) fn of(dir: SystemDir) -> Result<Self, Failure> {
        Ok(Self { name: dir.name()?, state: dir.state()?, dir })
    }

    /// Its supervisor, if it has one that answers right now.
    pub(crate) async fn client(&self) -> Result<Option<Client>, Failure> {
        let socket = self.state.socket();
        Client::connect(&socket).await.map_err(|error| {
            let message = format!("cannot use the control socket {}", socket.display());
            Failure::environment(message).because(&error)
        })
    }

    /// Its supervisor, or the failure that it has none.
    pub(crate) async fn running(&self) -> Result<Client, Failure> {
        self.client().await?.ok_or_else(|| self.not_running())
    }

    pub(crate) fn not_running(&self) -> Failure {
        Failure::finding(format!("{} is not running", self.name))
            .help("`updraft up -d` starts it in the background")
    }

    /// Whether it runs, for certain: a supervisor that is starting is waited for.
    pub(crate) async fn presence(&self) -> Result<Presence, Failure> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            if let Some(lock) = self.state.lock()? {
                return Ok(Presence::Stopped(lock));
            }
            if let Some(client) = self.client().await? {
                return Ok(Presence::Running(client));
            }
            if Instant::now() >= deadline {
                let message = format!("another updraft runs {} and does not answer", self.name);
                let root = self.state.root().display();
                return Err(Failure::environment(message)
                    .help(format!("`fuser {root}/*` shows which; end that process")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Its supervisor as soon as there is one, before the deadline.
    pub(crate) async fn appearance(&self, deadline: Instant) -> Result<Option<Client>, Failure> {
        loop {
            if let Some(client) = self.client().await? {
                return Ok(Some(client));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A hold on a supervisor's process, by which its end is seen.
#[derive(Debug)]
pub(crate) struct Supervisor(Option<OwnedFd>);

impl Supervisor {
    /// The process behind a client. To be taken before the end begins, while its id is surely its own.
    pub(crate) fn of(client: &Client) -> Self {
        let pid = client.supervisor_pid.and_then(Pid::from_raw);
        Self(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Returns when the process has ended, and with it every lock it held.
    pub(crate) async fn ended(self) -> Result<(), Failure> {
        let Some(process) = self.0 else { return Ok(()) };
        let waited = tokio::task::spawn_blocking(move || {
            let mut end = [PollFd::new(&process, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut end, None))
        });
        let failed = "cannot wait for the supervisor to end";
        match waited.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::environment(failed).because(&io::Error::from(error))),
            Err(error) => Err(Failure::environment(failed).because(&error)),
        }
    }
}
