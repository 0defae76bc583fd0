//! Waivers: somebody takes responsibility for a finding, with a reason and until a day.

use jiff::civil::Date;

use crate::catalogue::ProbeId;
use crate::report::{Finding, WaiverNote};
use crate::verdict::Verdict;

/// A finding that somebody takes responsibility for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The probe.
    pub id: ProbeId,
    /// Why.
    pub because: String,
    /// The last day it holds.
    pub until: Date,
    /// For this program only; else for all.
    pub program: Option<String>,
}

/// Waives the findings that the waivers are for, and says which of these are of no use: one
/// sentence each, for [`Report::hints`](crate::Report::hints).
///
/// A waiver holds until the end of its last day; `today` is the day where the caller is. What
/// could not be seen is never waived, and neither is what holds.
#[must_use = "a waiver that is of no use should be taken away by a person"]
pub fn waive(findings: &mut [Finding], waivers: &[Waiver], today: Date) -> Vec<String> {
    let hints = waivers.iter().filter_map(|waiver| waiver.hint(findings)).collect();
    for finding in findings {
        // Of several the one that holds longest.
        let waiver = waivers.iter().filter(|waiver| waiver.is_for(finding));
        if let Some(waiver) = waiver.max_by_key(|waiver| waiver.until)
            && can_be_waived(finding.verdict)
        {
            waiver.apply(finding, today);
        }
    }
    hints
}

const fn can_be_waived(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Flaky)
}

impl Waiver {
    fn is_for(&self, finding: &Finding) -> bool {
        let program = self.program.as_ref().is_none_or(|program| *program == finding.program);
        finding.id == self.id && program
    }

    fn apply(&self, finding: &mut Finding, today: Date) {
        let until = self.until.to_string();
        if today > self.until {
            finding.evidence = format!("{} (A waiver expired on {until}.)", finding.evidence);
            return;
        }
        finding.waiver =
            Some(WaiverNote { instead_of: finding.verdict, because: self.because.clone(), until });
        finding.verdict = Verdict::Waived;
    }

    /// Why it is of no use, where it is not.
    fn hint(&self, findings: &[Finding]) -> Option<String> {
        let place = self.program.as_ref().map(|program| format!(" for {program}"));
        let name = format!("The waiver of {}{}", self.id, place.unwrap_or_default());
        let verdicts: Vec<_> = findings
            .iter()
            .filter(|finding| self.is_for(finding))
            .map(|finding| finding.verdict)
            .collect();
        if verdicts.is_empty() {
            return Some(format!(
                "{name} matches nothing: the probe was not asked, or there is no such program."
            ));
        }
        if verdicts.iter().any(|one| can_be_waived(*one) || *one == Verdict::Waived) {
            return None;
        }
        if verdicts.contains(&Verdict::Unknown) {
            return Some(format!("{name} does nothing: what could not be seen is never waived."));
        }
        Some(format!("{name} is no longer needed: take it away."))
    }
}

#[cfg(test)]
#[path = "waiver_tests.rs"]
mod tests;
