//! Everything that is known of health, for people: it is shown on the admin listener only.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Health, Probe, lock};
use crate::drain::Phase;

/// The body of `GET /health`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    live: bool,
    started: bool,
    ready: bool,
    /// Why it is not ready, or not live.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    why: Vec<Cow<'static, str>>,
    phase: Phase,
    phases: Vec<PhaseReport>,
    conditions: Vec<ConditionReport>,
    attachments: Vec<AttachmentReport>,
}

#[derive(Debug, Serialize)]
struct PhaseReport {
    phase: Phase,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct ConditionReport {
    name: &'static str,
    met: bool,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Cow<'static, str>>,
}

/// One attachment, in `GET /health` and `GET /attachments`.
#[derive(Debug, Serialize)]
pub(crate) struct AttachmentReport {
    name: &'static str,
    variable: &'static str,
    kind: &'static str,
    location: String,
    /// `up`, `down`, or `unknown` before the first check.
    state: &'static str,
    gates_readiness: bool,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Timestamp>,
    check_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl Health {
    pub(crate) fn report(&self) -> Report {
        let dead = self.objections(Probe::Live);
        let unready = self.objections(Probe::Ready);
        let conditions = lock(&self.shared.conditions);
        Report {
            live: dead.is_empty(),
            started: self.objections(Probe::Startup).is_empty(),
            ready: unready.is_empty(),
            why: dead.into_iter().chain(unready).collect(),
            phase: self.phase(),
            phases: self
                .phases()
                .into_iter()
                .map(|(phase, span)| PhaseReport { phase, seconds: span.as_secs_f64() })
                .collect(),
            conditions: conditions
                .iter()
                .map(|condition| {
                    let (since, why) = condition.state();
                    ConditionReport { name: condition.name(), met: why.is_none(), since, why }
                })
                .collect(),
            attachments: self.attachments(),
        }
    }

    /// What is attached, without secrets, in the order of the fields.
    pub(crate) fn attachments(&self) -> Vec<AttachmentReport> {
        let watched = lock(&self.shared.watched);
        let report = |watched: &std::sync::Arc<super::Watched>| {
            let state = watched.state();
            AttachmentReport {
                name: watched.name(),
                variable: watched.variable(),
                kind: watched.kind(),
                location: watched.location().to_owned(),
                state: match state.up() {
                    None => "unknown",
                    Some(true) => "up",
                    Some(false) => "down",
                },
                gates_readiness: watched.gates(),
                since: state.since,
                checked: state.checked,
                check_ms: state.took.as_secs_f64() * 1000.0,
                last_error: state.error,
            }
        };
        watched.iter().map(report).collect()
    }
}
