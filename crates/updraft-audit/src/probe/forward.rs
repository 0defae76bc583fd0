//! `IX.forward`: the signal reaches the process that serves, and no server outlives the process
//! that the platform knows.
//!
//! Whether a signal was passed on shows in the kernel: the server is stopped for a moment, and
//! what it is sent then stands in its pending signals.

use std::time::Duration;

use rustix::process::Signal;
use updraft_engine::ProcessId;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::process::{self, Masks, Reception};
use crate::lab::{Ended, Running};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::{Shape, Verdict};

pub(super) const FORWARD: Dynamic = Dynamic {
    id: ProbeId::IxForward,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::Wrapped]),
};

/// How long a wrapper has to pass the signal on while the server is stopped.
const PASSED_ON: Duration = Duration::from_secs(1);
/// How long a server may take to stop.
const STOPPED: Duration = Duration::from_secs(1);
/// How long a server may serve on after its wrapper has ended.
const ORPHANED: Duration = Duration::from_secs(2);
/// The most that these become on a slow machine.
const PATIENCE_MAX: Duration = Duration::from_secs(4);
/// How long is waited for an end in a quick audit.
const QUICK: Duration = Duration::from_secs(3);
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(1);
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// What a wrapper may pass on instead of SIGTERM.
const SIGNALS: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// What was seen.
#[derive(Clone, Debug)]
struct Forwarded {
    shape: Shape,
    /// The process that gets the signal.
    wrapper: String,
    /// The one that listens.
    server: String,
    /// What reached the server while it was stopped.
    reached: Option<Signal>,
    /// Whether it took nothing meanwhile, so that what reached it could be seen.
    stood_still: bool,
    /// Why the wrapper never gets the signal, if it does not.
    never: Option<&'static str>,
    /// Whether the server would have done something on SIGTERM.
    handles: bool,
    ended: Option<Ended>,
    gone: bool,
    /// Whether the server still answered when it had been an orphan for a while.
    orphan_answers: bool,
    /// Whether it ended when it got SIGTERM itself.
    ends_by_itself: Option<bool>,
    waited: bool,
    seconds: f64,
}

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let (leader, servers) = (running.leader(), running.servers());
    let (Some(leader), Some(server)) = (leader, servers.last().copied()) else {
        let mut seen = Seen::unknown("the process that listens cannot be told");
        seen.timeline = running.end().await;
        return seen;
    };
    let mut seen = if servers.contains(&leader) {
        Seen::pass(format!(
            "the process that gets the signal serves itself (`{}`)",
            process::line(leader)
        ))
    } else {
        let seen = forwarded(&bench, &mut running, leader, server, &servers).await;
        let verdict = verdict(&seen);
        if verdict.verdict == Verdict::Fail {
            let look = match bench.shape {
                Shape::Child => "ss -ltnp | grep :8080 # it should be gone",
                Shape::Pid1 => "ps -o pid,args --ppid $P # it should be gone",
            };
            let line = format!("{}; kill -TERM $P; sleep 3; {look}", bench.started());
            verdict.reproduced_by(line)
        } else {
            verdict
        }
    };
    seen.timeline = running.end().await;
    seen
}

async fn forwarded(
    bench: &Bench,
    running: &mut Running,
    leader: ProcessId,
    server: ProcessId,
    servers: &[ProcessId],
) -> Forwarded {
    let (wrapper, line) = (process::line(leader), process::line(server));
    let handles = Reception::of(server, Shape::Child, Signal::TERM) == Reception::Handled;
    let never = running.reception().never();
    let grace = bench.subject.grace.max(bench.limit(Duration::from_secs(1)));
    let within = if bench.quick { QUICK.min(grace) } else { grace };
    servers.iter().for_each(|server| server.signal(Signal::STOP));
    let stood_still = process::stand_still(servers, bench.limit(STOPPED).min(PATIENCE_MAX)).await;
    let asked = running.elapsed();
    running.signal(Signal::TERM);
    let reached = reaches(bench, running, servers).await;
    if let Some(signal) = reached {
        running.note(Lane::Program, format!("`{line}` is sent signal {}", signal.as_raw()));
    }
    servers.iter().for_each(|server| server.signal(Signal::CONT));
    let never = never.filter(|_| running.reception().never().is_some());
    let patience = if never.is_some() { Duration::ZERO } else { within };
    let ended = running.ended(patience.saturating_sub(running.elapsed() - asked)).await;
    let orphaned = ended.is_some() && reached.is_none();
    let rest = patience.saturating_sub(running.elapsed() - asked);
    let rest = if orphaned { rest.min(bench.limit(ORPHANED).min(PATIENCE_MAX)) } else { rest };
    let gone = running.gone(rest.max(bench.limit(Duration::from_millis(200)))).await;
    let orphan_answers = orphaned && !gone && answers(bench, running).await;
    let ends_by_itself = if gone || reached.is_some() {
        None
    } else {
        server.signal(Signal::TERM);
        Some(ends(bench, server).await)
    };
    Forwarded {
        shape: bench.shape,
        wrapper,
        server: line,
        reached,
        stood_still,
        never,
        handles,
        ended,
        gone,
        orphan_answers,
        ends_by_itself,
        waited: within == grace,
        seconds: (running.elapsed() - asked).as_secs_f64(),
    }
}

/// The signal that reaches a stopped server; `None`: none does, or it is gone.
async fn reaches(bench: &Bench, running: &Running, servers: &[ProcessId]) -> Option<Signal> {
    let until = running.elapsed() + bench.limit(PASSED_ON).min(PATIENCE_MAX);
    while running.elapsed() < until {
        let waiting = servers.iter().find_map(|server| {
            // A process of this pid that is another one has no stopped server's signals.
            server.is_alive().then(|| Masks::of(server.pid))??.waiting(&SIGNALS)
        });
        if waiting.is_some() {
            return waiting;
        }
        if !servers.iter().any(|server| server.is_alive()) {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

async fn answers(bench: &Bench, running: &Running) -> bool {
    let path = bench.subject.ready.as_deref().unwrap_or("/");
    Request::get(path).send(running.address(), bench.limit(QUESTION)).await.is_ok()
}

async fn ends(bench: &Bench, server: ProcessId) -> bool {
    let gone = async {
        while server.is_alive() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(bench.limit(ORPHANED), gone).await.is_ok()
}

fn verdict(seen: &Forwarded) -> Seen {
    let Forwarded { wrapper, server, seconds, .. } = seen;
    let mend = "start the server with `exec`, or with an init that passes signals on";
    let direct = match seen.ends_by_itself {
        Some(true) => " (a SIGTERM sent to it directly ends it)",
        _ => "",
    };
    if let Some(signal) = seen.reached {
        let name = signal_hook::low_level::signal_name(signal.as_raw()).unwrap_or("a signal");
        return match (seen.gone, seen.ended) {
            (false, Some(ended)) if seen.waited => Seen::fail(format!(
                "`{wrapper}` passes {name} on and does not wait: it ended ({ended}), and `{server}` still runs {seconds:.1} s after SIGTERM"
            )),
            _ => Seen::pass(format!("`{wrapper}` passes {name} on to `{server}`")),
        };
    }
    if let Some(never) = seen.never {
        return Seen::fail(format!(
            "SIGTERM never reaches the server `{server}`: `{wrapper}` stands before it, and {never}{direct}; {mend}"
        ));
    }
    match (seen.ended, seen.gone) {
        (Some(ended), false) if seen.orphan_answers => Seen::fail(format!(
            "the server `{server}` is left behind: `{wrapper}` got SIGTERM and ended ({ended}), and {seconds:.1} s later the server still answers{direct}; {mend}"
        )),
        (Some(ended), false) if seen.waited || seen.ends_by_itself == Some(true) => {
            Seen::fail(format!(
                "the server `{server}` is left behind: `{wrapper}` got SIGTERM and ended ({ended}), and the server still runs{direct}; {mend}"
            ))
        }
        _ if !seen.stood_still => Seen::unknown(format!(
            "`{server}` could not be stopped in time, so what `{wrapper}` passes on to it was not seen"
        )),
        (Some(ended), true) if seen.shape == Shape::Pid1 => {
            let killed = format!(
                "`{wrapper}` ended on SIGTERM ({ended}) and passed nothing on: the kernel kills `{server}` with it"
            );
            if seen.handles {
                Seen::fail(format!("{killed}, before it could do what it does on SIGTERM; {mend}"))
            } else {
                Seen::warn(format!("{killed}; {mend}"))
            }
        }
        (Some(_), true) => {
            Seen::pass(format!("`{server}` ends with `{wrapper}`, {seconds:.1} s after SIGTERM"))
        }
        (None, _) if !seen.waited => Seen::unknown(format!(
            "`{wrapper}` passed no signal on to `{server}` within {seconds:.1} s; a full audit waits longer"
        )),
        (None, _) if seen.ends_by_itself == Some(true) => Seen::fail(format!(
            "SIGTERM never reaches the server `{server}`: `{wrapper}` gets it and passes it on to nobody within {seconds:.1} s{direct}; {mend}"
        )),
        (None, _) | (Some(_), false) => Seen::unknown(format!(
            "`{server}` does not end by a SIGTERM of its own either, so nothing shows whether `{wrapper}` has told it"
        )),
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
