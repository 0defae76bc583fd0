//! What decides a factor, the summary and the exit status.

use proptest::prelude::*;

use super::*;
use crate::catalogue::PROBES;
use crate::example::{finding, report, report_of};
use crate::report::WaiverNote;
use Verdict::{Fail, Flaky, Info, NotApplicable, Pass, Unknown, Waived, Warn};

const CHILD: Option<Shape> = Some(Shape::Child);
const PID1: Option<Shape> = Some(Shape::Pid1);

fn of_nine(findings: &[(ProbeId, Option<Shape>, Verdict)]) -> FactorResult {
    let findings: Vec<_> =
        findings.iter().map(|(id, shape, verdict)| finding(*id, "a", *shape, *verdict)).collect();
    let all = factors(&findings, |_| Shape::Child);
    all.into_iter().find(|one| one.id == Factor::IX).unwrap()
}

#[test]
fn the_heaviest_verdict_of_the_deployed_shape_decides() {
    let (start, term, drain) = (ProbeId::IxStart, ProbeId::IxTerm, ProbeId::IxDrain);
    for (seen, expected) in [
        (vec![(start, None, Pass), (term, CHILD, Pass)], Pass),
        (vec![(start, None, Pass), (term, CHILD, Unknown)], Unknown),
        (vec![(start, None, Waived), (term, CHILD, Unknown)], Unknown),
        (vec![(start, None, Pass), (term, CHILD, Waived)], Waived),
        (vec![(start, None, Unknown), (term, CHILD, Warn)], Warn),
        (vec![(start, None, Warn), (term, CHILD, Flaky)], Flaky),
        (vec![(start, None, Flaky), (term, CHILD, Fail)], Fail),
        (vec![(start, None, Pass), (term, CHILD, Info), (drain, CHILD, NotApplicable)], Pass),
        (vec![(start, None, NotApplicable), (term, CHILD, Info)], Info),
        (vec![(start, None, NotApplicable), (term, CHILD, NotApplicable)], NotApplicable),
        (vec![], Unknown),
    ] {
        assert_eq!(of_nine(&seen).verdict, expected, "{seen:?}");
    }
}

#[test]
fn the_other_shape_warns_at_most_and_proves_nothing() {
    let drain = ProbeId::IxDrain;
    for (seen, expected) in [
        (vec![(drain, CHILD, Pass), (drain, PID1, Fail)], Warn),
        (vec![(drain, CHILD, Pass), (drain, PID1, Flaky)], Warn),
        (vec![(drain, CHILD, Pass), (drain, PID1, Unknown)], Pass),
        (vec![(drain, CHILD, Unknown), (drain, PID1, Pass)], Unknown),
        (vec![(drain, PID1, Pass)], Unknown),
        (vec![(ProbeId::IxStart, None, Pass), (drain, PID1, Pass)], Unknown),
        (vec![(drain, PID1, Fail)], Warn),
    ] {
        assert_eq!(of_nine(&seen).verdict, expected, "{seen:?}");
    }
}

#[test]
fn the_evidence_names_what_decided() {
    let drain = ProbeId::IxDrain;
    let other = of_nine(&[(drain, CHILD, Pass), (drain, PID1, Fail)]);
    let saw = "IX.drain of a was seen: fail.";
    assert_eq!(other.evidence, format!("IX.drain as PID 1, as which it is not deployed: {saw}"));
    let two = of_nine(&[(drain, CHILD, Fail), (ProbeId::IxTerm, CHILD, Fail)]);
    assert_eq!(two.evidence, format!("IX.drain as a child (and 1 more): {saw}"));
    let holds = of_nine(&[(ProbeId::IxStart, None, Pass), (drain, CHILD, Pass)]);
    assert_eq!(holds.evidence, "IX.start and IX.drain hold.");
    let unseen = of_nine(&[(drain, PID1, Pass)]);
    assert_eq!(unseen.evidence, "IX.drain as PID 1 was judged, but not as a child.");
    assert_eq!(of_nine(&[]).evidence, "None of its probes was asked.");
}

#[test]
fn one_program_that_fails_among_many_fails_the_factor() {
    let findings = [
        finding(ProbeId::ViWrite, "a", None, Pass),
        finding(ProbeId::ViWrite, "b", None, Fail),
        finding(ProbeId::ViWrite, "c", None, Pass),
    ];
    let all = factors(&findings, |_| Shape::Child);
    let six = all.iter().find(|one| one.id == Factor::VI).unwrap();
    assert_eq!(six.verdict, Fail);
    assert!(six.evidence.starts_with("VI.write of b: "), "{}", six.evidence);
}

#[test]
fn the_twelve_are_always_there_and_the_others_when_they_were_asked() {
    assert_eq!(factors(&[], |_| Shape::Child).len(), 12);
    let asked = [finding(ProbeId::SUser, "a", None, Warn)];
    let ids: Vec<_> = factors(&asked, |_| Shape::Child).into_iter().map(|one| one.id).collect();
    assert_eq!(ids, Factor::ALL[..13]);
}

#[test]
fn the_summary_counts_factors_and_says_until_when_something_is_waived() {
    let report = report();
    assert_eq!(
        summary(&report),
        "3 proven, 3 failed, 1 flaky, 1 waived (until 2027-03-01), 3 unknown, \
         1 not applicable; beside the twelve: security warn"
    );
}

#[test]
fn of_several_waivers_the_summary_has_the_one_that_ends_first() {
    let waived = |id, until: &str| {
        let mut one = finding(id, "a", None, Waived);
        one.waiver =
            Some(WaiverNote { instead_of: Fail, because: String::new(), until: until.to_owned() });
        one
    };
    let report = report_of(vec![
        waived(ProbeId::XiFile, "2027-10-01"),
        waived(ProbeId::XiStdout, "2027-09-30"),
        waived(ProbeId::ViWrite, "2028-01-01"),
    ]);
    assert_eq!(summary(&report), "0 proven, 2 waived (until 2027-09-30), 10 unknown");
}

#[test]
fn the_exit_says_what_the_caller_has_to_know() {
    let id = ProbeId::IxDrain;
    for (seen, plain, strict) in [
        (vec![(CHILD, Pass)], 0, 0),
        (vec![(CHILD, Fail)], 1, 1),
        (vec![(CHILD, Flaky)], 0, 0),
        (vec![(CHILD, Warn)], 0, 0),
        (vec![(CHILD, Waived)], 0, 0),
        (vec![(CHILD, Unknown)], 0, 3),
        (vec![(CHILD, Unknown), (CHILD, Fail)], 1, 1),
        (vec![(CHILD, Unknown), (CHILD, Warn)], 0, 3),
        (vec![(CHILD, Pass), (PID1, Fail)], 0, 0),
        (vec![(CHILD, Pass), (PID1, Unknown)], 0, 0),
        (vec![(PID1, Pass)], 0, 3),
        (vec![], 0, 3),
    ] {
        let findings = seen.iter().map(|(shape, verdict)| finding(id, "a", *shape, *verdict));
        let report = report_of(findings.collect());
        assert_eq!(exit(&report, false).code(), plain, "{seen:?}");
        assert_eq!(exit(&report, true).code(), strict, "{seen:?}, strict");
    }
}

#[test]
fn a_finding_of_an_unlisted_program_counts_in_full() {
    let mut report = report_of(vec![finding(ProbeId::IxDrain, "a", PID1, Fail)]);
    report.target.programs.clear();
    assert_eq!(exit(&report, false), Exit::Failed);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let verdict = (0..Verdict::ALL.len()).prop_map(|at| Verdict::ALL[at]);
    let probe = 0..PROBES.len();
    (probe, verdict, any::<bool>(), 0..3_usize).prop_map(|(at, verdict, pid1, program)| {
        let shape = PROBES[at].shaped.then_some(if pid1 { Shape::Pid1 } else { Shape::Child });
        finding(PROBES[at].id, ["a", "b", "c"][program], shape, verdict)
    })
}

proptest! {
    #[test]
    fn a_factor_passes_only_when_all_that_must_hold_was_seen_to_hold(
        findings in proptest::collection::vec(any_finding(), 0..40),
        pid1 in any::<bool>(),
    ) {
        let deployed = if pid1 { Shape::Pid1 } else { Shape::Child };
        for factor in factors(&findings, |_| deployed) {
            let must: Vec<_> = findings
                .iter()
                .filter(|one| one.id.factor() == factor.id)
                .filter(|one| one.shape.is_none_or(|shape| shape == deployed))
                .map(|one| one.verdict)
                .collect();
            if factor.verdict == Pass {
                prop_assert!(must.contains(&Pass));
                let fine = |one| matches!(one, &Pass | &Info | &NotApplicable);
                prop_assert!(must.iter().all(fine), "{must:?}");
            }
            prop_assert_eq!(factor.verdict == Fail, must.contains(&Fail));
        }
    }
}
