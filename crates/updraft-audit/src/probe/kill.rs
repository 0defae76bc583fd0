//! `IX.kill`: a program that is killed in the middle of its work starts again as it was: at its
//! port, with its folder and its resources, in about the time it always takes.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::start::quantile;
use super::{Bench, Control, Dynamic, Looking, serves_http, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::journey::{Client, first_read_after_write};
use crate::lab::client::Request;
use crate::lab::{Running, Setup, Unstartable};
use crate::report::{Lane, Moment};
use crate::seen::Seen;
use crate::subject::Step;

pub(super) const KILL: Dynamic = Dynamic {
    id: ProbeId::IxKill,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::StaleLock]),
};

/// How often it is killed.
const KILLS: usize = 5;
/// Clients that ask without a pause.
const CLIENTS: usize = 4;
/// The longest from ready to the kill, in milliseconds.
const UNTIL_KILLED_MAX: u64 = 300;
/// A start may take so much longer than twice its usual time: small numbers vary.
const SLACK: Duration = Duration::from_secs(2);
/// How long one request may take.
const QUESTION: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Debug)]
struct Killed {
    /// How long each start took, the first one before any kill.
    starts: Vec<Duration>,
    /// Why it did not start again, if it did not.
    refused: Option<String>,
    requests: u64,
    slack: Duration,
    ledger: Ledger,
}

/// What the program has acknowledged to have written, and whether it is still there.
#[derive(Debug, Default)]
struct Ledger {
    /// Whether there is a journey that writes and reads.
    kept: bool,
    /// Writes that were acknowledged and looked for again.
    found: u32,
    /// One that is gone.
    gone: Option<String>,
}

/// A journey that has written something, and what is to be read of it.
struct Written<'a> {
    client: Client,
    read: &'a [Step],
}

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let mut killed = Killed {
        starts: vec![running.elapsed()],
        refused: None,
        requests: 0,
        slack: bench.limit(SLACK),
        ledger: Ledger {
            kept: first_read_after_write(&bench.subject.journey).is_some(),
            ..Ledger::default()
        },
    };
    let mut timeline = Vec::new();
    for _ in 0..KILLS {
        let written = write(&bench, &running).await;
        killed.requests += load(&bench, &running).await;
        let (again, moments) = restart(&bench, running).await;
        timeline = moments;
        match again {
            Ok(started) => running = started,
            Err(error @ (Unstartable::Ended { .. } | Unstartable::NotReady { .. })) => {
                killed.refused = Some(unready(&error));
                break_off(&mut timeline, &error);
                return told(&bench, &killed, timeline);
            }
            // What is at fault here is the audit's, not the program's.
            Err(error) => return Seen::unknown(error.to_string()),
        }
        killed.starts.push(running.elapsed());
        if let Some(written) = written {
            killed.ledger.look(&running, written).await;
        }
    }
    running.end().await;
    told(&bench, &killed, timeline)
}

fn told(bench: &Bench, killed: &Killed, timeline: Vec<Moment>) -> Seen {
    let mut seen = verdict(killed);
    seen.timeline = timeline;
    let start = bench.started();
    seen.reproduced_by(format!(
        "{start}; kill -KILL $P; sleep .2; {start}; curl -sS http://127.0.0.1:8080/"
    ))
}

fn break_off(timeline: &mut Vec<Moment>, error: &Unstartable) {
    let at = timeline.last().map_or(0.0, |moment| moment.at_ms);
    timeline.push(Moment { at_ms: at, lane: Lane::Program, what: unready(error) });
}

/// Asks without a pause for a random time; says how many answers came.
async fn load(bench: &Bench, running: &Running) -> u64 {
    let request = Request::get(bench.subject.ready.as_deref().unwrap_or("/"));
    let until = running.elapsed() + Duration::from_millis(fastrand::u64(20..UNTIL_KILLED_MAX));
    let clients = (0..CLIENTS).map(|_| async {
        let mut answers = 0;
        while running.elapsed() < until {
            let left = until.saturating_sub(running.elapsed()).min(QUESTION);
            // Who is in the middle of a request when the time is over leaves it there.
            answers += u64::from(request.send(running.address(), left).await.is_ok());
        }
        answers
    });
    futures_util::future::join_all(clients).await.into_iter().sum()
}

/// Takes the journey up to where it reads what it has written; `None`: nothing was acknowledged.
async fn write<'a>(bench: &'a Bench, running: &Running) -> Option<Written<'a>> {
    let steps = &bench.subject.journey;
    let (written, read) = steps.split_at(first_read_after_write(steps)?);
    let mut client = Client::new(bench.limit(QUESTION));
    client.walk(written, &[running.address()]).await.ok()?;
    Some(Written { client, read })
}

impl Ledger {
    /// Goes on with a journey after the program was killed and started again.
    async fn look(&mut self, running: &Running, mut written: Written<'_>) {
        match written.client.walk(written.read, &[running.address()]).await {
            Ok(_) => self.found += 1,
            // Whether it answers at all is not what is judged here.
            Err(broken) if broken.status.is_none() => {}
            Err(broken) => self.gone = Some(broken.to_string()),
        }
    }

    fn words(&self) -> String {
        match (self.kept, self.found) {
            (false, _) => {
                "; a journey would also show whether writes that it had acknowledged are \
                           still there"
                    .to_owned()
            }
            (true, 0) => "; its journey wrote nothing that could be looked for".to_owned(),
            (true, found) => format!("; {found} writes that it had acknowledged are still there"),
        }
    }
}

/// Kills it with all it has started, and starts it again where it was.
async fn restart(bench: &Bench, running: Running) -> (Result<Running, Unstartable>, Vec<Moment>) {
    running.signal(Signal::KILL);
    let copy: PathBuf = running.copy().to_owned();
    let setup = Setup {
        port: Some(running.port()),
        copy: Some(copy),
        provided: Some(running.provided()),
        ..Setup::new(bench.shape)
    };
    let moments = running.end().await;
    (bench.lab.start(&bench.subject, &setup, bench.patience()).await, moments)
}

fn verdict(killed: &Killed) -> Seen {
    let kills = killed.starts.len();
    if let Some(refused) = &killed.refused {
        return Seen::fail(format!(
            "after SIGKILL number {kills} it does not start again: {refused}"
        ));
    }
    if let Some(gone) = &killed.ledger.gone {
        return Seen::fail(format!(
            "a write that it had acknowledged is gone after SIGKILL: {gone}"
        ));
    }
    let journey = killed.ledger.words();
    let mut again = killed.starts.get(1..).unwrap_or_default().to_vec();
    again.sort();
    let first = killed.starts.first().copied().unwrap_or_default();
    let (usual, slowest) = (quantile(&again, 50).max(first), quantile(&again, 100));
    let kills = again.len();
    let said = format!(
        "killed {kills} times under load ({} requests), it was ready again within {:.2} s each time, at its port",
        killed.requests,
        slowest.as_secs_f64()
    );
    if slowest > first * 2 + killed.slack {
        return Seen::warn(format!(
            "{said}; its first start took {:.2} s: it takes longer after it was killed{journey}",
            first.as_secs_f64()
        ));
    }
    let seen = Seen::pass(format!("{said}{journey}"));
    seen.measured("restart_p50_seconds", usual.as_secs_f64())
        .measured("restart_slowest_seconds", slowest.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn only_a_program_that_does_not_come_back_fails() {
        let seconds = |all: &[u64]| all.iter().map(|it| Duration::from_secs(*it)).collect();
        let refused = Some("it ended before it was ready: exit code 1".to_owned());
        let table = [
            (seconds(&[1, 1, 1, 1, 1, 1]), None, Verdict::Pass),
            (seconds(&[1, 4, 1, 1, 1, 1]), None, Verdict::Pass),
            (seconds(&[1, 5, 1, 1, 1, 1]), None, Verdict::Warn),
            (seconds(&[1]), refused.clone(), Verdict::Fail),
            (seconds(&[1, 1, 1]), refused, Verdict::Fail),
        ];
        for (starts, refused, expected) in table {
            let slack = Duration::from_secs(2);
            let ledger = Ledger::default();
            let killed = Killed { starts, refused, requests: 9, slack, ledger };
            assert_eq!(verdict(&killed).verdict, expected, "{killed:?}");
        }
    }
}
