//! What the control API sends and receives beside the state and the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{LogLine, LogSelector, ProcessStatus, SystemStatus};

/// The whole state of a system at one moment: a line of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemEvent {
    /// The system.
    pub system: SystemStatus,
    /// Its processes.
    pub processes: Vec<ProcessStatus>,
    /// How the system ended; only on the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<SystemEnd>,
}

/// How a system ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemEnd {
    /// What did not end in its time and was killed.
    pub killed: Vec<String>,
    /// Why it could not start, where it could not.
    pub failed: Option<String>,
}

/// The body of `POST /v1/restart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// What is started anew.
    pub select: LogSelector,
    /// Each replica stops before it starts again, also where it need not.
    #[serde(default)]
    pub hard: bool,
}

/// The body of `PUT /v1/resources/{name}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachRequest {
    /// The resource that runs elsewhere; `null`: the local one again.
    pub url: Option<String>,
}

/// The body of `POST /v1/tasks/{service}/{task}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// Arguments behind the task's own command line.
    #[serde(default)]
    pub args: Vec<String>,
    /// The release whose task it is; `null`: what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
}

/// A line of the answer to `POST /v1/tasks/{service}/{task}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskEvent {
    /// A line of its output.
    Line(LogLine),
    /// Its end; nothing follows.
    Exit {
        /// The exit code, as a shell has it: 128 and the signal's number where a signal killed it.
        code: u8,
        /// The end in words, such as `exit code 1` or `killed by SIGSEGV`.
        reason: String,
    },
    /// It could not be run; nothing follows.
    Refused(ControlProblem),
}

/// The body of `POST /v1/stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// The data of local resources is deleted too.
    #[serde(default)]
    pub resources: bool,
    /// Everything is killed at once.
    #[serde(default)]
    pub now: bool,
}

/// Why a request was not done, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlProblem {
    /// A stable name for this class of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// The exit code a command gives for it: 1 finding, 2 usage, 4 the environment lacks something.
    pub exit: u8,
}

/// Without the URL: it may hold a password.
impl fmt::Debug for AttachRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = if self.url.is_some() { "Some(…)" } else { "None" };
        write!(f, "AttachRequest {{ url: {url} }}")
    }
}
