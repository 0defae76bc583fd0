//! What is known of a run, in one place: every replica and task writes its own row,
//! and whoever waits for something waits for the board to say so.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use updraft_system::{
    After, ConfinementStatus, LogSource, Name, ProcessState, ProcessStatus, RowKind, SystemState,
    Target,
};

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) stage: Stage,
    pub(crate) rows: BTreeMap<LogSource, Row>,
    /// How each task that gates a start has ended: the error of one that failed.
    pub(crate) tasks: BTreeMap<(Name, Name), Result<(), String>>,
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

    fn unready(&self, chosen: impl Fn(&LogSource) -> bool) -> Option<String> {
        let mut rows = self.rows.iter().filter(|(source, _)| chosen(source));
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
                let unready = self.rows.iter().find(|(_, row)| row.state != ProcessState::Ready);
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
            pid: row.pid,
            port: row.port,
            url: row.url.clone(),
            state: row.state,
            restarts: row.restarts,
            uptime_s: uptime(row).as_secs(),
            release: None,
            last_exit: row.last_exit.clone(),
            detail: row.detail.clone(),
            confinement: row.confinement.clone(),
        };
        self.rows.iter().map(status).collect()
    }
}
