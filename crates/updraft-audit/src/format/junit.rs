//! JUnit XML, for what shows the tests of a build: a suite for each factor, a case for each
//! probe of each program.
//!
//! Only a failure is one; what could not be seen, and what is waived, is skipped with its reason;
//! what warns passes and says so in its output.

use super::text::{printable, quoted, title};
use crate::catalogue::Texts;
use crate::factors::{Judgement, in_words};
use crate::report::{Finding, Report};
use crate::verdict::{Factor, Shape, Verdict};

/// The report as one XML document.
#[must_use]
pub fn junit(report: &Report, texts: &Texts) -> String {
    let cases = cases(report);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str(&format!(
        "<testsuites name=\"updraft check\" {} time=\"{:.3}\">\n",
        counts(&cases.iter().collect::<Vec<_>>()),
        report.seconds
    ));
    for factor in Factor::ALL {
        let ours: Vec<_> = cases.iter().filter(|case| case.finding.id.factor() == factor).collect();
        if !ours.is_empty() {
            suite(&mut xml, factor, &ours, report, texts);
        }
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// A probe of a program, and as what it counts.
struct Case<'a> {
    finding: &'a Finding,
    shape: Option<Shape>,
    verdict: Verdict,
    counts: Verdict,
    evidence: String,
}

/// Each finding once: as what it counts where it does, else as what it says. That the deployed
/// shape was not judged is a case of its own.
fn cases(report: &Report) -> Vec<Case<'_>> {
    let judgements = report.judgements();
    let own = report.probes.iter().filter(|finding| {
        !judgements.iter().any(|one| one.is_own() && std::ptr::eq(one.finding, *finding))
    });
    let own = own.map(|finding| Case {
        finding,
        shape: finding.shape,
        verdict: finding.verdict,
        counts: finding.verdict,
        evidence: finding.evidence.clone(),
    });
    let counting = judgements.iter().map(|one: &Judgement<'_>| Case {
        finding: one.finding,
        shape: one.shape(),
        verdict: if one.is_own() { one.finding.verdict } else { one.counts },
        counts: one.counts,
        evidence: one.evidence(),
    });
    let mut cases: Vec<_> = counting.chain(own).collect();
    cases.sort_by_key(|case| {
        report.probes.iter().position(|finding| std::ptr::eq(finding, case.finding))
    });
    cases
}

fn counts(cases: &[&Case<'_>]) -> String {
    let failures = cases.iter().filter(|case| case.counts == Verdict::Fail).count();
    let skipped = cases.iter().filter(|case| is_skipped(case.counts)).count();
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"", cases.len())
}

const fn is_skipped(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Unknown | Verdict::Waived | Verdict::NotApplicable)
}

fn suite(xml: &mut String, factor: Factor, cases: &[&Case<'_>], report: &Report, texts: &Texts) {
    let seconds = cases.iter().fold(0.0, |sum, case| sum + seconds(case.finding));
    xml.push_str(&format!(
        "  <testsuite name=\"{factor} {}\" {} time=\"{seconds:.3}\" timestamp=\"{}\">\n",
        quoted(factor.name()),
        counts(cases),
        quoted(&report.started),
    ));
    for one in cases {
        case(xml, one, texts);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, case: &Case<'_>, texts: &Texts) {
    let finding = case.finding;
    let shape = case.shape.map(|shape| format!(" {}", in_words(shape)));
    xml.push_str(&format!(
        "    <testcase classname=\"{}\" name=\"{}{}\" time=\"{:.3}\">\n",
        quoted(&finding.program),
        finding.id,
        shape.unwrap_or_default(),
        seconds(finding),
    ));
    xml.push_str(&format!(
        "      <properties><property name=\"verdict\" value=\"{}\"/>\
         <property name=\"title\" value=\"{}\"/></properties>\n",
        case.verdict,
        quoted(title(texts, finding.id)),
    ));
    let evidence = quoted(&case.evidence);
    match case.counts {
        Verdict::Fail => xml.push_str(&format!(
            "      <failure type=\"{}\" message=\"{evidence}\">{}</failure>\n",
            finding.id,
            quoted(&details(case)),
        )),
        counts if is_skipped(counts) => {
            // The evidence of a waiver says that it is one, and until when.
            let said = if counts == Verdict::Waived { "" } else { counts.as_str() };
            let gap = if said.is_empty() { "" } else { ": " };
            let text = quoted(&finding.evidence);
            xml.push_str(&format!(
                "      <skipped message=\"{said}{gap}{evidence}\">{text}</skipped>\n"
            ));
        }
        counts => {
            let turned = if counts == case.verdict {
                String::new()
            } else {
                format!(" ({}, but it is not deployed so)", case.verdict)
            };
            let text = quoted(&format!("{counts}{turned}: {}", details(case)));
            xml.push_str(&format!("      <system-out>{text}</system-out>\n"));
        }
    }
    xml.push_str("    </testcase>\n");
}

fn details(case: &Case<'_>) -> String {
    let mut text = printable(&case.evidence);
    if let Some(line) = &case.finding.reproducer {
        text.push_str(&format!(" Shown by: {}", printable(line)));
    }
    text
}

/// How long its trials took.
fn seconds(finding: &Finding) -> f64 {
    let ends = finding.trials.iter().map(|trial| {
        let moments = trial.timeline.iter().map(|moment| moment.at_ms);
        moments.filter(|ms| ms.is_finite()).fold(0.0, f64::max)
    });
    // The sum of no numbers is -0.
    ends.fold(0.0, |sum, end| sum + end) / 1e3
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
