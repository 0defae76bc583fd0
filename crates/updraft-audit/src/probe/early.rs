//! `IX.early`: SIGTERM in the middle of its start ends the program too.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, serves_http, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::process::Reception;
use crate::lab::{Running, Setup};
use crate::report::Moment;
use crate::seen::Seen;
use crate::verdict::{Shape, Verdict};

pub(super) const EARLY: Dynamic = Dynamic {
    id: ProbeId::IxEarly,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::SlowStart], Verdict::Pass),
        Control::new(&[Behaviour::SlowStart, Behaviour::DeafEarly], Verdict::Fail)
            .only(&[Shape::Child]),
        Control::new(&[Behaviour::SlowStart, Behaviour::DeafEarly], Verdict::Warn)
            .only(&[Shape::Pid1]),
    ],
};

/// At which parts of the start the signal comes, in percent.
const PARTS: [u32; 3] = [10, 50, 90];
/// How long a program that is ready may take to react to what it has got before.
const REACTION: Duration = Duration::from_secs(1);
/// How long the program may take to be begun at all.
const BEGUN: Duration = Duration::from_secs(5);
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What became of one early signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Early {
    /// It ended.
    Ended,
    /// It runs on.
    Ignored,
    /// It runs on as the first process of its namespace, and a second signal when it was ready
    /// ended it: the kernel gives such a process nothing that it has no handler for yet.
    Lost,
    /// It ended by itself before: nothing was seen.
    Missed,
}

async fn look(bench: Bench) -> Seen {
    let start = match measured(&bench).await {
        Ok(measured) => measured,
        Err(seen) => return seen,
    };
    let each = PARTS.map(|part| one(&bench, start * part / 100));
    let seen: Result<Vec<_>, Seen> =
        futures_util::future::join_all(each).await.into_iter().collect();
    let seen = match seen {
        Ok(seen) => seen,
        Err(seen) => return seen,
    };
    let (early, timelines): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
    let mut seen = verdict(&early, start, bench.subject.grace);
    let part =
        PARTS.iter().zip(&early).find(|(_, it)| **it == Early::Ignored).map_or(50, |it| *it.0);
    let wait = (start * part / 100).as_secs_f64();
    let line = bench.started().replace("sleep 2", &format!("sleep {wait:.2}"));
    seen = seen.reproduced_by(format!(
        "{line}; kill -TERM $P; sleep {}; ps -o pid,etime,args -p $P",
        bench.subject.grace.as_secs()
    ));
    seen.timeline = timelines.into_iter().next_back().unwrap_or_default();
    seen
}

/// From the moment the program itself runs until it is ready.
async fn measured(bench: &Bench) -> Result<Duration, Seen> {
    let (mut running, began) = begun(bench).await?;
    let ready = running.ready(bench.patience()).await;
    let took = running.elapsed().saturating_sub(began);
    running.end().await;
    ready.map(|()| took).map_err(|error| Seen::unknown(unready(&error)))
}

/// Starts the program and waits until it is itself, and no longer what starts it.
async fn begun(bench: &Bench) -> Result<(Running, Duration), Seen> {
    let launched = bench.lab.launch(&bench.subject, &Setup::new(bench.shape)).await;
    let running = launched.map_err(|error| Seen::unknown(error.to_string()))?;
    let until = running.elapsed() + bench.limit(BEGUN);
    while running.elapsed() < until {
        if running.is_begun() {
            let now = running.elapsed();
            return Ok((running, now));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    running.end().await;
    Err(Seen::unknown("it was not begun in time"))
}

async fn one(bench: &Bench, after: Duration) -> Result<(Early, Vec<Moment>), Seen> {
    let (mut running, _) = begun(bench).await?;
    tokio::time::sleep(after).await;
    let before = running.reception();
    running.signal(Signal::TERM);
    let grace = bench.subject.grace.max(bench.limit(Duration::from_secs(1)));
    let early = match (before, bench.shape) {
        (Reception::Gone, _) => Early::Missed,
        (Reception::Ignored, Shape::Child) => Early::Ignored,
        (_, Shape::Child) => match running.ended(grace).await {
            Some(_) => Early::Ended,
            None => Early::Ignored,
        },
        (_, Shape::Pid1) => again(bench, &mut running, grace).await,
    };
    Ok((early, running.end().await))
}

/// Whether the first signal ends it, or a second one when it is ready.
async fn again(bench: &Bench, running: &mut Running, grace: Duration) -> Early {
    if running.ready(bench.patience()).await.is_err()
        || running.ended(bench.limit(REACTION).min(grace)).await.is_some()
    {
        return match running.ended(grace).await {
            Some(_) => Early::Ended,
            None => Early::Ignored,
        };
    }
    if running.reception().never().is_some() {
        return Early::Ignored;
    }
    running.signal(Signal::TERM);
    match running.ended(grace).await {
        Some(_) => Early::Lost,
        None => Early::Ignored,
    }
}

fn verdict(early: &[Early], start: Duration, grace: Duration) -> Seen {
    let named = |kind| {
        let parts = PARTS.iter().zip(early).filter(|(_, it)| **it == kind);
        parts.map(|(part, _)| format!("{part} %")).collect::<Vec<_>>().join(", ")
    };
    let (seconds, grace) = (start.as_secs_f64(), grace.as_secs_f64());
    let (ended, ignored, lost) = (named(Early::Ended), named(Early::Ignored), named(Early::Lost));
    if !ignored.is_empty() {
        return Seen::fail(format!(
            "SIGTERM at {ignored} of its start ({seconds:.2} s) is ignored: it still runs {grace} s later"
        ));
    }
    let until_handled = "the first process of a container gets no signal before it has a handler; an init passes it on";
    // So early that only an init could help.
    let only_first = lost.is_empty() || lost == "10 %";
    match (ended.is_empty(), only_first) {
        (true, true) if lost.is_empty() => {
            Seen::unknown("it starts too quickly for an early signal")
        }
        (false, true) => {
            let note = if lost.is_empty() {
                String::new()
            } else {
                format!("; at {lost} it is lost: {until_handled}")
            };
            Seen::pass(format!("SIGTERM at {ended} of its start ({seconds:.2} s) ends it{note}"))
        }
        _ => Seen::warn(format!(
            "SIGTERM at {lost} of its start ({seconds:.2} s) is lost, and it runs on until it is told again: {until_handled}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_drops_is_no_failure_of_a_program_that_has_a_handler_later() {
        use Early::{Ended, Ignored, Lost, Missed};
        let table = [
            ([Ended, Ended, Ended], Verdict::Pass),
            ([Lost, Ended, Ended], Verdict::Pass),
            ([Lost, Lost, Ended], Verdict::Warn),
            ([Lost, Lost, Lost], Verdict::Warn),
            ([Ended, Lost, Ended], Verdict::Warn),
            ([Ended, Ignored, Ended], Verdict::Fail),
            ([Lost, Lost, Ignored], Verdict::Fail),
            ([Missed, Missed, Missed], Verdict::Unknown),
            ([Ended, Missed, Missed], Verdict::Pass),
        ];
        for (early, expected) in table {
            let seen = verdict(&early, Duration::from_secs(1), Duration::from_secs(10));
            assert_eq!(seen.verdict, expected, "{early:?}");
        }
    }
}
