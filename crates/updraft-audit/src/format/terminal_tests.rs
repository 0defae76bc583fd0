//! What stands where on a terminal, and that no program can paint it.

use proptest::prelude::*;

use super::*;
use crate::catalogue::ProbeId;
use crate::example::{finding, report, report_of, texts};
use crate::verdict::Shape;

const LOOK: Look = Look { width: 100, colour: false, unicode: true };

fn shown(report: &Report, look: Look) -> String {
    terminal(report, &texts(), look)
}

#[test]
fn what_has_to_be_mended_comes_first_and_the_rest_in_a_table() {
    insta::assert_snapshot!(shown(&report(), LOOK));
}

#[test]
fn a_narrow_terminal_without_unicode_is_served_too() {
    let text = shown(&report(), Look { width: 60, unicode: false, ..LOOK });
    let ours = text.lines().filter(|line| !line.contains("GET") && !line.contains("show"));
    for line in ours {
        assert!(line.is_ascii(), "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn colours_are_there_when_they_are_asked_for_and_change_no_letter() {
    let plain = shown(&report(), LOOK);
    assert!(!plain.contains('\u{1b}'));
    let coloured = shown(&report(), Look { colour: true, ..LOOK });
    assert!(coloured.contains("\u{1b}[1m\u{1b}[31m✗ fail"), "{coloured:?}");
    let mut rest = coloured.as_str();
    let mut stripped = String::new();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn the_order_is_that_of_gravity_and_the_summary_is_last() {
    let text = shown(&report(), LOOK);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in\n{text}"));
    assert!(at("✗ fail  IX") < at("≈ flaky  IV"));
    assert!(at("≈ flaky  IV") < at("▲ warn  S"));
    assert!(at("▲ warn  S") < at("Not seen"));
    assert_eq!(text.lines().last(), Some(summary(&report()).as_str()));
}

#[test]
fn the_mend_is_in_the_language_of_the_program() {
    let text = shown(&report(), Look { width: 400, ..LOOK });
    let mend = "mend  Node: Stop the server before you end: (`updraft explain IX.drain`)";
    assert!(text.contains(mend), "{text}");
    // Nothing is told of this one.
    assert!(text.contains("mend  `updraft explain VIII.n`"), "{text}");
}

#[test]
fn one_reason_for_many_probes_is_said_once() {
    let text = shown(&report(), LOOK);
    assert_eq!(
        text.matches("ptrace(2) is refused").count(),
        2,
        "the table and the reasons\n{text}"
    );
    assert!(text.contains("? II.exec, V.nobuild: ptrace(2) is refused: EPERM."), "{text}");
}

#[test]
fn a_failure_of_the_other_shape_is_told_as_the_warning_it_is() {
    let other = finding(ProbeId::IxDrain, "a", Some(Shape::Pid1), Verdict::Fail);
    let child = finding(ProbeId::IxDrain, "a", Some(Shape::Child), Verdict::Pass);
    let text = shown(&report_of(vec![child, other]), LOOK);
    assert!(text.contains("▲ warn  IX Disposability"), "{text}");
    assert!(text.contains("a as PID 1 (not deployed so: fail counts as warn)"), "{text}");
    assert!(!text.contains('✗'), "{text}");
}

proptest! {
    #[test]
    fn no_program_acts_on_the_terminal_and_no_line_of_ours_is_too_wide(
        evidence in "(?s).{0,60}", width in 40..160_usize,
    ) {
        let mut one = finding(ProbeId::IxDrain, "a", Some(Shape::Child), Verdict::Fail);
        one.evidence.clone_from(&evidence);
        one.reproducer = Some(evidence.clone());
        one.program.clone_from(&evidence);
        let mut report = report_of(vec![one]);
        report.hints.push(evidence);
        let text = shown(&report, Look { width, ..LOOK });
        for letter in text.chars().filter(|letter| *letter != '\n') {
            prop_assert!(!letter.is_control(), "{:?}", letter);
        }
        for line in text.lines().filter(|line| line.chars().count() > width) {
            // A single word may be wider than the terminal, and what is pasted stays whole.
            let words = line.split_whitespace().count();
            prop_assert!(words <= 3 || line.contains("show  ") , "{:?}", line);
        }
    }
}
