//! When tasks run by the calendar, and what is told of tasks and their runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Name, TaskTrigger};

/// When a task runs by the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSchedule {
    /// A cron expression of five fields: minute, hour, day of the month, month, day of the
    /// week. Known to be one that fires.
    pub every: String,
    /// Whose clocks count: a name of the IANA database. Known to be one.
    pub timezone: String,
    /// What happens when the run before still goes on.
    pub overlap: TaskOverlap,
    /// What happens to the times at which the system did not run.
    pub missed: TaskMissed,
}

/// What happens to a time at which the run before still goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOverlap {
    /// It is left out.
    #[default]
    Skip,
    /// It runs when the one before has ended.
    Queue,
    /// Both run.
    Allow,
}

/// What happens to times at which the system did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskMissed {
    /// They are left out.
    #[default]
    Skip,
    /// The last of them runs, once.
    Once,
}

/// What is known of one task: a row of `GET /v1/tasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The service.
    pub service: Name,
    /// The task.
    pub task: Name,
    /// When it runs beside its schedule.
    pub when: TaskTrigger,
    /// Its schedule.
    pub schedule: Option<TaskSchedule>,
    /// When it runs next by its schedule.
    pub next: Option<Timestamp>,
    /// Runs that go on now.
    pub running: u32,
    /// Times of its schedule that wait for the run before.
    pub waiting: u32,
    /// The run that was started last, across runs of the system.
    pub last: Option<TaskRun>,
}

/// One run of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRun {
    /// Who wanted it.
    pub cause: TaskCause,
    /// The time of the calendar that it was due at; `null`: it had none.
    pub due: Option<Timestamp>,
    /// When it was started.
    pub started: Timestamp,
    /// When it ended; `null`: it goes on, or the system was killed with it.
    pub ended: Option<Timestamp>,
    /// Its exit code, as a shell has it.
    pub code: Option<u8>,
    /// Its end in words, such as `exit code 1`.
    pub reason: Option<String>,
}

/// Who wanted a run of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskCause {
    /// Somebody called `updraft task`.
    Hand,
    /// The calendar.
    Schedule,
    /// A start or a roll-out that it gates.
    Release,
}

/// The body of `POST /v1/tasks/{service}/{task}/terminal`, which is answered with a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalRequest {
    /// Arguments behind the task's own command line.
    #[serde(default)]
    pub args: Vec<String>,
    /// The size of the caller's terminal.
    #[serde(default)]
    pub size: TerminalSize,
    /// The kind of the caller's terminal, as in `TERM`.
    #[serde(default)]
    pub term: Option<String>,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters of a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// That of the terminals of old, which programs assume where nobody tells.
impl Default for TerminalSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}
