//! What a waiver changes, until when, and what it never does.

use jiff::civil::date;

use super::*;
use crate::example::finding;
use Verdict::{Fail, Flaky, Info, NotApplicable, Pass, Unknown, Waived, Warn};

const ID: ProbeId = ProbeId::XiFile;

fn waiver(program: Option<&str>) -> Waiver {
    Waiver {
        id: ID,
        because: "read by auditors".to_owned(),
        until: date(2027, 3, 1),
        program: program.map(ToOwned::to_owned),
    }
}

#[test]
fn what_does_not_hold_is_waived_until_the_end_of_the_last_day() {
    for verdict in [Fail, Warn, Flaky] {
        for (today, expected) in
            [(date(2026, 1, 1), Waived), (date(2027, 3, 1), Waived), (date(2027, 3, 2), verdict)]
        {
            let mut findings = [finding(ID, "a", None, verdict)];
            let hints = waive(&mut findings, &[waiver(None)], today);
            assert_eq!(hints, Vec::<String>::new());
            let [one] = findings;
            assert_eq!(one.verdict, expected, "{verdict} on {today}");
            assert_eq!(one.waiver.is_some(), expected == Waived);
            let expired = one.evidence.contains("A waiver expired on 2027-03-01");
            assert_eq!(expired, expected != Waived, "{}", one.evidence);
        }
    }
}

#[test]
fn the_note_keeps_what_was_waived_and_why() {
    let mut findings = [finding(ID, "a", None, Flaky)];
    assert!(waive(&mut findings, &[waiver(None)], date(2026, 1, 1)).is_empty());
    let note = findings[0].waiver.as_ref().unwrap();
    assert_eq!(note.instead_of, Flaky);
    assert_eq!((note.because.as_str(), note.until.as_str()), ("read by auditors", "2027-03-01"));
}

#[test]
fn what_holds_or_was_not_seen_is_never_waived_and_the_waiver_is_hinted_at() {
    for (verdict, hint) in [
        (Pass, "no longer needed"),
        (Info, "no longer needed"),
        (NotApplicable, "no longer needed"),
        (Unknown, "what could not be seen is never waived"),
    ] {
        let mut findings = [finding(ID, "a", None, verdict)];
        let hints = waive(&mut findings, &[waiver(None)], date(2026, 1, 1));
        assert_eq!(findings, [finding(ID, "a", None, verdict)]);
        assert_eq!(hints.len(), 1);
        assert!(hints[0].contains(hint), "{hints:?}");
    }
}

#[test]
fn a_waiver_for_one_program_leaves_the_others_and_another_probe() {
    let mut findings = [
        finding(ID, "a", None, Fail),
        finding(ID, "b", None, Fail),
        finding(ProbeId::XiStdout, "a", None, Fail),
    ];
    assert!(waive(&mut findings, &[waiver(Some("a"))], date(2026, 1, 1)).is_empty());
    assert_eq!(findings.map(|one| one.verdict), [Waived, Fail, Fail]);
}

#[test]
fn a_waiver_that_matches_nothing_is_hinted_at() {
    let mut findings = [finding(ID, "a", None, Fail)];
    let hints = waive(&mut findings, &[waiver(Some("z"))], date(2026, 1, 1));
    let expected = "The waiver of XI.file for z matches nothing: the probe was not asked, or \
                    there is no such program.";
    assert_eq!(hints, [expected]);
}

#[test]
fn of_two_waivers_the_longer_one_holds() {
    let old = Waiver { until: date(2026, 1, 1), ..waiver(None) };
    for waivers in [[old.clone(), waiver(None)], [waiver(None), old]] {
        let mut findings = [finding(ID, "a", None, Fail)];
        assert!(waive(&mut findings, &waivers, date(2026, 6, 1)).is_empty());
        assert_eq!(findings[0].verdict, Waived);
    }
}
