//! `H.split`: readiness and liveness are two questions: without what it needs a program takes no
//! requests, and starting it again would not help.

use std::time::{Duration, Instant};

use updraft_mesh::instrument::{Manner, Setting, Target, When};

use super::egress::peer;
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Address, Running};
use crate::report::Lane;
use crate::seen::Seen;
use crate::subject::{Serves, Subject};
use crate::verdict::Verdict;

pub(super) const SPLIT: Dynamic = Dynamic {
    id: ProbeId::HSplit,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Splits], Verdict::Pass).with(needs_peer),
        Control::new(&[Behaviour::AsksPeer], Verdict::Warn).with(needs_peer),
    ],
};

fn needs_peer(subject: &mut Subject) {
    peer(subject);
    subject.live = Some("/livez".to_owned());
    subject.ready = Some("/readyz".to_owned());
}

/// Pairs of paths that programs commonly have, liveness first.
const PAIRS: &[(&str, &str)] = &[
    ("/livez", "/readyz"),
    ("/healthz", "/readyz"),
    ("/healthz", "/ready"),
    ("/health/live", "/health/ready"),
    ("/live", "/ready"),
];
/// A path that nobody has: what answers it says yes to everything.
const NOBODY: &str = "/updraft-check-nobody-has-this";
/// How long readiness may take to drop.
const DROPS_WITHIN: Duration = Duration::from_secs(6);
/// The same on the slowest machine.
const DROPS_WITHIN_MAX: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(3);

fn applies(subject: &Subject) -> Result<(), Seen> {
    if subject.serves == Serves::Nothing {
        return Err(Seen::not_applicable("it serves nothing on a port"));
    }
    if subject.needs.is_empty() {
        return Err(Seen::info(
            "it has declared nothing that it needs, whose loss could tell readiness and liveness \
             apart",
        ));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let mut seen = judge(&bench, &running).await;
    seen.timeline = running.end().await;
    seen
}

async fn judge(bench: &Bench, running: &Running) -> Seen {
    let Some((live, ready)) = paths(bench, &running.address()).await else {
        return Seen::info(
            "it has no paths of its own for liveness and readiness, as far as they are declared \
             or commonly called",
        );
    };
    if live == ready {
        return Seen::warn(format!(
            "{live} answers for both: what cannot take requests is started again for it"
        ));
    }
    let instruments: Vec<_> = running.attached().iter().filter_map(|it| it.instrument()).collect();
    if instruments.is_empty() {
        return Seen::info(format!(
            "{live} and {ready} are two; it needs nothing whose loss could tell them apart"
        ));
    }
    if instruments.iter().all(|instrument| instrument.counts().connections_total == 0) {
        return Seen::unknown(
            "it has not used anything that it needs since it was started, so nothing can be lost \
             to it",
        );
    }
    for instrument in &instruments {
        instrument.set(Setting::Cut {
            when: When::Now { refuse: true },
            target: Target::whole(),
            manner: Manner::Reset,
        });
    }
    running.note(Lane::Audit, "everything that it needs is gone");
    let until = Instant::now() + bench.limit(DROPS_WITHIN).min(DROPS_WITHIN_MAX);
    let mut told = Told { ready_dropped: false, live_dropped: false };
    while Instant::now() < until && !told.ready_dropped && !told.live_dropped {
        told.live_dropped = !is_yes(bench, &running.address(), &live).await;
        told.ready_dropped = !is_yes(bench, &running.address(), &ready).await;
        tokio::time::sleep(ASK_EVERY).await;
    }
    // Liveness may follow readiness.
    told.live_dropped |= !is_yes(bench, &running.address(), &live).await;
    verdict(told, &live, &ready)
}

#[derive(Clone, Copy, Debug)]
struct Told {
    ready_dropped: bool,
    live_dropped: bool,
}

fn verdict(told: Told, live: &str, ready: &str) -> Seen {
    match (told.ready_dropped, told.live_dropped) {
        (true, false) => {
            Seen::pass(format!("without what it needs {ready} says no and {live} still says yes"))
        }
        (_, true) => Seen::warn(format!(
            "without what it needs {live} says no too: a platform would start it again and again"
        )),
        (false, false) => Seen::warn(format!(
            "without what it needs {ready} still says yes: it gets requests that it cannot serve"
        )),
    }
}

/// Its paths for liveness and readiness.
async fn paths(bench: &Bench, address: &Address) -> Option<(String, String)> {
    let subject = &bench.subject;
    if let (Some(live), Some(ready)) = (&subject.live, &subject.ready) {
        return Some((live.clone(), ready.clone()));
    }
    if is_yes(bench, address, NOBODY).await {
        return None;
    }
    for (live, ready) in PAIRS {
        if is_yes(bench, address, live).await && is_yes(bench, address, ready).await {
            return Some(((*live).to_owned(), (*ready).to_owned()));
        }
    }
    None
}

async fn is_yes(bench: &Bench, address: &Address, target: &str) -> bool {
    let asked = Request::get(target).send(address, bench.limit(ANSWER)).await;
    asked.is_ok_and(|answer| answer.is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_has_to_drop_and_liveness_has_to_stay() {
        let table = [
            (true, false, Verdict::Pass),
            (true, true, Verdict::Warn),
            (false, true, Verdict::Warn),
            (false, false, Verdict::Warn),
        ];
        for (ready_dropped, live_dropped, expected) in table {
            let told = Told { ready_dropped, live_dropped };
            assert_eq!(verdict(told, "/livez", "/readyz").verdict, expected, "{told:?}");
        }
    }
}
