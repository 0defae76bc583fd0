//! Runs a system on one machine: process scopes, ports, local resources, builds,
//! supervision and logs. No daemon, no container engine.

mod backoff;
mod board;
mod build;
mod durable;
mod engine;
pub mod environment;
pub mod logs;
mod ports;
mod probe;
mod replica;
mod resource;
mod scope;
mod state_dir;
mod wire;

pub use build::{BuildError, BuildRequest, BuildStep, Built, Digest, Progress, RunningBuild};
pub use engine::{
    Changes, CommandError, Engine, ErrorClass, Options, RollOut, RollOutOptions, RunTarget,
    ServiceTarget, Source, StartError, StopOptions, StopReport,
};
pub use ports::PortError;
pub use resource::{
    AttachError, Attachments, InvalidUrl, NotReady, Planner, Programs, ResourceError, ResourcePlan,
    ResourceUrl, ServerPlan, ServerReady,
};
pub use scope::{
    CommandPlan, Exit, Output, ProcessId, SCOPE_VARIABLE, Scope, ScopeError, Scopes, StopSignal,
    guard_main, remove_folder,
};
pub use state_dir::{StateDir, StateDirError, StateLock};
