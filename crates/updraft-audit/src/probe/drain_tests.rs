//! What a held request and the end of its program come to.

use super::*;
use crate::verdict::Verdict;

fn drained(requests: &[Became]) -> Drained {
    Drained {
        way: Way::HalfBody,
        what: "POST /".to_owned(),
        undisturbed: Some(200),
        requests: requests.to_vec(),
        reception: Reception::Handled,
        ended: Some(Ended::Code(0)),
        gone: true,
        left: None,
        took: Duration::from_secs(1),
        after: Duration::from_millis(10),
        waited: true,
    }
}

#[test]
fn a_lost_request_fails_whatever_the_exit_code() {
    let lost = Became::Lost("the connection was closed without an answer".to_owned());
    for ended in [Some(Ended::Code(0)), Some(Ended::Signal(15)), None] {
        let seen = verdict(&Drained { ended, ..drained(std::slice::from_ref(&lost)) });
        assert_eq!(seen.verdict, Verdict::Fail, "{seen:?}");
    }
    let seen = verdict(&drained(&[Became::Answered(200), lost]));
    assert_eq!(seen.verdict, Verdict::Fail);
    assert!(seen.evidence.contains("1 of 2"), "{}", seen.evidence);
}

#[test]
fn an_answer_is_judged_by_what_it_is_where_nothing_disturbs() {
    let table = [
        (Some(200), 200, Verdict::Pass),
        (Some(200), 201, Verdict::Pass),
        (Some(200), 503, Verdict::Warn),
        (Some(200), 408, Verdict::Warn),
        (Some(404), 404, Verdict::Pass),
        (Some(404), 503, Verdict::Warn),
        (None, 404, Verdict::Pass),
        (None, 500, Verdict::Warn),
    ];
    for (undisturbed, status, expected) in table {
        let seen = verdict(&Drained { undisturbed, ..drained(&[Became::Answered(status)]) });
        assert_eq!(seen.verdict, expected, "{undisturbed:?} {status}: {}", seen.evidence);
    }
}

#[test]
fn after_the_answer_the_program_has_to_end() {
    use Reception::{Default, Dropped, Handled, Ignored};
    let (zero, crash) = (Some(Ended::Code(0)), Some(Ended::Code(1)));
    let table = [
        (zero, true, Handled, true, Verdict::Pass),
        (Some(Ended::Signal(15)), true, Default, true, Verdict::Pass),
        (crash, true, Handled, true, Verdict::Warn),
        (None, false, Handled, true, Verdict::Fail),
        (None, false, Handled, false, Verdict::Unknown),
        (None, false, Dropped, false, Verdict::Fail),
        (None, false, Ignored, false, Verdict::Fail),
        (zero, false, Default, true, Verdict::Fail),
        (zero, false, Default, false, Verdict::Unknown),
    ];
    for (ended, gone, reception, waited, expected) in table {
        let answered = drained(&[Became::Answered(200)]);
        let seen = verdict(&Drained { ended, gone, reception, waited, ..answered });
        assert_eq!(seen.verdict, expected, "{ended:?} {gone} {reception:?} {waited}");
    }
}

#[test]
fn silence_is_a_failure_only_after_the_whole_grace() {
    let seen = verdict(&drained(&[Became::Unanswered]));
    assert_eq!(seen.verdict, Verdict::Fail);
    let seen = verdict(&Drained { waited: false, ..drained(&[Became::Unanswered]) });
    assert_eq!(seen.verdict, Verdict::Unknown);
}

#[test]
fn a_quick_request_that_was_not_lost_proves_nothing() {
    let burst = Drained { way: Way::Burst, ..drained(&[Became::Answered(200)]) };
    assert_eq!(verdict(&burst).verdict, Verdict::Unknown);
    let lost = vec![Became::Answered(200), Became::Lost("closed".to_owned())];
    assert_eq!(verdict(&Drained { requests: lost, ..burst }).verdict, Verdict::Fail);
}
