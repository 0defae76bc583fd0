//! Which changes are regressions, one by one.

use super::*;
use crate::example::{finding, report, report_of};
use crate::report::Report;
use Verdict::{Fail, Flaky, Info, NotApplicable, Pass, Unknown, Waived, Warn};

const ID: ProbeId = ProbeId::IxDrain;
const CHILD: Option<Shape> = Some(Shape::Child);
const PID1: Option<Shape> = Some(Shape::Pid1);

fn one(shape: Option<Shape>, verdict: Option<Verdict>) -> Report {
    report_of(verdict.into_iter().map(|verdict| finding(ID, "a", shape, verdict)).collect())
}

/// What becomes of a change: `regressed`, `mended`, `unseen`, or nothing.
fn outcome(shape: Option<Shape>, before: Option<Verdict>, now: Option<Verdict>) -> &'static str {
    let comparison = compare(&one(shape, before), &one(shape, now));
    match (
        comparison.regressions.as_slice(),
        comparison.mended.as_slice(),
        comparison.unseen.as_slice(),
    ) {
        ([_], [], []) => "regressed",
        ([], [_], []) => "mended",
        ([], [], [_]) => "unseen",
        ([], [], []) => "",
        _ => panic!("{comparison:?}"),
    }
}

#[test]
fn only_what_became_worse_is_a_regression() {
    for (before, now, expected) in [
        (Some(Pass), Some(Pass), ""),
        (Some(Pass), Some(Warn), "regressed"),
        (Some(Pass), Some(Flaky), "regressed"),
        (Some(Pass), Some(Fail), "regressed"),
        (Some(Info), Some(Warn), "regressed"),
        (Some(NotApplicable), Some(Fail), "regressed"),
        (Some(Warn), Some(Fail), "regressed"),
        (Some(Flaky), Some(Fail), "regressed"),
        (Some(Waived), Some(Fail), "regressed"),
        (Some(Unknown), Some(Fail), "regressed"),
        (None, Some(Fail), "regressed"),
        (None, Some(Warn), ""),
        (None, Some(Unknown), ""),
        (Some(Unknown), Some(Warn), ""),
        (Some(Fail), Some(Fail), ""),
        (Some(Fail), Some(Flaky), ""),
        (Some(Fail), Some(Waived), ""),
        (Some(Pass), Some(Waived), ""),
        (Some(Fail), Some(Pass), "mended"),
        (Some(Warn), Some(NotApplicable), "mended"),
        (Some(Waived), Some(Pass), "mended"),
        (Some(Pass), Some(Unknown), "unseen"),
        (Some(Fail), Some(Unknown), "unseen"),
        (Some(Unknown), Some(Unknown), ""),
        (Some(Fail), None, ""),
    ] {
        assert_eq!(outcome(CHILD, before, now), expected, "{before:?} → {now:?}");
    }
}

#[test]
fn the_other_shape_can_only_begin_to_warn() {
    for (before, now, expected) in [
        (Some(Pass), Some(Fail), "regressed"),
        (Some(Warn), Some(Fail), ""),
        (None, Some(Fail), ""),
        (Some(Fail), Some(Pass), "mended"),
        (Some(Pass), Some(Unknown), ""),
    ] {
        assert_eq!(outcome(PID1, before, now), expected, "{before:?} → {now:?}");
    }
    let child = one(PID1, Some(Fail));
    let mut pid1 = child.clone();
    pid1.target.programs[0].deployed = Shape::Pid1;
    assert_eq!(compare(&child, &pid1).exit(false), Exit::Failed, "the shape it is deployed in");
}

#[test]
fn programs_probes_and_shapes_are_told_apart() {
    let before = report_of(vec![
        finding(ID, "a", CHILD, Fail),
        finding(ID, "b", CHILD, Pass),
        finding(ProbeId::IxTerm, "a", CHILD, Pass),
    ]);
    let now = report_of(vec![
        finding(ID, "a", CHILD, Fail),
        finding(ID, "b", CHILD, Fail),
        finding(ProbeId::IxTerm, "a", CHILD, Fail),
    ]);
    let found = compare(&before, &now).regressions;
    let found: Vec<_> = found.iter().map(|one| (one.id, one.program.as_str())).collect();
    assert_eq!(found, [(ProbeId::IxTerm, "a"), (ID, "b")]);
}

#[test]
fn the_exit_is_of_what_changed() {
    let exit = |before, now, strict| {
        compare(&one(CHILD, Some(before)), &one(CHILD, Some(now))).exit(strict).code()
    };
    assert_eq!(exit(Fail, Fail, true), 0);
    assert_eq!(exit(Pass, Fail, false), 1);
    assert_eq!(exit(Pass, Unknown, false), 0);
    assert_eq!(exit(Pass, Unknown, true), 3);
    assert_eq!(exit(Unknown, Unknown, true), 0);
}

#[test]
fn a_change_is_said_in_a_sentence() {
    let now = report_of(vec![finding(ID, "a", CHILD, Fail)]);
    let text = compare(&one(CHILD, Some(Pass)), &now).to_string();
    let saw = "IX.drain of a was seen: fail.";
    assert_eq!(
        text,
        format!("Worse than the baseline: 1\n  IX.drain of a as a child: pass, now fail: {saw}")
    );
    assert_eq!(compare(&now, &now).to_string(), "As in the baseline.");
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let report = report();
    let text = serde_json::to_string(&report).unwrap();
    let read = read_baseline(&text).unwrap();
    assert_eq!(read, report);
    assert_eq!(compare(&read, &report), Comparison::default());
}

#[test]
fn what_is_no_report_of_this_schema_is_refused_with_what_to_do() {
    let other = serde_json::json!({ "schema": "updraft.check/2", "all": "new" }).to_string();
    for (text, expected) in [
        ("", "is no report"),
        ("[]", "is no report"),
        ("{}", "is no report"),
        ("{\"schema\": \"updraft.check/1\"}", "is no report"),
        (other.as_str(), "`updraft.check/2`, and this Updraft reads `updraft.check/1`"),
    ] {
        let error = read_baseline(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("updraft check --format json"), "{error}");
    }
}
