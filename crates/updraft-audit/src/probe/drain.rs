//! `IX.drain`: a request that is under way when SIGTERM comes is answered, and then the program
//! ends.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, serves_http, shell};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::hold::{Held, Way, hold};
use crate::lab::client::{Answer, Lost};
use crate::lab::process::Reception;
use crate::lab::{Ended, Running};
use crate::report::Lane;
use crate::seen::Seen;

pub(super) const DRAIN: Dynamic = Dynamic {
    id: ProbeId::IxDrain,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::DropsRequests]),
};

/// How long a program has to react to the signal before the request may go on: long enough for
/// an orderly exit that waits for nobody.
const REACTION: Duration = Duration::from_secs(1);
/// The same where a wrapper gets the signal first.
const REACTION_WRAPPED: Duration = Duration::from_millis(2500);
/// How long is waited for an end in a quick audit.
const QUICK: Duration = Duration::from_secs(3);

/// What was seen.
#[derive(Debug)]
struct Drained {
    way: Way,
    what: String,
    undisturbed: Option<u16>,
    /// What became of each request that was held.
    requests: Vec<Became>,
    /// What became of the signal.
    reception: Reception,
    ended: Option<Ended>,
    /// Whether nothing is left of the program.
    gone: bool,
    /// Of what is left, the first.
    left: Option<String>,
    /// From SIGTERM to the end, or how long was waited for it.
    took: Duration,
    /// From the last answer to the end.
    after: Duration,
    /// Whether it had all the time that its platform gives it.
    waited: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Became {
    Answered(u16),
    /// The connection broke, or closed without a whole answer.
    Lost(String),
    /// It is open, and nothing came.
    Unanswered,
}

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    // Idle: while threads are being made, all signals are blocked for a moment.
    let reception = running.reception();
    let held = match hold(&bench, &running).await {
        Ok(held) => held,
        Err(tried) => {
            let mut seen = Seen::unknown(format!(
                "no request could be held in it ({tried}); one that is declared `slow` would decide it"
            ));
            seen.timeline = running.end().await;
            return seen;
        }
    };
    let drained = drain(&bench, &mut running, held, reception).await;
    let mut seen = verdict(&drained);
    if seen.verdict != crate::verdict::Verdict::Pass {
        seen = seen.reproduced_by(shell::asked(&bench, &drained.way, &drained.what));
    }
    seen.timeline = running.end().await;
    seen
}

async fn drain(
    bench: &Bench,
    running: &mut Running,
    mut held: Held,
    reception: Reception,
) -> Drained {
    let (way, what, undisturbed) = (held.way.clone(), held.what.clone(), held.undisturbed);
    running.note(Lane::Client, format!("{} × `{what}` under way, {way}", held.count()));
    let wrapped = !running.leader().is_some_and(|leader| running.servers().contains(&leader));
    // Never less than the program's own grace: that is what the platform gives it.
    let grace = bench.subject.grace.max(bench.limit(Duration::from_secs(1)));
    let asked = running.elapsed();
    running.signal(Signal::TERM);
    let reaction = if wrapped { REACTION_WRAPPED } else { REACTION };
    let reaction = bench.limit(reaction).min(reaction * 2).min(grace / 3);
    let early = if held.is_stopped() { None } else { held.early(reaction).await };
    running.note(Lane::Client, "the request may go on");
    held.let_go().await;
    let within = if bench.quick { QUICK.min(grace) } else { grace };
    let answers = match early {
        Some(answer) => vec![answer],
        None => held.answers(within.saturating_sub(running.elapsed() - asked)).await,
    };
    let requests: Vec<_> = answers.iter().map(Became::of).collect();
    for request in &requests {
        running.note(Lane::Client, request.to_string());
    }
    drop(held);
    let answered = running.elapsed();
    // What the kernel never delivers needs no waiting for.
    let never = reception.never().is_some();
    let patience = if never && running.reception().never().is_some() {
        bench.limit(Duration::from_millis(300))
    } else {
        within.saturating_sub(answered - asked).max(bench.limit(Duration::from_millis(500)))
    };
    let ended = running.ended(patience).await;
    let gone = running.gone(patience.saturating_sub(running.elapsed() - answered)).await;
    let left = running.program().first().map(|left| crate::lab::process::line(*left));
    let (now, waited) = (running.elapsed(), within == grace);
    let (took, after) = (now - asked, now - answered);
    Drained { way, what, undisturbed, requests, reception, ended, gone, left, took, after, waited }
}

impl Became {
    fn of(answer: &Result<Answer, Lost>) -> Self {
        match answer {
            Ok(answer) => Self::Answered(answer.status),
            Err(Lost::TimedOut(_)) => Self::Unanswered,
            Err(lost) => Self::Lost(lost.to_string()),
        }
    }
}

impl std::fmt::Display for Became {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "it was answered with {status}"),
            Self::Lost(lost) => f.write_str(lost),
            Self::Unanswered => f.write_str("there was no answer"),
        }
    }
}

fn verdict(drained: &Drained) -> Seen {
    let Drained { way, what, requests, took, .. } = drained;
    let took = took.as_secs_f64();
    let lost = requests.iter().find(|request| matches!(request, Became::Lost(_)));
    if let Some(lost) = lost {
        let count = requests.iter().filter(|it| matches!(it, Became::Lost(_))).count();
        let exit = drained.ended.map(|ended| format!(" ({ended})")).unwrap_or_default();
        return Seen::fail(format!(
            "SIGTERM lost {} (`{what}`, {way}): {lost}{exit}",
            if requests.len() == 1 {
                "a request that was under way".to_owned()
            } else {
                format!("{count} of {} requests that were under way", requests.len())
            }
        ));
    }
    let valid = |status: u16| match drained.undisturbed {
        Some(usual) => status == usual || ((200..400).contains(&usual) && status < 400),
        None => status < 500,
    };
    for request in requests {
        match request {
            Became::Answered(status) if valid(*status) => {}
            Became::Answered(status) => {
                let usual = drained.undisturbed.unwrap_or(200);
                return Seen::warn(format!(
                    "a request that was under way at SIGTERM (`{what}`, {way}) was answered with {status}, where it is {usual} otherwise"
                ));
            }
            Became::Lost(_) | Became::Unanswered if drained.waited => {
                return Seen::fail(format!(
                    "a request that was under way at SIGTERM (`{what}`, {way}) got no answer within {took:.1} s"
                ));
            }
            Became::Lost(_) | Became::Unanswered => {
                return Seen::unknown(format!(
                    "a request that was under way at SIGTERM (`{what}`, {way}) got no answer within {took:.1} s; a full audit waits longer"
                ));
            }
        }
    }
    end(drained)
}

/// Once all requests were answered.
fn end(drained: &Drained) -> Seen {
    let Drained { way, what, took, left, .. } = drained;
    let kept = format!("the request under way (`{what}`, {way}) was answered");
    let took = took.as_secs_f64();
    let left = left.as_deref().unwrap_or("a process");
    match (drained.ended, drained.gone, drained.reception.never()) {
        (None, _, Some(never)) => Seen::fail(format!("{kept}, but it never ends: {never}")),
        (None, _, None) if drained.waited => {
            Seen::fail(format!("{kept}, but it still runs {took:.1} s after SIGTERM"))
        }
        (Some(ended), false, _) if drained.waited => Seen::fail(format!(
            "{kept} by a process that the signal has not ended: the program ended ({ended}), and `{left}` still runs {took:.1} s after SIGTERM"
        )),
        // Whoever answers within the step it is at has answered before it could react.
        (Some(_), true, _) if *way == Way::Burst => Seen::unknown(format!(
            "of {} requests caught under way at SIGTERM none was lost, but they are too quick to show much; a request that is declared `slow` would decide it",
            drained.requests.len()
        )),
        (Some(ended), true, _) if ended.is_orderly() => {
            Seen::pass(format!("{kept}, and it ended {took:.2} s after SIGTERM ({ended})"))
                .measured("drain_seconds", drained.after.as_secs_f64())
        }
        (Some(ended), true, _) => Seen::warn(format!(
            "{kept}, and then it ended with {ended}: a platform takes that for a crash"
        )),
        (_, _, None) | (Some(_), false, _) => Seen::unknown(format!(
            "{kept}, and it still runs {took:.1} s after SIGTERM; a full audit waits longer"
        )),
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
