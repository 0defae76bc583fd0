//! `IV.stall`: a resource takes what it is sent and never answers. Requests end all the same,
//! and the program still says that it lives.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use updraft_mesh::instrument::{Instrument, Setting, Target};

use super::visit::{
    Visit, again, candidates, needs_resources_and_http, together, touching, traffic, untouched,
    with_resource, without_wire,
};
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Attached, Running};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

/// A request has to end within this. It is the program's own clock that ends it, so it does not
/// depend on the machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that wait for the resource at a time.
const LOAD: usize = 2;
/// How long an answer may take that says that it lives: what Kubernetes gives it by default,
/// and a little more.
const LIVE_WITHIN: Duration = Duration::from_millis(1500);
/// The same on the slowest machine.
const LIVE_WITHIN_MAX: Duration = Duration::from_secs(5);
/// After so many without an answer in a row a platform kills it (Kubernetes: `failureThreshold`).
const LIVE_FAILURES: usize = 3;
/// From the stall to the first question, and from one to the next.
const ASK_EVERY: Duration = Duration::from_millis(250);

pub(super) const STALL: Dynamic = Dynamic {
    id: ProbeId::IvStall,
    applies: needs_resources_and_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::LivenessAsks], Verdict::Fail).with(with_resource),
    ],
};

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let mut all = Vec::new();
    for attached in running.attached() {
        let seen = one(&bench, &running, attached).await;
        let failed = seen.verdict == Verdict::Fail;
        all.push(seen);
        if failed {
            break;
        }
    }
    let mut seen = together(all).reproduced_by(again(&bench, ProbeId::IvStall));
    seen.timeline = running.end().await;
    seen
}

async fn one(bench: &Bench, running: &Running, attached: &Attached) -> Seen {
    let Some(instrument) = attached.instrument() else { return without_wire(attached) };
    let Some(visit) = touching(bench, running, instrument).await else {
        return untouched(attached, &bench.subject);
    };
    let lifeline = Lifeline::find(bench, running, instrument).await;
    let stalled_before = instrument.counts().stalled;
    instrument.set(Setting::Stall { on: None, target: Target::whole() });
    running.note(Lane::Resource, format!("{} answers no more", attached.name));
    let began = Instant::now();
    let address = running.address();
    // Where requests wait for each other, the first to end tells how long one takes.
    let load = (0..LOAD).map(|_| async {
        drop(visit.pay(&address, PATIENCE).await);
        began.elapsed()
    });
    let load = futures_util::future::join_all(load);
    let alive = async {
        match &lifeline {
            Some(lifeline) => Some(lifeline.watch(bench, running).await),
            None => None,
        }
    };
    let (took, alive) = both(load, alive).await;
    let bitten = instrument.counts().stalled > stalled_before;
    instrument.set(Setting::Pass);
    running.note(Lane::Resource, format!("{} answers again", attached.name));
    let path = lifeline.as_ref().map(|lifeline| (lifeline.path.as_str(), lifeline.declared));
    judged(&During { bitten, took, alive, lifeline: path }, attached.name.as_str(), &visit)
}

/// The time of the request that ended first, and whether the program lived; the latter alone
/// once it did not.
async fn both(
    load: impl Future<Output = Vec<Duration>>,
    alive: impl Future<Output = Option<bool>>,
) -> (Duration, Option<bool>) {
    let first = |all: Vec<Duration>| all.into_iter().min().unwrap_or(PATIENCE);
    tokio::pin!(load, alive);
    tokio::select! {
        all = &mut load => (first(all), alive.await),
        alive = &mut alive => match alive {
            Some(false) => (PATIENCE, alive),
            other => (first(load.await), other),
        },
    }
}

/// A page that tells whether the program lives.
struct Lifeline {
    path: String,
    /// Whether the platform asks it and kills the program by it.
    declared: bool,
}

impl Lifeline {
    /// The declared one, or a page that does without the resource.
    async fn find(bench: &Bench, running: &Running, instrument: &Instrument) -> Option<Self> {
        if let Some(path) = bench.subject.live.clone() {
            let lives = Self { path, declared: true };
            return lives.answers(bench, running).await.then_some(lives);
        }
        for visit in candidates(&bench.subject) {
            let Visit::Get(path) = visit else { continue };
            let lifeline = Self { path, declared: false };
            let before = traffic(instrument);
            if lifeline.answers(bench, running).await && traffic(instrument) == before {
                return Some(lifeline);
            }
        }
        None
    }

    async fn answers(&self, bench: &Bench, running: &Running) -> bool {
        let within = bench.limit(LIVE_WITHIN).min(LIVE_WITHIN_MAX);
        let answer = Request::get(&self.path).send(running.address(), within).await;
        answer.is_ok_and(|answer| answer.is_success())
    }

    /// Whether it never went silent so often in a row that a platform would kill the program.
    async fn watch(&self, bench: &Bench, running: &Running) -> bool {
        let mut row = 0;
        for _ in 0..LIVE_FAILURES * 2 {
            tokio::time::sleep(ASK_EVERY).await;
            row = if self.answers(bench, running).await { 0 } else { row + 1 };
            if row == LIVE_FAILURES {
                running.note(Lane::Client, format!("GET {} has no answer {row} times", self.path));
                return false;
            }
        }
        true
    }
}

/// What was seen while the resource did not answer.
struct During<'a> {
    /// Whether something of the program waited for the resource.
    bitten: bool,
    /// How long the requests took.
    took: Duration,
    /// Whether the page that tells that it lives did so; `None`: there is none.
    alive: Option<bool>,
    /// That page, and whether it is declared.
    lifeline: Option<(&'a str, bool)>,
}

fn judged(during: &During<'_>, resource: &str, visit: &Visit) -> Seen {
    let seconds = during.took.as_secs_f64();
    if !during.bitten {
        return Seen::unknown(format!("while `{resource}` did not answer, nothing asked it"));
    }
    let ends = during.took < PATIENCE;
    let requests = if ends {
        format!("{visit} ends after {seconds:.1} s while `{resource}` does not answer")
    } else {
        format!("{visit} has not ended {seconds:.0} s after `{resource}` stopped to answer")
    };
    match (during.lifeline, during.alive) {
        (Some((path, true)), Some(false)) => Seen::fail(format!(
            "while `{resource}` does not answer, GET {path} has no good answer {LIVE_FAILURES} \
             times in a row: a platform kills it for that, again and again"
        )),
        (Some((path, false)), Some(false)) => Seen::warn(format!(
            "while `{resource}` does not answer, GET {path}, which does not need it, has no \
             answer either"
        )),
        _ if !ends => Seen::warn(format!("{requests}: it has no time limit")),
        (Some((path, _)), Some(true)) => Seen::pass(format!("{requests}, and GET {path} answers"))
            .measured("stall_request_seconds", seconds),
        _ => Seen::unknown(format!(
            "{requests}; whether it still lives for a platform cannot be seen without a path \
             that says so"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_declared_page_that_goes_silent_fails() {
        let (soon, never) = (Duration::from_secs(1), PATIENCE);
        let (declared, found) = (Some(("/live", true)), Some(("/x", false)));
        let table = [
            (true, soon, declared, Some(true), Verdict::Pass),
            (true, soon, found, Some(true), Verdict::Pass),
            (true, soon, declared, Some(false), Verdict::Fail),
            (true, never, declared, Some(false), Verdict::Fail),
            (true, soon, found, Some(false), Verdict::Warn),
            (true, never, declared, Some(true), Verdict::Warn),
            (true, never, None, None, Verdict::Warn),
            (true, soon, None, None, Verdict::Unknown),
            (false, soon, declared, Some(true), Verdict::Unknown),
        ];
        for (bitten, took, lifeline, alive, expected) in table {
            let during = During { bitten, took, alive, lifeline };
            let seen = judged(&during, "db", &Visit::Get("/".into()));
            assert_eq!(seen.verdict, expected, "{}", seen.evidence);
        }
    }
}
