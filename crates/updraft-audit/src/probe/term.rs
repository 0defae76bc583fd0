//! `IX.term`: SIGTERM ends an idle program in order, and all of it.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Ended;
use crate::seen::Seen;
use crate::verdict::Shape;

pub(super) const TERM: Dynamic = Dynamic {
    id: ProbeId::IxTerm,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::IgnoresTerm]),
};

/// How long is waited for an end in a quick audit.
const QUICK: Duration = Duration::from_secs(3);
/// How long is waited for an end that cannot come.
const CERTAIN: Duration = Duration::from_millis(300);

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    // Never less than the program's own grace: that is what the platform gives it.
    let grace = bench.subject.grace.max(bench.limit(Duration::from_secs(1)));
    let never = running.reception().never();
    let asked = running.elapsed();
    running.signal(Signal::TERM);
    // What the kernel never delivers needs no waiting for.
    let quick = if never.is_some() { CERTAIN } else { QUICK };
    let grace = if bench.quick || never.is_some() { quick.min(grace) } else { grace };
    let ended = running.ended(grace).await;
    let never = never.filter(|_| running.reception().never().is_some());
    let gone = running.gone(grace.saturating_sub(running.elapsed().saturating_sub(asked))).await;
    let took = running.elapsed().saturating_sub(asked);
    let left = running.program();
    let mut seen = match (ended, never) {
        (_, None) if !gone && grace < bench.subject.grace => Seen::unknown(format!(
            "it still runs {:.1} s after SIGTERM; a full audit waits longer",
            grace.as_secs_f64()
        )),
        (None, Some(never)) => {
            Seen::fail(format!("SIGTERM never ends it: {never}")).reproduced_by(again(&bench))
        }
        _ => verdict(&bench, ended, gone, grace, took, left.len()),
    };
    seen.timeline = running.end().await;
    seen
}

fn verdict(
    bench: &Bench,
    ended: Option<Ended>,
    gone: bool,
    grace: Duration,
    took: Duration,
    left: usize,
) -> Seen {
    let seconds = took.as_secs_f64();
    match ended {
        None => {
            let why = match bench.shape {
                Shape::Child => "",
                Shape::Pid1 => " (as the first process of a container it gets no signal that it has no handler for)",
            };
            Seen::fail(format!("it still runs {} s after SIGTERM{why}", grace.as_secs_f64()))
        }
        Some(ended) if !gone => Seen::fail(format!(
            "it ended ({ended}), and {left} of its processes still run {} s after SIGTERM",
            grace.as_secs_f64()
        )),
        Some(ended) if ended.is_orderly() => {
            Seen::pass(format!("it ended {seconds:.2} s after SIGTERM ({ended}), and left nothing"))
                .measured("term_seconds", seconds)
        }
        Some(ended) => Seen::warn(format!(
            "it ended {seconds:.2} s after SIGTERM, with {ended}: a platform takes that for a crash"
        )),
    }
    .reproduced_by(again(bench))
}

fn again(bench: &Bench) -> String {
    let watched = match bench.shape {
        Shape::Child => "kill -TERM $P; wait $P; echo \"exit code $?\"",
        Shape::Pid1 => "kill -TERM $P; sleep 10; ps -o pid,etime,args -p $P",
    };
    format!("{}; {watched}", bench.started())
}
