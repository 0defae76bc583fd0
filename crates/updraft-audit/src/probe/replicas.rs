//! `VIII.n`: several copies run at once on the same resources, each with its own port.

use std::time::Duration;

use super::visit::{again, with_resource};
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Running, Setup, Unstartable};
use crate::report::Lane;
use crate::seen::Seen;
use crate::subject::{Serves, Subject};
use crate::verdict::Verdict;

/// So many copies.
const COPIES: usize = 3;
/// How long they have to stay together.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long a worker, which is never seen to be ready, has to stay.
const TOGETHER_UNSEEN: Duration = Duration::from_secs(2);
/// How long one of them may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) const REPLICAS: Dynamic = Dynamic {
    id: ProbeId::ViiiN,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::Alone], Verdict::Fail).with(with_resource),
    ],
};

fn applies(subject: &Subject) -> Result<(), Seen> {
    if subject.exclusive {
        return Err(Seen::not_applicable("there may be one of it only (`scale = 1`)"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    // Also where they need nothing: copies of one machine are in one network.
    let provided = match bench.lab.provide(&bench.subject).await {
        Ok(provided) => provided,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    let setup = Setup { provided: Some(provided), ..Setup::new(bench.shape) };
    // One alone has to work, and may prepare the resources: what is started twice on an empty
    // database may lose a race that a release does not have.
    let first = match bench.start_with(&setup).await {
        Ok(first) => first,
        Err(seen) => return seen,
    };
    let start = || bench.lab.start_beside(&bench.subject, &setup, bench.patience());
    let others = futures_util::future::join_all((1..COPIES).map(|_| start())).await;
    let (mut all, mut refused) = (vec![first], Vec::new());
    for other in others {
        match other {
            Ok(running) => all.push(running),
            Err(error @ (Unstartable::Ended { .. } | Unstartable::NotReady { .. })) => {
                refused.push(unready(&error));
            }
            Err(error) => return Seen::unknown(unready(&error)),
        }
    }
    let (lost, mut timeline) = stay(&bench, all).await;
    let mut seen = judged(&refused, &lost).reproduced_by(again(&bench, ProbeId::ViiiN));
    seen.timeline = std::mem::take(&mut timeline);
    seen
}

/// What is wrong with those that were ready, after a while together.
async fn stay(bench: &Bench, all: Vec<Running>) -> (Vec<String>, Vec<crate::report::Moment>) {
    let serves = bench.subject.serves == Serves::Http;
    tokio::time::sleep(if serves { TOGETHER } else { bench.limit(TOGETHER_UNSEEN) }).await;
    let (mut lost, mut timeline) = (Vec::new(), Vec::new());
    for mut running in all {
        if let Some(ended) = running.ended_now() {
            let last = running.output().tail(1).pop().unwrap_or_default();
            lost.push(format!("one ended beside the others: {ended}; its last line: {last}"));
        } else if serves {
            let path = bench.subject.ready.as_deref().unwrap_or("/");
            let answer = Request::get(path).send(running.address(), bench.limit(ANSWER)).await;
            match answer {
                Ok(answer) if answer.status < 500 => {}
                Ok(answer) => lost.push(format!("GET {path}: status {}", answer.status)),
                Err(why) => lost.push(format!("GET {path}: {why}")),
            }
        }
        running.note(Lane::Audit, format!("{COPIES} copies at once"));
        timeline = running.end().await;
    }
    (lost, timeline)
}

fn judged(refused: &[String], lost: &[String]) -> Seen {
    match (refused.first(), lost.first()) {
        (None, None) => Seen::pass(format!(
            "{COPIES} copies run at once, each with its own port, on the same resources"
        )),
        (Some(why), _) => Seen::fail(format!(
            "beside one that runs, {} of {} more do not start: {why}",
            refused.len(),
            COPIES - 1
        )),
        (None, Some(why)) => Seen::fail(format!("{COPIES} copies do not run at once: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_copy_has_to_start_and_to_stay() {
        let some = || vec!["locked".to_owned()];
        assert_eq!(judged(&[], &[]).verdict, Verdict::Pass);
        assert_eq!(judged(&some(), &[]).verdict, Verdict::Fail);
        assert_eq!(judged(&[], &some()).verdict, Verdict::Fail);
        assert!(judged(&some(), &some()).evidence.contains("1 of 2"));
    }
}
