//! The document is well-formed, and only a failure is a failure.

use proptest::prelude::*;

use super::*;
use crate::catalogue::ProbeId;
use crate::example::{finding, report, report_of, texts};

#[test]
fn the_document_is_whole() {
    insta::assert_snapshot!(junit(&report(), &texts()));
}

fn of(shape: Shape, verdict: Verdict) -> String {
    junit(&report_of(vec![finding(ProbeId::IxDrain, "a", Some(shape), verdict)]), &texts())
}

#[test]
fn only_a_failure_is_one_and_what_was_not_seen_is_skipped_with_its_reason() {
    for (verdict, failures, skipped) in [
        (Verdict::Fail, 1, 0),
        (Verdict::Flaky, 0, 0),
        (Verdict::Warn, 0, 0),
        (Verdict::Pass, 0, 0),
        (Verdict::Info, 0, 0),
        (Verdict::Unknown, 0, 1),
        (Verdict::Waived, 0, 1),
        (Verdict::NotApplicable, 0, 1),
    ] {
        let xml = of(Shape::Child, verdict);
        assert_eq!(xml.matches("<failure ").count(), failures, "{verdict}");
        assert_eq!(xml.matches("<skipped ").count(), skipped, "{verdict}");
        let counts = format!("failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"");
        assert_eq!(xml.matches(&counts).count(), 2, "{xml}");
        assert!(xml.contains(&format!("name=\"verdict\" value=\"{verdict}\"")), "{xml}");
        assert!(xml.contains("IX.drain of a was seen"), "the evidence is in each: {xml}");
    }
}

#[test]
fn a_pass_of_the_other_shape_comes_with_a_skipped_case_of_the_deployed_one() {
    let xml = of(Shape::Pid1, Verdict::Pass);
    assert!(xml.contains("tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("name=\"IX.drain as a child\""), "{xml}");
    assert!(xml.contains("name=\"IX.drain as PID 1\""), "{xml}");
}

/// Whether tags close in the order they open, and every attribute is in quotes.
fn is_well_formed(xml: &str) -> bool {
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let Some((tag, text)) = tag.split_once('>') else { return false };
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        if text.contains('"') || tag.matches('"').count() % 2 != 0 {
            return false;
        }
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with(['/', '?']) {
            open.push(name);
        }
    }
    open.is_empty()
}

proptest! {
    #[test]
    fn no_evidence_breaks_the_document(evidence in "(?s).{0,60}", at in 0..8_usize) {
        let mut one = finding(ProbeId::IxDrain, "a", None, Verdict::ALL[at]);
        one.evidence.clone_from(&evidence);
        one.program.clone_from(&evidence);
        one.reproducer = Some(evidence);
        let xml = junit(&report_of(vec![one]), &texts());
        prop_assert!(is_well_formed(&xml), "{}", xml);
        // XML 1.0, section 2.2.
        let can_be_held = |letter| matches!(letter,
            '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        let all = xml.chars().all(can_be_held);
        prop_assert!(all, "{}", xml);
    }
}
