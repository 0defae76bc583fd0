//! `XI.stdout`: what the program says of a request comes out on standard output or error at
//! once, and none of it is lost when the program ends.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Running;
use crate::lab::client::Request;
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const STDOUT: Dynamic = Dynamic {
    id: ProbeId::XiStdout,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::Buffered], Verdict::Fail),
        Control::new(&[Behaviour::Silent], Verdict::Unknown),
    ],
};

/// How soon a line has to come.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Requests that fill any usual buffer (8 KiB, at most 64) with their lines.
const FLOOD: usize = 320;
/// Of these so many at a time.
const CLIENTS: usize = 8;
/// What makes their lines long.
const PADDING: usize = 200;
/// How long a flood may take.
const FLOODED: Duration = Duration::from_secs(5);
/// How long one request may take.
const QUESTION: Duration = Duration::from_secs(2);
/// How long its end is waited for.
const ENDS: Duration = Duration::from_secs(3);
/// How long a program has to be silent, and how long its line for one request is waited for.
const SILENCE: Duration = Duration::from_millis(200);

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// When the line for a request came.
    at_once: Option<Duration>,
    /// Whether each request brought a line that does not name it.
    line_each: bool,
    /// Whether lines came when there were many.
    when_many: bool,
    /// Whether the line of the last request came before or at its end.
    last_came: bool,
    /// Whether it was seen to end.
    ended: bool,
    /// Whether it says anything at all.
    talks: bool,
}

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let canary = format!("updraft-{:016x}", fastrand::u64(..));
    let said = said(&bench, &mut running, &canary).await;
    let mut seen = verdict(&said).reproduced_by(format!(
        "({}) > /tmp/out 2>&1 & P=$!; sleep 2; curl -s http://127.0.0.1:8080/updraft-canary > /dev/null; sleep 1; grep -c updraft-canary /tmp/out; kill -TERM $P; sleep 1; grep -c updraft-canary /tmp/out",
        bench.pasted(8080).replace("&& ", "&& exec env ")
    ));
    seen.timeline = running.end().await;
    seen
}

async fn said(bench: &Bench, running: &mut Running, canary: &str) -> Said {
    let mut said = Said::default();
    let ready = bench.subject.ready.as_deref().unwrap_or("/").to_owned();
    let joint = if ready.contains('?') { '&' } else { '?' };
    let asked = running.elapsed();
    running.note(Lane::Client, format!("requests that name {canary}"));
    for target in [format!("/{canary}"), format!("{ready}{joint}updraft={canary}")] {
        // Whatever is answered: the line is what counts.
        drop(Request::get(&target).send(running.address(), bench.limit(QUESTION)).await);
    }
    let came = running.output().line(bench.limit(AT_ONCE), |line| line.text.contains(canary)).await;
    if let Some(line) = came {
        said.at_once = Some(line.at.saturating_sub(asked));
        return said;
    }
    said.line_each = line_each(bench, running, &ready).await;
    if said.line_each {
        return said;
    }
    flood(bench, running, canary).await;
    let within = bench.limit(SILENCE);
    said.when_many =
        running.output().line(within, |line| line.text.contains(canary)).await.is_some();
    let last = format!("{canary}-last");
    drop(Request::get(&format!("/{last}")).send(running.address(), bench.limit(QUESTION)).await);
    running.signal(Signal::TERM);
    said.ended = running.ended(bench.limit(ENDS)).await.is_some();
    said.last_came =
        running.output().line(within, |line| line.text.contains(&last)).await.is_some();
    said.talks = !running.output().all().is_empty();
    said
}

/// Whether each of a few requests brings a line, in a program that says nothing otherwise.
async fn line_each(bench: &Bench, running: &Running, path: &str) -> bool {
    const REQUESTS: usize = 3;
    let count = || running.output().all().len();
    let mut before = count();
    tokio::time::sleep(bench.limit(SILENCE)).await;
    if count() != before {
        return false;
    }
    for _ in 0..REQUESTS {
        drop(Request::get(path).send(running.address(), bench.limit(QUESTION)).await);
        let until = running.elapsed() + bench.limit(SILENCE);
        while count() == before {
            if running.elapsed() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        before = count();
    }
    true
}

async fn flood(bench: &Bench, running: &Running, canary: &str) {
    let until = running.elapsed() + bench.limit(FLOODED).min(FLOODED * 2);
    let request = Request::get(&format!("/{canary}-{}", "x".repeat(PADDING)));
    let clients = (0..CLIENTS).map(|_| async {
        for _ in 0..FLOOD / CLIENTS {
            if running.elapsed() >= until {
                return;
            }
            drop(request.send(running.address(), bench.limit(QUESTION)).await);
        }
    });
    futures_util::future::join_all(clients).await;
}

fn verdict(said: &Said) -> Seen {
    if let Some(after) = said.at_once {
        let seconds = after.as_secs_f64();
        return Seen::pass(format!(
            "the line for a request comes {:.0} ms after it",
            seconds * 1e3
        ))
        .measured("log_seconds", seconds);
    }
    let mend = "write each line at once (PYTHONUNBUFFERED=1, a flush after each line)";
    match said {
        Said { line_each: true, .. } => {
            Seen::pass("it writes a line for each request at once (without its path)")
        }
        Said { when_many: true, last_came: false, ended: true, .. } => Seen::fail(format!(
            "what it says stays in a buffer: lines came only after hundreds of requests, and those of the last ones were lost at SIGTERM; {mend}"
        )),
        Said { when_many: true, .. } => Seen::warn(format!(
            "what it says stays in a buffer: lines come only after hundreds of requests, or at its end; {mend}"
        )),
        Said { last_came: true, .. } => {
            Seen::warn(format!("what it says of requests comes only when it ends; {mend}"))
        }
        Said { talks: true, .. } => Seen::unknown(
            "it writes lines, and none about requests: an access log would show whether they come at once",
        ),
        _ => Seen::unknown(
            "it writes nothing at all: an access log would show whether lines come at once",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_exist_and_are_lost_are_a_failure() {
        let none = Said::default();
        let many = Said { when_many: true, ended: true, ..none };
        let table = [
            (Said { at_once: Some(Duration::from_millis(9)), ..none }, Verdict::Pass),
            (Said { line_each: true, ..none }, Verdict::Pass),
            (many, Verdict::Fail),
            (Said { last_came: true, ..many }, Verdict::Warn),
            (Said { ended: false, ..many }, Verdict::Warn),
            (Said { last_came: true, ended: true, ..none }, Verdict::Warn),
            (Said { talks: true, ended: true, ..none }, Verdict::Unknown),
            (none, Verdict::Unknown),
        ];
        for (said, expected) in table {
            assert_eq!(verdict(&said).verdict, expected, "{said:?}");
        }
    }
}
