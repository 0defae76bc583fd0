//! `IX.idle`: a client that is connected and asks nothing does not keep the program from ending.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Running;
use crate::lab::client::{Answer, Connection, Lost, Request};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const IDLE: Dynamic = Dynamic {
    id: ProbeId::IxIdle,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::WaitsForIdle], Verdict::Warn),
    ],
};

/// A client that is idle may delay the end by so much.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// How long the end may take once the client has gone.
const AFTER: Duration = Duration::from_secs(2);
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Clone, Copy, Debug)]
struct Idled {
    /// Whether all of it ended while the client was connected.
    ended: bool,
    /// Whether it ended once the client had gone.
    after: bool,
    seconds: f64,
    /// Whether the last answer said that the connection ends.
    told: Option<bool>,
}

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let never = running.reception().never();
    let mut seen = match (never, kept(&bench, &running).await) {
        (Some(never), _) => Seen::unknown(format!("it does not end on SIGTERM at all: {never}")),
        (None, Err(lost)) => Seen::unknown(format!("no client could be connected: {lost}")),
        (None, Ok(None)) => Seen::pass("it keeps no idle connections"),
        (None, Ok(Some(connections))) => {
            let idled = idled(&bench, &mut running, connections).await;
            let path = bench.subject.ready.as_deref().unwrap_or("/");
            verdict(&idled).reproduced_by(format!(
                "{}; exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET {path} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; sleep .5; kill -TERM $P; time timeout 15 tail --pid=$P -f /dev/null",
                bench.started()
            ))
        }
    };
    seen.timeline = running.end().await;
    seen
}

/// Two connections that have had an answer each; `None`: the program keeps none.
async fn kept(bench: &Bench, running: &Running) -> Result<Option<[Connection; 2]>, Lost> {
    let mut kept = Vec::new();
    for _ in 0..2 {
        let asked = async {
            let mut connection = Connection::open(running.address()).await?;
            connection.send(&request(bench), true).await?;
            let answer = connection.answer(false).await?;
            Ok((connection, answer))
        };
        let within = bench.limit(QUESTION);
        let asked = tokio::time::timeout(within, asked).await;
        let (mut connection, answer) = asked.unwrap_or(Err(Lost::TimedOut(within)))?;
        if closes(&answer) || connection.closed(Duration::from_millis(50)).await {
            return Ok(None);
        }
        kept.push(connection);
    }
    Ok(<[Connection; 2]>::try_from(kept).ok())
}

fn request(bench: &Bench) -> Request {
    Request::get(bench.subject.ready.as_deref().unwrap_or("/"))
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

async fn idled(bench: &Bench, running: &mut Running, connections: [Connection; 2]) -> Idled {
    let [idle, mut last] = connections;
    let limit = bench.limit(DELAY_MAX).min(bench.subject.grace.max(DELAY_MAX));
    running.note(Lane::Client, "two connections are open and idle");
    let asked = running.elapsed();
    running.signal(Signal::TERM);
    let answered = async {
        last.send(&request(bench), true).await.ok()?;
        last.answer(false).await.ok()
    };
    let answer = tokio::time::timeout(Duration::from_millis(300), answered).await.ok().flatten();
    drop(last);
    let ended = over(running, asked + limit).await;
    let seconds = (running.elapsed() - asked).as_secs_f64();
    drop(idle);
    let mut after = false;
    if !ended {
        running.note(Lane::Client, "the idle connection is closed");
        let until = running.elapsed() + bench.limit(AFTER).min(DELAY_MAX);
        after = over(running, until).await;
    }
    Idled { ended, after, seconds, told: answer.as_ref().map(closes) }
}

/// Whether all of it is gone at a time since its start.
async fn over(running: &mut Running, until: Duration) -> bool {
    running.ended(until.saturating_sub(running.elapsed())).await.is_some()
        && running.gone(until.saturating_sub(running.elapsed())).await
}

fn verdict(idled: &Idled) -> Seen {
    let seconds = idled.seconds;
    let told = match idled.told {
        Some(true) => "; its last answer says `Connection: close`",
        Some(false) => "; its last answer after SIGTERM does not say `Connection: close`",
        None => "",
    };
    match (idled.ended, idled.after) {
        (true, _) => Seen::pass(format!(
            "it ended {seconds:.2} s after SIGTERM although a client stayed connected{told}"
        ))
        .measured("idle_term_seconds", seconds),
        (false, true) => Seen::warn(format!(
            "it did not end within {seconds:.1} s after SIGTERM as long as an idle client was connected, and did when that had gone{told}; close idle connections when SIGTERM comes"
        )),
        (false, false) => Seen::unknown(format!(
            "it did not end within {seconds:.1} s after SIGTERM, nor when the idle client had gone: what delays it is something else"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_client_whose_leaving_ends_the_program_has_delayed_it() {
        let table = [
            (true, false, Verdict::Pass),
            (false, true, Verdict::Warn),
            (false, false, Verdict::Unknown),
        ];
        for (ended, after, expected) in table {
            let seen = verdict(&Idled { ended, after, seconds: 5.0, told: None });
            assert_eq!(seen.verdict, expected, "{ended} {after}");
        }
    }
}
