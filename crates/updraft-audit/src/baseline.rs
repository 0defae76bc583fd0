//! Comparison with an earlier audit: for a system that does not pass yet, only what became worse
//! fails.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::catalogue::ProbeId;
use crate::factors::{Exit, Judgement, in_words};
use crate::report::{Report, SCHEMA};
use crate::verdict::{Shape, Verdict};

/// An earlier audit cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is no report.
    #[error("the baseline is no report of `updraft check --format json`; write it anew with it")]
    Unreadable(#[source] serde_json::Error),
    /// It is one of another version.
    #[error(
        "the baseline is of the schema `{found}`, and this Updraft reads `{SCHEMA}`; write it \
         anew with `updraft check --format json`"
    )]
    OtherSchema {
        /// What it says it is.
        found: String,
    },
}

/// Reads an earlier audit from its JSON.
///
/// # Errors
/// When it is no report, or one of another schema.
pub fn read_baseline(text: &str) -> Result<Report, BaselineError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    // The schema first: another one may have another form.
    let head: Head = serde_json::from_str(text).map_err(BaselineError::Unreadable)?;
    if head.schema != SCHEMA {
        return Err(BaselineError::OtherSchema { found: head.schema });
    }
    serde_json::from_str(text).map_err(BaselineError::Unreadable)
}

/// What a probe said of a program, then and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which probe.
    pub id: ProbeId,
    /// Of which program.
    pub program: String,
    /// In which shape.
    pub shape: Option<Shape>,
    /// What it said; `None` where it was not asked, or there was no such program.
    pub before: Option<Verdict>,
    /// What it says now; the other shape than the deployed one at most warns.
    pub now: Verdict,
    /// What was seen now.
    pub evidence: String,
}

/// How an audit differs from an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What became worse, and what is new and fails.
    pub regressions: Vec<Change>,
    /// What did not hold and holds now.
    pub mended: Vec<Change>,
    /// What was seen and can no longer be seen: no regression, as nobody knows, and no pass.
    pub unseen: Vec<Change>,
}

type Key<'a> = (&'a str, ProbeId, Option<Shape>);

/// Compares an audit with an earlier one.
#[must_use]
pub fn compare(earlier: &Report, now: &Report) -> Comparison {
    let before = counted(earlier);
    let mut comparison = Comparison::default();
    for (key, judgement) in counted(now) {
        let before = before.get(&key).map(|judgement| judgement.counts);
        let Some(list) = comparison.list(before, judgement.counts) else { continue };
        list.push(Change {
            id: key.1,
            program: key.0.to_owned(),
            shape: key.2,
            before,
            now: judgement.counts,
            evidence: judgement.evidence(),
        });
    }
    comparison
}

/// What each probe counts as, by program.
fn counted(report: &Report) -> BTreeMap<Key<'_>, Judgement<'_>> {
    // What could not be seen counts in the deployed shape only, and is among the judgements.
    let known = report.probes.iter().filter(|finding| finding.verdict != Verdict::Unknown);
    let own = known.map(|finding| Judgement { finding, counts: finding.verdict, turned: None });
    // What is turned into a warning is compared as such.
    let counting = report.judgements().into_iter().filter(Judgement::is_own);
    own.chain(counting)
        .map(|one| {
            let finding = one.finding;
            ((finding.program.as_str(), finding.id, finding.shape), one)
        })
        .collect()
}

/// How bad it is; `None` where nothing is known.
const fn badness(verdict: Verdict) -> Option<u8> {
    match verdict {
        Verdict::Pass | Verdict::Info | Verdict::NotApplicable => Some(0),
        // Somebody has taken responsibility: no regression until it ends.
        Verdict::Waived => Some(0),
        Verdict::Warn => Some(1),
        Verdict::Flaky => Some(2),
        Verdict::Fail => Some(3),
        Verdict::Unknown => None,
    }
}

impl Comparison {
    fn list(&mut self, before: Option<Verdict>, now: Verdict) -> Option<&mut Vec<Change>> {
        let known = before.and_then(badness);
        match (known, badness(now)) {
            (Some(_), None) => Some(&mut self.unseen),
            (Some(before), Some(now)) if now > before => Some(&mut self.regressions),
            (Some(1..), Some(0)) if now != Verdict::Waived => Some(&mut self.mended),
            (Some(0), Some(0)) if before == Some(Verdict::Waived) && now != Verdict::Waived => {
                Some(&mut self.mended)
            }
            (None, _) if now == Verdict::Fail => Some(&mut self.regressions),
            _ => None,
        }
    }

    /// How the audit ends: only a regression fails it, and when `strict`, what can no longer be
    /// seen is [`Exit::Unknown`].
    #[must_use]
    pub const fn exit(&self, strict: bool) -> Exit {
        if !self.regressions.is_empty() {
            Exit::Failed
        } else if strict && !self.unseen.is_empty() {
            Exit::Unknown
        } else {
            Exit::Ok
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self == &Self::default() {
            return f.write_str("As in the baseline.");
        }
        let lists = [
            ("Worse than the baseline", &self.regressions),
            ("No longer seen", &self.unseen),
            ("Mended", &self.mended),
        ];
        let told = lists.into_iter().filter(|(_, changes)| !changes.is_empty());
        for (at, (title, changes)) in told.enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            write!(f, "{gap}{title}: {}", changes.len())?;
            changes.iter().try_for_each(|change| write!(f, "\n  {change}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.program)?;
        if let Some(shape) = self.shape {
            write!(f, " {}", in_words(shape))?;
        }
        match self.before {
            Some(before) => write!(f, ": {before}, now {}", self.now)?,
            None => write!(f, ": new, {}", self.now)?,
        }
        write!(f, ": {}", self.evidence)
    }
}

#[cfg(test)]
#[path = "baseline_tests.rs"]
mod tests;
