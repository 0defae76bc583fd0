//! What is derived from measured values, and what is not.

use super::*;
use crate::example::{finding, report, report_of};
use crate::verdict::Shape;

fn with_facts(id: ProbeId, shape: Option<Shape>, trials: &[(Verdict, &str, f64)]) -> Finding {
    let mut finding = finding(id, "a", shape, Verdict::Pass);
    finding.trials = trials
        .iter()
        .map(|(verdict, name, value)| Trial {
            verdict: *verdict,
            evidence: String::new(),
            timeline: Vec::new(),
            facts: [((*name).to_owned(), Fact::Number(*value))].into(),
        })
        .collect();
    finding
}

fn of(findings: Vec<Finding>) -> ObservedProgram {
    derive(&report_of(findings)).programs["a"].clone()
}

#[test]
fn the_file_is_the_same_for_the_same_report() {
    let text = derive(&report()).to_toml().unwrap();
    insta::assert_snapshot!(text);
    assert_eq!(toml::from_str::<Observed>(&text).unwrap(), derive(&report()));
}

#[test]
fn budgets_have_room_and_a_least() {
    let child = Some(Shape::Child);
    let held = |seconds| {
        with_facts(ProbeId::IxDrain, child, &[(Verdict::Pass, facts::DRAIN_SECONDS, seconds)])
    };
    let duck = |seconds| {
        with_facts(
            ProbeId::IxDuck,
            child,
            &[(Verdict::Info, facts::ACCEPTING_AFTER_TERM_SECONDS, seconds)],
        )
    };
    for (drain, accepting, sleep, grace) in [
        (0.1, Some(0.1), Some(5), Some(11)),
        (20.0, Some(0.1), Some(5), Some(45)),
        (20.0, Some(60.0), Some(0), Some(40)),
        (0.1, None, None, Some(11)),
    ] {
        let mut findings = vec![held(drain)];
        findings.extend(accepting.map(duck));
        let seen = of(findings);
        assert_eq!(seen.prestop_sleep_seconds, sleep, "{drain} {accepting:?}");
        assert_eq!(seen.termination_grace_seconds, grace, "{drain} {accepting:?}");
    }
    for (start, budget) in [(0.2, 5), (3.0, 9), (3.01, 10)] {
        let fact = [(Verdict::Pass, facts::START_P95_SECONDS, start)];
        let seen = of(vec![with_facts(ProbeId::IxStart, None, &fact)]);
        assert_eq!(seen.start_budget_seconds, Some(budget), "{start}");
    }
}

#[test]
fn a_lost_request_and_the_other_shape_say_nothing_about_the_drain() {
    let name = facts::DRAIN_SECONDS;
    let lost = [(Verdict::Fail, name, 0.01), (Verdict::Unknown, name, 0.02)];
    assert_eq!(
        of(vec![with_facts(ProbeId::IxDrain, Some(Shape::Child), &lost)]).drain_p95_seconds,
        None
    );
    let other = [(Verdict::Pass, name, 1.0)];
    let seen = of(vec![with_facts(ProbeId::IxDrain, Some(Shape::Pid1), &other)]);
    assert_eq!(seen, ObservedProgram::default());
}

#[test]
fn what_is_no_quantity_is_not_derived() {
    for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let fact = [(Verdict::Pass, facts::MEMORY_PEAK_BYTES, value)];
        let seen = of(vec![with_facts(ProbeId::IxStart, None, &fact)]);
        assert_eq!(seen.memory_peak_bytes, None, "{value}");
    }
}

#[test]
fn the_percentile_is_the_nearest_rank() {
    assert_eq!(p95(vec![]), None);
    assert_eq!(p95(vec![2.0, 3.0, 1.0]), Some(3.0));
    assert_eq!(p95((1..=100).rev().map(f64::from).collect()), Some(95.0));
    assert_eq!(p95((1..=20).map(f64::from).collect()), Some(19.0));
}

#[test]
fn who_fails_as_three_may_be_one_even_when_that_is_waived() {
    let mut failed = finding(ProbeId::ViiiN, "a", None, Verdict::Fail);
    let expected =
        Some(Replicas { most: 1, finding: ProbeId::ViiiN, because: failed.evidence.clone() });
    assert_eq!(of(vec![failed.clone()]).replicas, expected);
    failed.verdict = Verdict::Waived;
    failed.waiver = Some(crate::report::WaiverNote {
        instead_of: Verdict::Fail,
        because: String::new(),
        until: String::new(),
    });
    assert_eq!(of(vec![failed.clone()]).replicas, expected);
    for verdict in [Verdict::Pass, Verdict::Unknown, Verdict::NotApplicable, Verdict::Warn] {
        let seen = of(vec![finding(ProbeId::ViiiN, "a", None, verdict)]);
        assert_eq!(seen.replicas, None, "{verdict}");
    }
}
