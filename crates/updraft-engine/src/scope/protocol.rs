//! What the supervisor and a guardian say to each other: one JSON object a line
//! over a socket pair. The end of the stream is a message too: the other is dead.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use updraft_system::ConfinementStatus;

use super::confine::Preparation;
use super::procfs::ProcessId;

/// From the supervisor to a guardian.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// To a scope's guardian, first and once: start the program.
    Launch(Box<Launch>),
    /// To the guardian of the run, first and once: what to remove when the supervisor dies.
    Watch(Estate),
    /// Signal the program.
    Signal(StopSignal),
    /// Signal everything in the scope.
    SignalAll(StopSignal),
    /// Kill everything in the scope.
    Kill,
    /// The supervisor ends in order; nothing is left to do.
    Dismiss,
}

/// How a program is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    /// SIGTERM: what a twelve-factor process ends on.
    Term,
    /// SIGINT: what PostgreSQL takes for a fast shutdown.
    Int,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Term => Self::TERM,
            StopSignal::Int => Self::INT,
        }
    }
}

/// What to run in a scope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) argv: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
    /// The control group that kills the scope.
    pub(crate) group: Option<PathBuf>,
    /// The control groups that the program joins, that one among them.
    pub(super) groups: Vec<PathBuf>,
    /// The one of them with a limit of memory.
    pub(super) memory: Option<PathBuf>,
    /// The terminal that it reads and writes, instead of nothing and its guardian's pipes.
    #[serde(default)]
    pub(crate) terminal: Option<PathBuf>,
    /// `None`: the program is run as it is.
    pub(super) preparation: Option<Preparation>,
}

impl Launch {
    /// The limit of memory that holds, in bytes.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.preparation.as_ref()?.held.memory_bytes
    }
}

/// What a run leaves behind when its supervisor is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Estate {
    pub(crate) run: String,
    pub(crate) socket: PathBuf,
    /// A folder that is of use to nobody afterwards.
    pub(crate) folder: Option<PathBuf>,
    /// The control group that kills all of it.
    pub(crate) group: Option<PathBuf>,
    /// The control groups to remove.
    pub(super) groups: Vec<PathBuf>,
    /// The folder of temporary files.
    pub(super) temporary: Option<PathBuf>,
}

/// From a scope's guardian to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The program runs, and this holds for it; `None`: it is not confined.
    Started(ProcessId, Option<ConfinementStatus>),
    /// The program could not be started.
    Refused(String),
    /// The program ended; others of its scope may live on.
    Ended {
        code: Option<i32>,
        signal: Option<i32>,
        out_of_memory: bool,
        /// The kernel has killed in its group, because this many bytes were reached.
        memory_limit: Option<u64>,
    },
    /// Nothing of the scope is left. The last message.
    Empty,
}
