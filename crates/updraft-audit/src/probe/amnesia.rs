//! `VI.amnesia`: what was written is still there when the program is started again on a fresh
//! copy of its files.

use rustix::process::Signal;

use super::visit::{again, needs_journey, request_limit, with_resource};
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::journey::{Broken, Client, first_read_after_write};
use crate::lab::Setup;
use crate::report::{Lane, Moment};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

pub(super) const AMNESIA: Dynamic = Dynamic {
    id: ProbeId::ViAmnesia,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::KeepsInMemory], Verdict::Fail).with(with_resource),
    ],
};

fn applies(subject: &Subject) -> Result<(), Seen> {
    needs_journey(subject)?;
    if first_read_after_write(&subject.journey).is_none() {
        return Err(Seen::unknown("its journey reads nothing after it has written something"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    // On one and the same process the journey has to work, or it says nothing.
    let (baseline, split) = tokio::join!(whole(&bench), halves(&bench));
    let (after, timeline) = match (baseline, split) {
        (Err(seen), _) | (_, Err(seen)) => return seen,
        (Ok(()), Ok(split)) => split,
    };
    let mut seen = judged(after).reproduced_by(again(&bench, ProbeId::ViAmnesia));
    seen.timeline = timeline;
    seen
}

/// The whole journey on one process.
pub(super) async fn whole(bench: &Bench) -> Result<(), Seen> {
    let running = bench.start().await?;
    let mut client = Client::new(request_limit(bench));
    let walked = client.walk(&bench.subject.journey, &[running.address()]).await;
    running.end().await;
    walked.map(drop).map_err(|broken| {
        Seen::unknown(format!("its journey does not work on one process either: {broken}"))
    })
}

/// How the journey went on after the program was started again.
async fn halves(bench: &Bench) -> Result<(Result<(), Broken>, Vec<Moment>), Seen> {
    let provided = bench.lab.provide(&bench.subject).await;
    let provided = provided.map_err(|error| Seen::unknown(unready(&error)))?;
    let setup = Setup { provided: Some(provided), ..Setup::new(bench.shape) };
    let steps = &bench.subject.journey;
    let split = first_read_after_write(steps).unwrap_or(steps.len());
    let (written, read) = steps.split_at(split);

    let mut first = bench.start_with(&setup).await?;
    let mut client = Client::new(request_limit(bench));
    let walked = client.walk(written, &[first.address()]).await;
    first.note(Lane::Client, format!("{split} steps of the journey are taken"));
    first.signal(Signal::TERM);
    // What does not end in time is another probe's to judge.
    first.ended(bench.subject.grace.min(request_limit(bench))).await;
    let mut timeline = first.end().await;
    walked.map_err(|broken| Seen::unknown(format!("its journey does not begin: {broken}")))?;

    let second = bench.start_with(&setup).await?;
    let walked = client.walk(read, &[second.address()]).await;
    timeline.extend(second.end().await);
    let shifted = |broken: Broken| Broken { step: broken.step + split, ..broken };
    Ok((walked.map(drop).map_err(shifted), timeline))
}

fn judged(after: Result<(), Broken>) -> Seen {
    match after {
        Ok(()) => Seen::pass("what its journey wrote is there after a fresh start"),
        // Whether it answers at all after a start is not what is judged here.
        Err(broken) if broken.status.is_none() => {
            Seen::unknown(format!("after a fresh start its journey has no answer: {broken}"))
        }
        Err(broken) => Seen::fail(format!(
            "what its journey wrote is gone after SIGTERM and a fresh start: {broken}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_can_say_that_something_is_gone() {
        let broken = |status| {
            Err(Broken { step: 2, line: "GET /".into(), status, why: "status 404".into() })
        };
        for (after, expected) in [
            (Ok(()), Verdict::Pass),
            (broken(Some(404)), Verdict::Fail),
            (broken(None), Verdict::Unknown),
        ] {
            assert_eq!(judged(after).verdict, expected);
        }
    }
}
