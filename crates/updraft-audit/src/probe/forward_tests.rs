//! Whose signal it was, and who is left.

use super::*;

fn forwarded() -> Forwarded {
    Forwarded {
        shape: Shape::Child,
        wrapper: "sh run.sh".to_owned(),
        server: "node server.js".to_owned(),
        reached: None,
        stood_still: true,
        never: None,
        handles: true,
        ended: Some(Ended::Code(0)),
        gone: true,
        orphan_answers: false,
        ends_by_itself: None,
        waited: true,
        seconds: 3.0,
    }
}

#[test]
fn what_reached_the_server_decides() {
    let told = Forwarded { reached: Some(Signal::TERM), ..forwarded() };
    let own = Forwarded { ends_by_itself: Some(true), gone: false, ..forwarded() };
    let table = [
        ("passed on, all gone", told.clone(), Verdict::Pass),
        (
            "passed on, the server ignores it",
            Forwarded { ended: None, gone: false, ..told.clone() },
            Verdict::Pass,
        ),
        ("passed on, left behind", Forwarded { gone: false, ..told }, Verdict::Fail),
        ("orphan answers", Forwarded { orphan_answers: true, ..own.clone() }, Verdict::Fail),
        ("orphan", own.clone(), Verdict::Fail),
        ("told by other means", forwarded(), Verdict::Pass),
        ("killed", Forwarded { shape: Shape::Pid1, ..forwarded() }, Verdict::Fail),
        (
            "killed, nothing lost",
            Forwarded { shape: Shape::Pid1, handles: false, ..forwarded() },
            Verdict::Warn,
        ),
        ("wrapper deaf", Forwarded { ended: None, ..own.clone() }, Verdict::Fail),
        ("wrapper slow", Forwarded { ended: None, waited: false, ..own.clone() }, Verdict::Unknown),
        (
            "wrapper never gets it",
            Forwarded {
                never: Some("it ignores SIGTERM"),
                ended: None,
                waited: false,
                ..own.clone()
            },
            Verdict::Fail,
        ),
        (
            "not seen",
            Forwarded { stood_still: false, shape: Shape::Pid1, ..forwarded() },
            Verdict::Unknown,
        ),
        (
            "both deaf",
            Forwarded { ended: None, ends_by_itself: Some(false), ..own },
            Verdict::Unknown,
        ),
    ];
    for (case, seen, expected) in table {
        assert_eq!(verdict(&seen).verdict, expected, "{case}: {}", verdict(&seen).evidence);
    }
}

#[test]
fn a_failure_names_both_and_the_remedy() {
    let seen = verdict(&Forwarded { gone: false, orphan_answers: true, ..forwarded() });
    for word in ["sh run.sh", "node server.js", "exec"] {
        assert!(seen.evidence.contains(word), "{}", seen.evidence);
    }
}
