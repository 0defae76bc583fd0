//! Roll-outs as the control API tells them: what is to be done, what is done, how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ControlProblem, LogSource, Name};

/// The body of `POST /v1/roll-out`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollOutRequest {
    /// Only these services, and the new graph is taken for them alone; empty: all.
    #[serde(default)]
    pub services: Vec<Name>,
    /// Only tell what would be done.
    #[serde(default)]
    pub plan: bool,
    /// What has not changed is replaced as well.
    #[serde(default)]
    pub all: bool,
    /// The whole must be done within so many milliseconds from now; `null`: 30 minutes.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// The release that is to run; `null`: the working tree.
    #[serde(default)]
    pub release: Option<u64>,
}

/// A line of the answer to `POST /v1/roll-out`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RollOutEvent {
    /// It waits for another command, or builds; the text says which and how far.
    Preparing(String),
    /// What is to be done; with `plan` in the request nothing follows.
    Plan(RollOutPlan),
    /// One step.
    Step(RollOutStep),
    /// Its end; nothing follows.
    Ended(RollOutEnd),
    /// It could not begin; nothing has changed, and nothing follows.
    Refused(ControlProblem),
}

/// What a roll-out will do, before it does any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOutPlan {
    /// The release that is rolled out; `null`: the working tree.
    pub release: Option<u64>,
    /// The services in the order in which they are replaced, those that stay too.
    pub services: Vec<PlannedService>,
}

/// What a roll-out will do with one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedService {
    /// The service.
    pub service: Name,
    /// What has become of it.
    pub change: ServiceChange,
    /// What has changed, in words; empty where nothing has.
    pub reason: String,
    /// The release tasks that run before any of its processes is replaced.
    pub tasks: Vec<Name>,
    /// Its processes, those that will go too.
    pub processes: Vec<PlannedProcess>,
}

/// What has become of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceChange {
    /// Nothing: its programs go on.
    Same,
    /// Something that its programs see.
    Changed,
    /// It is new.
    Added,
    /// It is no more.
    Removed,
}

/// What a roll-out will do with one process type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedProcess {
    /// The process type.
    pub process: Name,
    /// How many copies there will be.
    pub replicas: u32,
    /// In which way it is replaced.
    pub way: Way,
    /// For about how many milliseconds there will be no copy of it: as long as it took to boot
    /// the last time, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
}

/// In which way a process is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The new starts beside the old.
    Beside,
    /// It cannot roll: the old stops first.
    Exclusive,
    /// There is no old one.
    Start,
    /// There is no new one.
    Stop,
}

/// One step of a roll-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOutStep {
    /// The replica, or the task as `service.task.1`.
    #[serde(flatten)]
    pub source: LogSource,
    /// What has just happened to it.
    pub state: StepState,
    /// More about it, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What has happened to a replica or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// A task or a replica was started.
    Starting,
    /// A task succeeded.
    Succeeded,
    /// A replica gets the requests from now on, or does the work.
    Serving,
    /// A replica gets no more requests; those under way end.
    Draining,
    /// A replica has ended.
    Gone,
    /// A task or a replica failed; `detail` says why.
    Failed,
    /// What was replaced already goes back to what was before.
    RollingBack,
}

/// How a roll-out ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOutEnd {
    /// In which of the ways it ended.
    pub outcome: RollOutOutcome,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// The last lines of what failed.
    #[serde(default)]
    pub lines: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// In which way a roll-out ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollOutOutcome {
    /// The new runs.
    Done,
    /// There was nothing to replace.
    Unchanged,
    /// The new failed; what ran before runs on.
    RolledBack,
    /// The new failed, and some of what ran before could not be had back.
    Broken,
}

/// What is told of a roll-out with the state of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOutStatus {
    /// How it ended; `null`: it goes on.
    pub outcome: Option<RollOutOutcome>,
    /// What it does now, or why it failed.
    pub detail: String,
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starts",
            Self::Succeeded => "succeeded",
            Self::Serving => "takes over",
            Self::Draining => "gets no more requests",
            Self::Gone => "has ended",
            Self::Failed => "failed",
            Self::RollingBack => "rolls back",
        })
    }
}
