//! The manifest `updraft.toml`, the validated graph it becomes, and every type
//! that crosses a process boundary.
//!
//! This crate does no I/O, knows no runtime and never fails for a reason that is
//! not in its input: text comes in, a [`System`] or a list of [`Problem`]s goes out.

pub mod audit;
mod config;
mod confinement;
mod control;
pub mod duration;
mod graph;
mod image;
mod log;
mod manifest;
pub mod mesh;
mod name;
mod problem;
pub mod release;
mod resource_url;
mod roll_out;
mod scaling;
mod schedule;
mod status;
mod terminal;

pub use config::{ConfigKey, ConfigProblem, ConfigType};
pub use confinement::{
    Confinement, ConfinementStatus, Limits, TemporaryStatus, cores_in_words, memory_in_words,
};
pub use control::{
    AttachRequest, ControlProblem, RestartRequest, StopRequest, SystemEnd, SystemEvent, TaskEvent,
    TaskRequest,
};
pub use graph::{
    After, Beside, Build, Liveness, Need, Probe, ProbeKind, Process, Resource, ResourceKind, Roll,
    Service, System, Target, Task, TaskTrigger,
};
pub use image::{BaseImage, ImageSettings};
pub use log::{LogLine, LogSelector, LogSource, LogStream, Slot};
pub use manifest::{json_schema, parse_manifest, parse_procfile, reference_markdown};
pub use name::{InvalidName, Name, nearest};
pub use problem::{Problem, Span};
pub use resource_url::{InvalidUrl, ResourceUrl, UnfitUrl};
pub use roll_out::{
    PlannedProcess, PlannedService, RollOutEnd, RollOutEvent, RollOutOutcome, RollOutPlan,
    RollOutRequest, RollOutStatus, RollOutStep, ServiceChange, StepState, Way,
};
pub use scaling::{
    Auto, CpuTarget, InvalidCpuTarget, LoadStatus, QueueRule, ScaleRequest, ScaleRule,
    ScalingStatus, Stabilize, Steps,
};
pub use schedule::{
    TaskCause, TaskMissed, TaskOverlap, TaskRun, TaskSchedule, TaskStatus, TerminalRequest,
    TerminalSize,
};
pub use status::{ProcessState, ProcessStatus, Role, Route, RowKind, SystemState, SystemStatus};
pub use terminal::{InvalidFrame, TERMINAL_PROTOCOL, TerminalFrame, TerminalFrames};
