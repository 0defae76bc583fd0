//! `IV.egress`: the program talks to what it has declared and to nobody else.

use std::time::Duration;

use super::exercise::exercise;
use super::{Bench, Control, Dynamic, Looking, always, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Feature, Setup, Unstartable};
use crate::launch::Sought;
use crate::report::Lane;
use crate::seen::Seen;
use crate::subject::{Dependency, DependencyKind, Subject};
use crate::verdict::{Shape, Verdict};

pub(super) const EGRESS: Dynamic = Dynamic {
    id: ProbeId::IvEgress,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::Network],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        // What is declared has to come through.
        Control::new(&[Behaviour::AsksPeer], Verdict::Pass).with(peer),
        Control::new(&[Behaviour::Dials], Verdict::Warn),
    ],
};

/// Gives a control something that answers.
pub(super) fn peer(subject: &mut Subject) {
    let name = "peer".parse::<updraft_system::Name>();
    let need =
        |name| Dependency { name, variables: vec!["PEER".to_owned()], kind: DependencyKind::Echo };
    subject.needs.extend(name.ok().map(need));
}

/// What a program sends of itself it often sends some time after its start.
const LATER: Duration = Duration::from_secs(1);

async fn look(bench: Bench) -> Seen {
    let setup = Setup { watched: true, ..Setup::new(Shape::Child) };
    let mut running = match bench.lab.launch(&bench.subject, &setup).await {
        Ok(running) => running,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    let error = running.ready(bench.patience()).await.err();
    let slow = matches!(error, Some(Unstartable::NotReady { .. }));
    let down = error.map(|error| unready(&error));
    if down.is_none() {
        exercise(&bench, &running).await;
        if !bench.quick {
            tokio::time::sleep(bench.limit(LATER)).await;
        }
    }
    let sought = match running.sought().await {
        Ok(sought) => sought,
        Err(error) => return Seen::unknown(format!("its network does not answer: {error}")),
    };
    for one in &sought {
        running.note(Lane::Program, format!("looked for {}", words(one)));
    }
    let timeline = running.end().await;
    let (declared, undeclared) = divided(&sought, &bench.subject);
    // Only who comes up otherwise is down for want of a network; and to try that is egress.
    let tried = down.is_none() || bench.lab.allows_egress();
    if down.is_some() && tried {
        match bench.start().await {
            Ok(running) => {
                let took = running.elapsed();
                running.end().await;
                // Where it is nearly as slow with a network, the want of one is not the reason.
                if slow && took * 3 > bench.patience() {
                    return Seen::unknown(format!(
                        "it needs {:.1} s to be ready here, too long to tell what a missing \
                         network does to it",
                        took.as_secs_f64()
                    ));
                }
            }
            Err(seen) => return seen,
        }
    }
    let mut seen = verdict(down.as_deref(), tried, &declared, &undeclared);
    if seen.verdict != Verdict::Pass {
        let again = pasted(&bench, seen.verdict);
        seen = seen.reproduced_by(again);
    }
    seen.timeline = timeline;
    seen
}

/// Where it runs all the same, whom it looks for is seen from its system calls.
fn pasted(bench: &Bench, verdict: Verdict) -> String {
    if verdict == Verdict::Warn {
        let line = bench.subject.line();
        let traced = bench.pasted(8080).replace(
            &line,
            &format!("timeout 5 strace -f -e trace=connect,sendto,sendmsg,sendmmsg {line}"),
        );
        return format!("({traced}) 2>&1 | grep -E 'AF_INET|sendmmsg'");
    }
    let inside = format!("ip link set lo up && {}", bench.pasted(8080));
    format!("unshare --map-root-user --net sh -c {}", shell_words::quote(&inside))
}

/// `tried`: whether it comes up where it has a network.
fn verdict(down: Option<&str>, tried: bool, declared: &[String], undeclared: &[String]) -> Seen {
    let all = undeclared.join(", ");
    let seen = match (down, undeclared.is_empty()) {
        (None, true) => {
            Seen::pass("with no network but what it has declared it runs and looks for nobody")
        }
        (None, false) => Seen::warn(format!("it looks for what it has not declared: {all}")),
        (Some(why), false) if !tried => Seen::unknown(format!(
            "it looks for what it has not declared, {all}, and does not start without; whether it \
             starts with it is tried by --allow-egress only: {why}"
        )),
        (Some(why), false) => Seen::fail(format!(
            "it looks for what it has not declared, {all}, and does not start without: {why}"
        )),
        (Some(why), true) if !tried && !declared.is_empty() => Seen::unknown(format!(
            "it looks for {}, which stands in its environment and was not given to the audit as a \
             resource, and does not start; whether it starts with a network is tried by \
             --allow-egress only: {why}",
            declared.join(", ")
        )),
        (Some(why), true) if !declared.is_empty() => Seen::unknown(format!(
            "it needs {}, which stands in its environment and was not given to the audit as a \
             resource: {why}",
            declared.join(", ")
        )),
        (Some(why), true) => Seen::unknown(format!(
            "with no network but what it has declared it does not start, and was not seen to look \
             for anybody: {why}"
        )),
    };
    if undeclared.is_empty() { seen } else { seen.listing("egress", undeclared.to_vec()) }
}

/// What stands in the program's environment, and what does not.
fn divided(sought: &[Sought], subject: &Subject) -> (Vec<String>, Vec<String>) {
    let own = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let is_own = |one: &&Sought| match one {
        // Its own name, and names of addresses: everybody asks for these.
        Sought::Name(name) => {
            *name == own
                || name.split('.').next() == own.split('.').next()
                || name == "localhost"
                || name.ends_with(".arpa")
        }
        Sought::Address(_) => false,
    };
    let is_declared = |one: &&Sought| {
        let part = match one {
            Sought::Name(name) => name.clone(),
            Sought::Address(address) => address.ip().to_string(),
        };
        subject.environment.values().any(|value| value.to_ascii_lowercase().contains(&part))
    };
    let foreign: Vec<_> = sought.iter().filter(|one| !is_own(one)).collect();
    let (declared, undeclared): (Vec<&Sought>, Vec<&Sought>) =
        foreign.into_iter().partition(is_declared);
    let words = |all: Vec<&Sought>| all.into_iter().map(words).collect();
    (words(declared), words(undeclared))
}

fn words(sought: &Sought) -> String {
    match sought {
        Sought::Name(name) => name.clone(),
        Sought::Address(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_looks_for_the_undeclared_and_does_not_start_without_it_fails() {
        let (none, some) = (Vec::new(), vec!["a.example".to_owned()]);
        let verdict = |down, tried, declared, undeclared| {
            super::verdict(down, tried, declared, undeclared).verdict
        };
        assert_eq!(verdict(None, true, &none, &none), Verdict::Pass);
        assert_eq!(verdict(None, true, &some, &none), Verdict::Pass);
        assert_eq!(verdict(None, true, &none, &some), Verdict::Warn);
        assert_eq!(verdict(Some("x"), true, &none, &some), Verdict::Fail);
        assert_eq!(verdict(Some("x"), false, &none, &some), Verdict::Unknown);
        assert_eq!(verdict(Some("x"), true, &some, &none), Verdict::Unknown);
        // What was not tried is not claimed.
        let untried = super::verdict(Some("x"), false, &some, &none);
        assert_eq!(untried.verdict, Verdict::Unknown);
        assert!(untried.evidence.contains("--allow-egress"), "{}", untried.evidence);
        assert_eq!(verdict(Some("x"), true, &none, &none), Verdict::Unknown);
    }

    #[test]
    fn what_stands_in_its_environment_is_declared() {
        let mut subject = Subject::command(vec!["x".into()], "/".into(), [].into());
        subject.environment.insert("DB".into(), "postgres://DB.internal:5432/x".into());
        let name = |name: &str| Sought::Name(name.to_owned());
        let sought = [name("db.internal"), name("1.0.0.127.in-addr.arpa"), name("metrics.example")];
        let (declared, undeclared) = divided(&sought, &subject);
        assert_eq!(declared, ["db.internal"]);
        assert_eq!(undeclared, ["metrics.example"]);
    }
}
