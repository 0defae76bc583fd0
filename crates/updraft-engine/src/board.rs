//! What is known of a run, in one place: every replica and task writes its own row,
//! and whoever waits for something waits for the board to say so.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use updraft_system::{
    After, ConfinementStatus, LogSource, Name, ProcessState, ProcessStatus, Role, RollOutStatus,
    RowKind, SystemState, Target,
};

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) stage: Stage,
    pub(crate) rows: BTreeMap<LogSource, Row>,
    /// How each task that gates a start has ended: the error of one that failed.
    pub(crate) tasks: BTreeMap<(Name, Name), Result<(), String>>,
    /// The roll-out that goes on, or how the last one ended.
    pub(crate) roll_out: Option<RollOutStatus>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Artefacts are made; the text says which and how far.
    #[default]
    Planned,
    Building(String),
    /// Processes start, run, and are started again.
    Running,
    /// The run cannot go on, because of this.
    Failed(String),
    Stopping,
}

/// The state of one replica.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) kind: RowKind,
    /// Its part in a roll-out; told by the roll-out, as all else is by the replica.
    pub(crate) role: Role,
    /// Whether it has shown that it stays ready. One that has not is not started again.
    pub(crate) proven: bool,
    /// The release it runs.
    pub(crate) release: Option<u64>,
    /// How long its last start took until it was ready.
    pub(crate) booted_in: Option<Duration>,
    pub(crate) pid: Option<u32>,
    pub(crate) port: Option<u16>,
    pub(crate) url: Option<String>,
    pub(crate) state: ProcessState,
    pub(crate) restarts: u32,
    pub(crate) started: Option<Instant>,
    pub(crate) last_exit: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) confinement: Option<ConfinementStatus>,
}

/// What the start of a replica or task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Every replica of a service or resource is ready.
    Service(Name),
    /// Every replica of a process type is ready.
    Process(Name, Name),
    /// A task has succeeded.
    Task(Name, Name),
}

impl From<&After> for Gate {
    fn from(after: &After) -> Self {
        match after.clone() {
            After::Service(service) => Self::Service(service),
            After::Process(service, process) => Self::Process(service, process),
            After::Task(service, task) => Self::Task(service, task),
        }
    }
}

impl From<&Target> for Gate {
    fn from(target: &Target) -> Self {
        Self::Service(target.name().clone())
    }
}

impl Board {
    /// The first of `gates` that is not open yet, in words; `None`: all are open.
    pub(crate) fn closed_gate(&self, gates: &[Gate]) -> Option<String> {
        gates.iter().find_map(|gate| match gate {
            Gate::Service(service) => self.unready(|source| source.service == *service),
            Gate::Process(service, process) => {
                self.unready(|source| source.service == *service && source.process == *process)
            }
            Gate::Task(service, task) => match self.tasks.get(&(service.clone(), task.clone())) {
                Some(Ok(())) => None,
                Some(Err(reason)) => Some(format!("task {service}.{task} failed: {reason}")),
                None => Some(format!("waits for task {service}.{task}")),
            },
        })
    }

    /// The rows of those that do the work, and not of those that come or go in a roll-out.
    fn working(&self) -> impl Iterator<Item = (&LogSource, &Row)> {
        self.rows.iter().filter(|(_, row)| row.role == Role::Serving)
    }

    fn unready(&self, chosen: impl Fn(&LogSource) -> bool) -> Option<String> {
        let mut rows = self.working().filter(|(source, _)| chosen(source));
        rows.find(|(_, row)| row.state != ProcessState::Ready)
            .map(|(source, _)| format!("waits for {source}"))
    }

    /// Where the system as a whole stands, and why.
    pub(crate) fn system_state(&self) -> (SystemState, Option<String>) {
        match &self.stage {
            Stage::Planned => (SystemState::Building, None),
            Stage::Building(progress) => (SystemState::Building, Some(progress.clone())),
            Stage::Failed(reason) => (SystemState::Failed, Some(reason.clone())),
            Stage::Stopping => (SystemState::Stopping, None),
            Stage::Running => {
                let unready = self.working().find(|(_, row)| row.state != ProcessState::Ready);
                match unready {
                    None => (SystemState::Ready, None),
                    Some((source, row)) => {
                        let detail = row.detail.as_deref().unwrap_or("starting");
                        (SystemState::Starting, Some(format!("{source}: {detail}")))
                    }
                }
            }
        }
    }

    /// The rows as the control API tells them.
    pub(crate) fn statuses(&self) -> Vec<ProcessStatus> {
        let uptime = |row: &Row| row.started.map_or(Duration::ZERO, |started| started.elapsed());
        let status = |(source, row): (&LogSource, &Row)| ProcessStatus {
            kind: row.kind,
            service: source.service.clone(),
            process: source.process.clone(),
            replica: source.replica,
            slot: source.slot,
            role: row.role,
            pid: row.pid,
            port: row.port,
            url: row.url.clone(),
            state: row.state,
            restarts: row.restarts,
            uptime_s: uptime(row).as_secs(),
            release: row.release,
            last_exit: row.last_exit.clone(),
            detail: row.detail.clone(),
            confinement: row.confinement.clone(),
        };
        self.rows.iter().map(status).collect()
    }
}
