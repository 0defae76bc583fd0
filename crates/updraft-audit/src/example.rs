//! A report with everything that a report can hold, for the tests of what is made of one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::catalogue::{Language, ProbeId, Text, Texts};
use crate::factors::factors;
use crate::report::{
    Fact, Finding, Lane, Machine, Moment, Program, Report, SCHEMA, Target, Trial, WaiverNote,
};
use crate::verdict::{Shape, Tier, Verdict};

/// A finding without anything but its verdict.
pub(crate) fn finding(
    id: ProbeId,
    program: &str,
    shape: Option<Shape>,
    verdict: Verdict,
) -> Finding {
    Finding {
        id,
        program: program.to_owned(),
        shape,
        verdict,
        evidence: format!("{id} of {program} was seen: {verdict}."),
        reproducer: None,
        tier: id.probe().tier,
        trials: Vec::new(),
        waiver: None,
    }
}

/// A report of these findings; each program is deployed as a child.
pub(crate) fn report_of(probes: Vec<Finding>) -> Report {
    let mut names: Vec<_> = probes.iter().map(|one| one.program.clone()).collect();
    names.dedup();
    let programs = names.into_iter().map(|name| program(&name, &["./run"], Shape::Child));
    Report {
        schema: SCHEMA.to_owned(),
        target: Target { system: None, programs: programs.collect() },
        version: "0.1.0".to_owned(),
        started: "2026-11-26T04:00:00Z".to_owned(),
        seconds: 41.27,
        machine: Machine {
            tiers: vec![Tier::Static, Tier::T0],
            missing: BTreeMap::new(),
            egress: false,
            lanes: 2,
        },
        factors: factors(&probes, |_| Shape::Child),
        probes,
        hints: Vec::new(),
    }
}

fn program(name: &str, command: &[&str], deployed: Shape) -> Program {
    Program {
        name: name.to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        folder: format!("/srv/{name}"),
        deployed,
    }
}

fn told(mut finding: Finding, evidence: &str, reproducer: &str) -> Finding {
    finding.evidence = evidence.to_owned();
    finding.reproducer = (!reproducer.is_empty()).then(|| reproducer.to_owned());
    finding
}

fn trial(verdict: Verdict, evidence: &str, moments: &[(u64, Lane, &str)]) -> Trial {
    let moments = moments
        .iter()
        .map(|(us, lane, what)| Moment::new(Duration::from_micros(*us), *lane, *what));
    Trial {
        verdict,
        evidence: evidence.to_owned(),
        timeline: moments.collect(),
        facts: BTreeMap::new(),
    }
}

/// Three programs, each verdict, both shapes, a hostile text.
pub(crate) fn report() -> Report {
    let mut probes = api();
    probes.extend(pricing());
    probes.extend(orders());
    probes.sort_by_key(|one| one.id);
    let programs = vec![
        program("api.web", &["npm", "start"], Shape::Child),
        program("pricing.web", &["gunicorn", "-b", "0.0.0.0:$PORT", "app:app"], Shape::Pid1),
        program("orders.worker", &["./target/release/orders"], Shape::Child),
    ];
    let shapes = programs.clone();
    let deployed = |name: &str| {
        shapes.iter().find(|one| one.name == name).map_or(Shape::Child, |one| one.deployed)
    };
    let missing = [("T2".to_owned(), "ptrace(2) is refused: EPERM".to_owned())];
    Report {
        target: Target { system: Some("shop".to_owned()), programs },
        machine: Machine {
            tiers: vec![Tier::Static, Tier::T0, Tier::T1],
            missing: missing.into(),
            egress: false,
            lanes: 2,
        },
        factors: factors(&probes, deployed),
        hints: vec![
            "A journey in [check.api.web] would decide VI.amnesia and VI.twins.".to_owned(),
        ],
        ..report_of(probes)
    }
}

fn api() -> Vec<Finding> {
    use Verdict::{Fail, Flaky, Info, Pass, Unknown, Warn};
    let any = |id, verdict| finding(id, "api.web", None, verdict);
    let child = |id, verdict| finding(id, "api.web", Some(Shape::Child), verdict);
    let pid1 = |id, verdict| finding(id, "api.web", Some(Shape::Pid1), verdict);
    let mut secret = any(ProbeId::ISecret, Fail);
    secret.evidence = "src/key <1>.js:12 holds an access key of AWS with a right checksum.".into();
    let mut found = trial(Fail, &secret.evidence.clone(), &[]);
    let files = vec!["src/key <1>.js:12".to_owned(), "README".to_owned()];
    found.facts.insert(crate::facts::FILE.to_owned(), Fact::List(files));
    secret.trials.push(found);
    let mut start = any(ProbeId::IxStart, Pass);
    start.evidence = "Seven starts, 95 % within 0.41 s.".to_owned();
    let mut measured = trial(Pass, "Seven starts.", &[]);
    measured.facts.insert(crate::facts::START_P95_SECONDS.to_owned(), Fact::Number(0.4123));
    measured.facts.insert(crate::facts::MEMORY_PEAK_BYTES.to_owned(), Fact::Number(73_400_320.0));
    start.trials.push(measured);
    vec![
        any(ProbeId::IRepo, Pass),
        secret,
        told(any(ProbeId::IiClean, Unknown), "/bin/sh could not be masked: EROFS.", ""),
        told(any(ProbeId::IiExec, Unknown), "ptrace(2) is refused: EPERM.", ""),
        told(any(ProbeId::VNobuild, Unknown), "ptrace(2) is refused: EPERM.", ""),
        told(any(ProbeId::IvCut, Flaky), "It recovered within 10 s in 2 of 3 trials.", ""),
        told(any(ProbeId::ViTwins, Unknown), "There is no journey.", ""),
        any(ProbeId::ViWrite, Pass),
        any(ProbeId::ViiPort, Pass),
        start,
        drain(child(ProbeId::IxDrain, Fail)),
        told(
            pid1(ProbeId::IxDrain, Fail),
            "The held request was lost: the connection was reset 3 ms after SIGTERM; status 0.",
            "",
        ),
        told(
            child(ProbeId::IxForward, Fail),
            "npm (pid 71) was gone 1.4 s after SIGTERM; node (pid 84) still served at 2.5 s.",
            "sh -c 'npm start & p=$!; sleep 2; kill $p; sleep 3; pgrep -f server.js'",
        ),
        told(child(ProbeId::IxIdle, Warn), "An idle client delayed the end by 7.2 s.", ""),
        told(child(ProbeId::IxDuck, Info), "Accepted connections for 0.14 s after SIGTERM.", ""),
        told(
            any(ProbeId::XiStdout, Pass),
            "The canary was on stdout after 10 ms: <script>alert(1)</script>\u{1b}[2J & \"more\"",
            "",
        ),
    ]
}

/// Three trials that lose a request, the first as it should look.
fn drain(mut finding: Finding) -> Finding {
    finding.evidence =
        "The held request was lost: end of stream 12 ms after SIGTERM; status 0.".to_owned();
    finding.reproducer = Some(
        "PORT=8080 npm start & sleep 1; curl -s localhost:8080/api/reports?rows=50000 & \
         sleep 0.2; kill $!"
            .to_owned(),
    );
    let moments = [
        (0, Lane::Program, "pid 71: npm start"),
        (212_000, Lane::Program, "pid 84: node server.js"),
        (398_400, Lane::Program, "listens on 127.0.0.1:40123"),
        (401_000, Lane::Client, "GET / → 200"),
        (402_100, Lane::Output, "GET / 200 1.2 ms"),
        (410_000, Lane::Client, "GET /api/reports?rows=50000 is sent"),
        (415_200, Lane::Resource, "postgres: SELECT is held"),
        (520_000, Lane::Audit, "SIGTERM to pid 71"),
        (524_600, Lane::Program, "the listener is closed"),
        (529_900, Lane::Output, "server closed"),
        (532_000, Lane::Client, "end of stream without a response, 0 bytes of the body were seen"),
        (533_000, Lane::Program, "pid 84 ends with status 0"),
        (534_000, Lane::Resource, "postgres: the client is gone"),
        (541_000, Lane::Program, "pid 71 ends with status 0"),
    ];
    let mut first = trial(Verdict::Fail, &finding.evidence, &moments);
    first.facts.insert(crate::facts::DRAIN_SECONDS.to_owned(), Fact::Number(0.021));
    let short = [(0, Lane::Program, "starts"), (9_000, Lane::Audit, "SIGTERM")];
    finding.trials = vec![
        first,
        trial(Verdict::Fail, "The held request was lost after 9 ms.", &short),
        trial(Verdict::Fail, "The held request was lost after 11 ms.", &short),
    ];
    finding
}

fn pricing() -> Vec<Finding> {
    use Verdict::{Fail, Info, Pass, Waived};
    let any = |id, verdict| finding(id, "pricing.web", None, verdict);
    let child = |id, verdict| finding(id, "pricing.web", Some(Shape::Child), verdict);
    let pid1 = |id, verdict| finding(id, "pricing.web", Some(Shape::Pid1), verdict);
    let mut file = any(ProbeId::XiFile, Waived);
    file.evidence = "It appended to logs/access.log.".to_owned();
    file.waiver = Some(WaiverNote {
        instead_of: Fail,
        because: "the auditors of the bank read this file".to_owned(),
        until: "2027-03-01".to_owned(),
    });
    let mut duck = pid1(ProbeId::IxDuck, Info);
    let mut seen = trial(Info, "Accepted connections for 0.14 s.", &[]);
    let name = crate::facts::ACCEPTING_AFTER_TERM_SECONDS;
    seen.facts.insert(name.to_owned(), Fact::Number(0.1402));
    duck.trials.push(seen);
    let mut drain = pid1(ProbeId::IxDrain, Pass);
    for seconds in [1.31, 1.74, 1.52] {
        let mut held = trial(Pass, "The held request was answered.", &[]);
        held.facts.insert(crate::facts::DRAIN_SECONDS.to_owned(), Fact::Number(seconds));
        drain.trials.push(held);
    }
    let mut write = any(ProbeId::ViWrite, Pass);
    let mut wrote = trial(Pass, "Scratch only.", &[]);
    let paths = vec!["/tmp/upload".to_owned(), "/run/app".to_owned()];
    wrote.facts.insert(crate::facts::WRITTEN_PATHS.to_owned(), Fact::List(paths));
    wrote.facts.insert(crate::facts::EGRESS.to_owned(), Fact::List(vec!["db:5432".to_owned()]));
    write.trials.push(wrote);
    vec![
        any(ProbeId::IiLock, Pass),
        any(ProbeId::IiiRequired, Pass),
        drain,
        child(ProbeId::IxDrain, Pass),
        duck,
        file,
        write,
    ]
}

fn orders() -> Vec<Finding> {
    use Verdict::{Fail, NotApplicable, Pass, Warn};
    let any = |id, verdict| finding(id, "orders.worker", None, verdict);
    vec![
        told(any(ProbeId::ViiPort, NotApplicable), "A worker has no port.", ""),
        told(
            any(ProbeId::ViiiN, Fail),
            "Two of three replicas ended: \"database is locked\" (sqlite).",
            "for i in 1 2 3; do ./target/release/orders & done; wait",
        ),
        any(ProbeId::XKinds, Pass),
        told(any(ProbeId::XiiSame, NotApplicable), "There are no tasks.", ""),
        told(any(ProbeId::SUser, Warn), "It runs as root.", ""),
    ]
}

/// What is told of the probes that the tests look at.
pub(crate) fn texts() -> Texts {
    let mend = [
        (Language::Rust, "Give `axum::serve` a `with_graceful_shutdown`.".to_owned()),
        (
            Language::Node,
            "Stop the server before you end:\n\n```js\nprocess.on('SIGTERM', () => {\n  \
             server.close(() => process.exit(0));\n});\n```\n\nNever call `process.exit` at once."
                .to_owned(),
        ),
    ];
    let drain = Text {
        title: "A request in flight is answered".to_owned(),
        why: "Each deploy stops programs; a lost request is an error that a customer sees."
            .to_owned(),
        factor: "\"Processes shut down gracefully when they receive a SIGTERM signal.\"".to_owned(),
        how: "A request is held, SIGTERM is sent, the response must come.".to_owned(),
        limits: "Where no request can be held it is `unknown`.".to_owned(),
        mend: mend.into(),
    };
    let user = Text { title: "It does not run as root".to_owned(), ..Text::default() };
    Texts::only([(ProbeId::IxDrain, drain), (ProbeId::SUser, user)].into())
}
