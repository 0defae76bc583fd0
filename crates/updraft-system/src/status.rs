//! The state of a running system, as the control API tells it.

use serde::{Deserialize, Serialize};

use crate::{ConfinementStatus, Name, RollOutStatus, Slot};

/// One replica of one process, or the server behind one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// What kind of row this is.
    pub kind: RowKind,
    /// The service or resource.
    pub service: Name,
    /// The process type.
    pub process: Name,
    /// Which copy, from 1.
    pub replica: u32,
    /// Which of the copy's two slots it is in.
    #[serde(default)]
    pub slot: Slot,
    /// Its part in a roll-out.
    #[serde(default)]
    pub role: Role,
    /// The program's process id while it runs.
    pub pid: Option<u32>,
    /// Its own port.
    pub port: Option<u16>,
    /// Where it serves HTTP.
    pub url: Option<String>,
    /// Where it stands.
    pub state: ProcessState,
    /// How often it was started again because it ended or was taken for dead.
    pub restarts: u32,
    /// Seconds since the program now running was started; 0 while none runs.
    pub uptime_s: u64,
    /// The release it runs; `null` for the working tree.
    pub release: Option<u64>,
    /// How the program before ended, such as `exit code 1` or `killed by SIGSEGV`.
    pub last_exit: Option<String>,
    /// What it waits for, or why it is in this state.
    pub detail: Option<String>,
    /// What holds for the program that runs now; `null` while none runs, and for resources.
    #[serde(default)]
    pub confinement: Option<ConfinementStatus>,
}

/// What a row of `ps` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A replica of a service's process.
    Service,
    /// The server behind a resource.
    Resource,
}

/// The part of a replica in a roll-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It does the work.
    #[default]
    Serving,
    /// It is new, and proves itself beside the one that does the work.
    Incoming,
    /// It is old: another has taken over, and it ends when its requests have.
    Outgoing,
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// It waits for what it comes after.
    Waiting,
    /// It runs and is not ready yet, within its boot budget.
    Starting,
    /// It is ready.
    Ready,
    /// It was ready, and its readiness fails now.
    Unready,
    /// It ended and will be started again after a wait.
    Backoff,
    /// It ends again and again; the wait is long.
    CrashLoop,
    /// It was asked to end.
    Stopping,
    /// It ended and stays so.
    Stopped,
}

/// The system as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// Its name.
    pub name: Name,
    /// The folder of its manifest.
    pub directory: String,
    /// The process id of the supervisor.
    pub pid: u32,
    /// The version of Updraft that runs it.
    pub version: String,
    /// Where it stands.
    pub state: SystemState,
    /// Why, where there is more to say.
    pub detail: Option<String>,
    /// The public addresses, by service.
    pub routes: Vec<Route>,
    /// The roll-out that goes on, or how the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_out: Option<RollOutStatus>,
}

/// Where a service is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The service.
    pub service: Name,
    /// Its address.
    pub url: String,
}

/// Where the system stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemState {
    /// Artefacts are made.
    Building,
    /// Not every process is ready yet.
    Starting,
    /// Every process is ready.
    Ready,
    /// It could not start; `detail` says why.
    Failed,
    /// It ends.
    Stopping,
}
