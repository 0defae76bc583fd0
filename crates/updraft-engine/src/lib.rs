//! Runs a system on one machine: process scopes, ports, local resources, builds,
//! supervision and logs. No daemon, no container engine.

mod artifact;
mod backoff;
mod board;
mod build;
mod durable;
mod engine;
pub mod environment;
mod gates;
pub mod logs;
mod memory;
mod ports;
mod probe;
mod replica;
mod resource;
mod scaler;
mod schedule;
mod scope;
mod state_dir;
mod wire;

pub use artifact::{
    Artifact, ArtifactError, ArtifactRequest, CannotCompare, Comparison, Made, Revision, compare,
};
pub use build::{
    BuildError, BuildRequest, BuildStep, Built, Conditions, Cut, Digest, Network, NotBuilt,
    Progress, RunningBuild, Variation, Verified, build, copy_system,
};
pub use engine::{
    Changes, CommandError, Engine, ErrorClass, Options, RollOut, RollOutOptions, RunTarget,
    ServiceTarget, Source, StartError, StopOptions, StopReport, TerminalInput,
};
pub use memory::{MemoryError, Remembered};
pub use ports::PortError;
pub use resource::{
    AttachError, Attachments, InvalidUrl, NotReady, Planner, Programs, ResourceError, ResourcePlan,
    ResourceUrl, ServerPlan, ServerReady,
};
pub use schedule::{TaskBook, TaskBookError};
pub use scope::{
    CommandPlan, Confinement, Exit, FileRules, Output, ProcessId, SCOPE_VARIABLE, Scope,
    ScopeError, Scopes, StopSignal, guard_main, remove_folder,
};
pub use state_dir::{StateDir, StateDirError, StateLock};
