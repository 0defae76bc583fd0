//! What an audit says: findings, each with its evidence, and what follows for the factors.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::ProbeId;
use crate::verdict::{Factor, Shape, Tier, Verdict};

/// The form of [`Report`]; another number when something in it changes its meaning.
pub const SCHEMA: &str = "updraft.check/1";

/// The whole audit of a program, or of all processes of a system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was audited.
    pub target: Target,
    /// The version of Updraft.
    pub version: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What the machine offered.
    pub machine: Machine,
    /// What holds for each factor.
    pub factors: Vec<FactorResult>,
    /// Every probe, in the order of the catalogue.
    pub probes: Vec<Finding>,
    /// What more can be had from the next audit, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// What was audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The system of the manifest, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The programs: `SERVICE.PROCESS`, or the command as it was given.
    pub programs: Vec<Program>,
}

/// One program that was audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// `SERVICE.PROCESS`, or the name of the program.
    pub name: String,
    /// What was run.
    pub command: Vec<String>,
    /// The folder it ran in.
    pub folder: String,
    /// The shape it is deployed in: a failure in the other one is a warning to its factor.
    pub deployed: Shape,
}

/// What the machine offered to the probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The tiers that work here.
    pub tiers: Vec<Tier>,
    /// Why a tier does not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// Whether programs could reach what the machine reaches: this was allowed, or none of them
    /// could have a network of its own.
    #[serde(default)]
    pub egress: bool,
    /// How many programs ran at a time.
    pub lanes: usize,
}

/// What holds for one factor, of all programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorResult {
    /// Its number, or letter.
    pub id: Factor,
    /// Its name.
    pub name: String,
    /// The worst of what its probes say, those of the shape that is not deployed counting as
    /// warnings.
    pub verdict: Verdict,
    /// One sentence: what decided.
    pub evidence: String,
}

/// What one probe says of one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which probe.
    pub id: ProbeId,
    /// Which program, by its name.
    pub program: String,
    /// In which shape; `null` where it does not matter.
    pub shape: Option<Shape>,
    /// What it says.
    pub verdict: Verdict,
    /// One sentence: what was seen.
    pub evidence: String,
    /// One line that shows the same when pasted into a shell.
    pub reproducer: Option<String>,
    /// What was needed of the machine.
    pub tier: Tier,
    /// The trials, each with what happened when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// Why it was waived, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverNote>,
}

/// Why a finding is waived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverNote {
    /// The verdict without the waiver.
    pub instead_of: Verdict,
    /// The reason that was given.
    pub because: String,
    /// The last day it holds, `2027-03-01`.
    pub until: String,
}

/// One trial of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What it says alone.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What happened when.
    pub timeline: Vec<Moment>,
    /// Measured values by name, for `--derive` and for comparison.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Fact>,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// A number, in the unit that the name ends in.
    Number(f64),
    /// Names or paths.
    List(Vec<String>),
}

/// Something that happened in a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since the trial began.
    pub at_ms: f64,
    /// Whose doing it is.
    pub lane: Lane,
    /// What happened.
    pub what: String,
}

/// Whose doing a moment of a timeline is; also the line it is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The audit does something to the program: a signal, a fault.
    Audit,
    /// A client of the program.
    Client,
    /// The program: its processes, sockets and files.
    Program,
    /// What it writes.
    Output,
    /// A resource, or the wire to it.
    Resource,
}

impl Moment {
    /// One at a time since the beginning.
    #[must_use]
    pub fn new(at: Duration, lane: Lane, what: impl Into<String>) -> Self {
        Self { at_ms: (at.as_secs_f64() * 1e6).round() / 1e3, lane, what: what.into() }
    }
}
