//! What an audit has measured, for the deploy to use: `updraft check --derive`.
//!
//! Only what was seen is derived, and of a program that runs in the shape it is deployed in: a
//! value that was not measured is absent, and whoever deploys uses their own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::ProbeId;
use crate::facts;
use crate::report::{Fact, Finding, Report, Trial};
use crate::verdict::Verdict;

/// The form of [`Observed`].
pub const OBSERVED_SCHEMA: &str = "updraft.observed/1";

/// A start may take this many times the 95th percentile that was seen: a node has cold caches
/// and starts more than one program.
const START_ALLOWANCE: f64 = 3.0;
/// Least seconds that a start may take.
const START_LEAST: f64 = 5.0;
/// For how many seconds connections still come after a program was taken out of its endpoints:
/// every node learns it at its own pace.
const ENDPOINTS_SETTLE: f64 = 5.0;
/// A drain may take this many times what was seen.
const DRAIN_ALLOWANCE: f64 = 2.0;
/// Least seconds beyond the drain that was seen.
const DRAIN_LEAST_SPARE: f64 = 5.0;

/// What an audit has measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// [`OBSERVED_SCHEMA`].
    pub schema: String,
    /// The version of Updraft that measured.
    pub version: String,
    /// When the audit began, RFC 3339.
    pub observed: String,
    /// By the name of the program.
    pub programs: BTreeMap<String, ObservedProgram>,
}

/// What was measured of one program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedProgram {
    /// The 95th percentile of its starts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_p95_seconds: Option<f64>,
    /// How long a start may take: three times the percentile, at least 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_budget_seconds: Option<u64>,
    /// The 95th percentile from SIGTERM to its end, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_p95_seconds: Option<f64>,
    /// For how long it accepts new connections after SIGTERM at least, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepting_after_term_seconds: Option<f64>,
    /// For how long to wait before SIGTERM, until no more connections come: what is left of 5 s
    /// after the program itself has gone on accepting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prestop_sleep_seconds: Option<u64>,
    /// When to kill it, from the beginning of that wait: twice the drain, at least 5 s more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_seconds: Option<u64>,
    /// The most memory it was seen to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// Where it writes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub writable_paths: BTreeSet<String>,
    /// Whom it dials.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub egress: BTreeSet<String>,
    /// How many there may be, where not as many as one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
}

/// That there may be only so many of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// So many at a time.
    pub most: u32,
    /// The probe that found it.
    pub finding: ProbeId,
    /// What it saw.
    pub because: String,
}

impl Observed {
    /// As it is kept in a file: TOML, the same for the same values.
    ///
    /// # Errors
    /// When a value cannot be written in TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// What a report says about running its programs.
#[must_use]
pub fn derive(report: &Report) -> Observed {
    let programs = report.target.programs.iter();
    let programs = programs.map(|program| {
        let ours = |finding: &&Finding| {
            let shape = finding.shape.is_none_or(|shape| shape == program.deployed);
            finding.program == program.name && shape
        };
        let findings: Vec<_> = report.probes.iter().filter(ours).collect();
        (program.name.clone(), of_program(&findings))
    });
    Observed {
        schema: OBSERVED_SCHEMA.to_owned(),
        version: report.version.clone(),
        observed: report.started.clone(),
        programs: programs.collect(),
    }
}

fn of_program(findings: &[&Finding]) -> ObservedProgram {
    let trials: Vec<&Trial> = findings.iter().flat_map(|finding| &finding.trials).collect();
    let known = |trial: &&Trial| trial.verdict != Verdict::Unknown;
    // One that lost its request was quick for the wrong reason.
    let held = |trial: &&Trial| known(trial) && trial.verdict != Verdict::Fail;
    let start = p95(numbers(&trials, facts::START_P95_SECONDS, known));
    let drain = p95(numbers(&trials, facts::DRAIN_SECONDS, held));
    // The least of them: it is what one can rely on.
    let accepting = numbers(&trials, facts::ACCEPTING_AFTER_TERM_SECONDS, known);
    let accepting = accepting.into_iter().min_by(f64::total_cmp);
    let memory = numbers(&trials, facts::MEMORY_PEAK_BYTES, known);
    let memory = memory.into_iter().max_by(f64::total_cmp);
    let sleep = accepting.map(|seconds| (ENDPOINTS_SETTLE - seconds).max(0.0).ceil());
    let grace = drain.map(|seconds| {
        let allowed = (seconds * DRAIN_ALLOWANCE).max(seconds + DRAIN_LEAST_SPARE);
        allowed.ceil() + sleep.unwrap_or(ENDPOINTS_SETTLE)
    });
    ObservedProgram {
        start_p95_seconds: start.map(to_millis),
        start_budget_seconds: start
            .and_then(|seconds| whole((seconds * START_ALLOWANCE).max(START_LEAST))),
        drain_p95_seconds: drain.map(to_millis),
        accepting_after_term_seconds: accepting.map(to_millis),
        prestop_sleep_seconds: sleep.and_then(whole),
        termination_grace_seconds: grace.and_then(whole),
        memory_peak_bytes: memory.and_then(whole),
        writable_paths: names(&trials, facts::WRITTEN_PATHS),
        egress: names(&trials, facts::EGRESS),
        replicas: findings.iter().find_map(|finding| replicas(finding)),
    }
}

fn numbers(trials: &[&Trial], name: &str, counts: impl Fn(&&Trial) -> bool) -> Vec<f64> {
    let facts = trials.iter().filter(|trial| counts(trial)).map(|trial| trial.facts.get(name));
    facts
        .filter_map(|fact| match fact {
            Some(Fact::Number(value)) if value.is_finite() && *value >= 0.0 => Some(*value),
            _ => None,
        })
        .collect()
}

fn names(trials: &[&Trial], name: &str) -> BTreeSet<String> {
    let lists = trials.iter().filter_map(|trial| match trial.facts.get(name) {
        Some(Fact::List(names)) => Some(names),
        _ => None,
    });
    lists.flatten().cloned().collect()
}

/// The 95th percentile by the nearest rank: the largest of fewer than twenty.
fn p95(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * 95).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

/// More digits than that are noise, and make each audit differ.
fn to_millis(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

/// The next whole number; `None` where it has no place in one.
fn whole(value: f64) -> Option<u64> {
    // The only conversion of the standard library that looks at the bounds.
    Duration::try_from_secs_f64(value.ceil()).ok().map(|duration| duration.as_secs())
}

fn replicas(finding: &Finding) -> Option<Replicas> {
    let waived = finding.waiver.as_ref().map(|note| note.instead_of);
    // Who waives it lives with one replica; the program does not stand more for that.
    let failed = waived.unwrap_or(finding.verdict) == Verdict::Fail;
    (finding.id == ProbeId::ViiiN && failed).then(|| Replicas {
        most: 1,
        finding: finding.id,
        because: finding.evidence.clone(),
    })
}

#[cfg(test)]
#[path = "derive_tests.rs"]
mod tests;
