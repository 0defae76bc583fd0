//! The twelve factors, executable: `updraft check` runs a program of any language, does to it
//! what a platform does, and says for each factor what was seen.
//!
//! Its credibility dies with the first wrong `fail`. So each probe first judges two programs
//! of our own, one known good and one known bad, on this machine and in this minute; a failure
//! is repeated three times before it is said; and what could not be seen is `unknown`, which is
//! never a pass.

mod baseline;
mod build;
mod catalogue;
mod check;
mod control;
mod derive;
#[cfg(test)]
mod example;
mod explain;
mod factors;
pub mod facts;
pub mod format;
mod hold;
mod journey;
mod judge;
mod lab;
mod launch;
mod probe;
mod report;
mod role;
mod seen;
mod source;
mod subject;
mod verdict;
mod waiver;

pub use baseline::{BaselineError, Change, Comparison, compare, read_baseline};
pub use build::CannotBuild;
pub use catalogue::{Language, PROBES, Probe, ProbeId, Text, Texts, UnknownProbe};
pub use check::{Audit, Progress, Request};
pub use derive::{OBSERVED_SCHEMA, Observed, ObservedProgram, Replicas, derive};
pub use explain::{explain, index, page};
pub use factors::{Exit, exit, factors, summary};
pub use judge::JudgedControl;
pub use lab::{Feature, LabError};
pub use report::{
    Fact, FactorResult, Finding, Lane, Machine, Moment, Program, Report, SCHEMA, Target, Trial,
    WaiverNote,
};
pub use role::role_main;
pub use source::{Deploy, Deployed, Variable};
pub use subject::steps::{InvalidJourney, journey_from_json};
pub use subject::system::BuiltSystem;
pub use subject::{
    AdminTask, Ask, Building, Dependency, DependencyKind, Jobs, Serves, Step, Subject,
};
pub use verdict::{Factor, Shape, Tier, Verdict};
pub use waiver::{Waiver, waive};
