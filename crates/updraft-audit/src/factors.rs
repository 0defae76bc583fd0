//! What follows from the findings: for the factors, for the summary, for the exit status.
//!
//! A factor has the worst of what its probes say of the deployed shape, in the order
//! `fail > flaky > warn > unknown > waived > pass`; facts, and what does not apply, do not count
//! beside these. What a probe says of the other shape counts at most as a warning, and proves
//! nothing: where only the other shape was judged, the factor is `unknown`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::catalogue::ProbeId;
use crate::report::{FactorResult, Finding, Report};
use crate::verdict::{Factor, Shape, Verdict};

/// What a finding means for its factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement<'a> {
    pub(crate) finding: &'a Finding,
    /// As what it counts.
    pub(crate) counts: Verdict,
    /// Why it counts otherwise than it says.
    pub(crate) turned: Option<Turned>,
}

/// Why a finding counts otherwise than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// It is of the shape that is not deployed.
    OtherShape,
    /// The deployed shape was not judged by this probe at all.
    DeployedUnseen(Shape),
}

/// How much a verdict weighs among those of one factor; the heaviest decides.
pub(crate) const fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 7,
        Verdict::Flaky => 6,
        Verdict::Warn => 5,
        Verdict::Unknown => 4,
        Verdict::Waived => 3,
        Verdict::Pass => 2,
        Verdict::Info => 1,
        Verdict::NotApplicable => 0,
    }
}

/// The findings that count, in their order. `deployed` knows the shape of a program; `None`
/// where it does not, and then every shape counts in full.
pub(crate) fn judgements<'a>(
    probes: &'a [Finding],
    deployed: impl Fn(&str) -> Option<Shape>,
) -> Vec<Judgement<'a>> {
    let in_full = |finding: &Finding| {
        let deployed = deployed(&finding.program);
        finding.shape.is_none() || deployed.is_none() || finding.shape == deployed
    };
    let seen: BTreeSet<(&str, ProbeId)> = probes
        .iter()
        .filter(|finding| in_full(finding))
        .map(|finding| (finding.program.as_str(), finding.id))
        .collect();
    let mut judgements = Vec::with_capacity(probes.len());
    for finding in probes {
        if in_full(finding) {
            judgements.push(Judgement { finding, counts: finding.verdict, turned: None });
            continue;
        }
        let counts = match finding.verdict {
            Verdict::Fail | Verdict::Flaky | Verdict::Warn => Some(Verdict::Warn),
            Verdict::Waived => Some(Verdict::Waived),
            Verdict::Pass | Verdict::Info | Verdict::NotApplicable | Verdict::Unknown => None,
        };
        let turned = Some(Turned::OtherShape);
        judgements.extend(counts.map(|counts| Judgement { finding, counts, turned }));
        if !seen.contains(&(finding.program.as_str(), finding.id))
            && let Some(shape) = deployed(&finding.program)
        {
            let turned = Some(Turned::DeployedUnseen(shape));
            judgements.push(Judgement { finding, counts: Verdict::Unknown, turned });
        }
    }
    judgements
}

/// What holds for each factor. The twelve are always there: one of which no probe was asked is
/// `unknown`. Those beside the twelve are there when they were asked.
#[must_use]
pub fn factors(probes: &[Finding], deployed: impl Fn(&str) -> Shape) -> Vec<FactorResult> {
    let judgements = judgements(probes, |program| Some(deployed(program)));
    let mut programs: Vec<_> = probes.iter().map(|finding| finding.program.as_str()).collect();
    programs.sort_unstable();
    programs.dedup();
    let several = programs.len() > 1;
    let of =
        |factor: Factor| judgements.iter().filter(move |one| one.finding.id.factor() == factor);
    let asked = Factor::ALL
        .into_iter()
        .filter(|factor| factor.is_of_the_twelve() || of(*factor).next().is_some());
    asked.map(|factor| result(factor, &of(factor).collect::<Vec<_>>(), several)).collect()
}

fn result(factor: Factor, judgements: &[&Judgement<'_>], several: bool) -> FactorResult {
    // Of equals the first, as `max_by_key` would give the last.
    let worst = judgements.iter().min_by_key(|one| Reverse(weight(one.counts)));
    let (verdict, evidence) = match worst {
        Some(worst) => {
            let same: Vec<_> = judgements.iter().filter(|one| one.counts == worst.counts).collect();
            let ids: BTreeSet<ProbeId> = same.iter().map(|one| one.finding.id).collect();
            let evidence = match worst.counts {
                Verdict::Pass => holding(&ids),
                _ => worst.sentence(several, same.len() - 1),
            };
            (worst.counts, evidence)
        }
        None => (Verdict::Unknown, "None of its probes was asked.".to_owned()),
    };
    FactorResult { id: factor, name: factor.name().to_owned(), verdict, evidence }
}

fn holding(ids: &BTreeSet<ProbeId>) -> String {
    let ids: Vec<_> = ids.iter().map(|id| id.as_str()).collect();
    match ids.as_slice() {
        [] => String::new(),
        [one] => format!("{one} holds."),
        [first @ .., last] => format!("{} and {last} hold.", first.join(", ")),
    }
}

impl Judgement<'_> {
    /// Which probe decided and what it saw; `others` more say the same.
    fn sentence(&self, several: bool, others: usize) -> String {
        let finding = self.finding;
        let mut text = finding.id.to_string();
        if several {
            text.push_str(&format!(" of {}", finding.program));
        }
        if let Some(shape) = finding.shape {
            text.push_str(&format!(" {}", in_words(shape)));
        }
        match self.turned {
            Some(Turned::OtherShape) => text.push_str(", as which it is not deployed"),
            Some(Turned::DeployedUnseen(shape)) => {
                return format!("{text} was judged, but not {}.", in_words(shape));
            }
            None => {}
        }
        if others > 0 {
            text.push_str(&format!(" (and {others} more)"));
        }
        format!("{text}: {}", self.evidence())
    }

    /// The shape it speaks of.
    pub(crate) fn shape(&self) -> Option<Shape> {
        match self.turned {
            Some(Turned::DeployedUnseen(shape)) => Some(shape),
            Some(Turned::OtherShape) | None => self.finding.shape,
        }
    }

    /// Whether it is the finding itself, and not that there should be another one.
    pub(crate) fn is_own(&self) -> bool {
        !matches!(self.turned, Some(Turned::DeployedUnseen(_)))
    }

    /// What was seen, or why the finding was waived.
    pub(crate) fn evidence(&self) -> String {
        match (self.turned, &self.finding.waiver) {
            (Some(Turned::DeployedUnseen(shape)), _) => {
                format!("It was not judged {}, as which the program is deployed.", in_words(shape))
            }
            (_, Some(note)) => format!("waived until {}: {}", note.until, note.because),
            (_, None) => self.finding.evidence.clone(),
        }
    }
}

/// `as a child`, `as PID 1`.
pub(crate) const fn in_words(shape: Shape) -> &'static str {
    match shape {
        Shape::Child => "as a child",
        Shape::Pid1 => "as PID 1",
    }
}

impl Report {
    /// In which shape a program is deployed, where it is among those that were audited.
    #[must_use]
    pub fn deployed(&self, program: &str) -> Option<Shape> {
        self.target.programs.iter().find(|one| one.name == program).map(|one| one.deployed)
    }

    /// Its findings that count.
    pub(crate) fn judgements(&self) -> Vec<Judgement<'_>> {
        judgements(&self.probes, |program| self.deployed(program))
    }
}

/// One line: how many of the twelve are proven, and what the others are; never a percentage.
#[must_use]
pub fn summary(report: &Report) -> String {
    let twelve = || report.factors.iter().filter(|factor| factor.id.is_of_the_twelve());
    let mut parts = Vec::new();
    for (verdict, words) in [
        (Verdict::Pass, "proven"),
        (Verdict::Fail, "failed"),
        (Verdict::Flaky, "flaky"),
        (Verdict::Warn, "with warnings"),
        (Verdict::Waived, "waived"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Info, "with facts only"),
        (Verdict::NotApplicable, "not applicable"),
    ] {
        let count = twelve().filter(|factor| factor.verdict == verdict).count();
        let until = match verdict {
            Verdict::Waived => first_end(report).map(|day| format!(" (until {day})")),
            _ => None,
        };
        // That nothing is proven is said as well.
        if count > 0 || verdict == Verdict::Pass {
            parts.push(format!("{count} {words}{}", until.unwrap_or_default()));
        }
    }
    let beside = report.factors.iter().filter(|factor| !factor.id.is_of_the_twelve());
    let troubled: Vec<_> = beside
        .filter(|factor| weight(factor.verdict) > weight(Verdict::Pass))
        .map(|factor| format!("{} {}", factor.name.to_lowercase(), factor.verdict))
        .collect();
    let mut line = parts.join(", ");
    if !troubled.is_empty() {
        line.push_str(&format!("; beside the twelve: {}", troubled.join(", ")));
    }
    line
}

/// The day on which the first waiver of a waived factor ends.
fn first_end(report: &Report) -> Option<&str> {
    let waived = |finding: &&Finding| {
        let factor = finding.id.factor();
        report.factors.iter().any(|one| one.id == factor && one.verdict == Verdict::Waived)
    };
    let notes = report.probes.iter().filter(waived).filter_map(|finding| finding.waiver.as_ref());
    // Dates of ISO 8601 are in the order of their letters.
    notes.map(|note| note.until.as_str()).min()
}

/// How an audit ends for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing failed.
    Ok,
    /// Something failed in the shape that is deployed.
    Failed,
    /// Nothing failed, and not everything that was asked could be seen.
    Unknown,
}

impl Exit {
    /// The status of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Unknown => 3,
        }
    }
}

/// How the audit ends: a failure in the deployed shape fails it, a flaky probe and a warning do
/// not. When `strict`, something that was asked and could not be seen is [`Exit::Unknown`], and
/// so is an audit that asked nothing.
#[must_use]
pub fn exit(report: &Report, strict: bool) -> Exit {
    let judgements = report.judgements();
    let any = |verdict| judgements.iter().any(|one| one.counts == verdict);
    if any(Verdict::Fail) {
        Exit::Failed
    } else if strict && (any(Verdict::Unknown) || judgements.is_empty()) {
        Exit::Unknown
    } else {
        Exit::Ok
    }
}

#[cfg(test)]
#[path = "factors_tests.rs"]
mod tests;
