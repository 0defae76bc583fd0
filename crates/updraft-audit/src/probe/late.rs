//! `IV.late`: what the program needs is not there yet when it starts. It waits and works once it
//! is there, or ends at once so that it is started again; it does not say that it is ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use updraft_mesh::instrument::{Instrument, Manner, Setting, Target, When};

use super::visit::{
    Visit, again, candidates, needs_resources_and_http, request_limit, traffic, with_resource,
};
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Attached, Ended, Running, Setup};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

/// How long the resources stay away after the program has noticed.
const AWAY: Duration = Duration::from_secs(2);
/// How long the program has at most to work once they are there, beside the time that they were
/// away.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a request may take while the resources are away.
const REQUEST_AWAY: Duration = Duration::from_secs(2);

pub(super) const LATE: Dynamic = Dynamic {
    id: ProbeId::IvLate,
    applies: needs_resources_and_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::AlwaysReady], Verdict::Fail).with(with_resource),
        Control::new(&[Behaviour::NeverReconnects], Verdict::Fail).with(with_resource),
    ],
};

async fn look(bench: Bench) -> Seen {
    let provided = match bench.lab.provide(&bench.subject).await {
        Ok(provided) => provided,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    let instruments = resources(&provided);
    if instruments.is_empty() && provided.iter().any(|one| one.is_peer) {
        // To be unready because a neighbour is would take down one after the other.
        return Seen::not_applicable("it needs other services only, and says itself how it is");
    }
    if instruments.is_empty() {
        return Seen::unknown("none of what it needs is a server here: there is no wire to it");
    }
    for instrument in &instruments {
        instrument.set(Setting::Cut {
            when: When::Now { refuse: true },
            target: Target::whole(),
            manner: Manner::Reset,
        });
    }
    let setup = Setup { provided: Some(provided), ..Setup::new(bench.shape) };
    let mut running = match bench.lab.launch(&bench.subject, &setup).await {
        Ok(running) => running,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    running.note(Lane::Resource, "what it needs is away");
    let mut told = away(&bench, &mut running, &instruments).await;
    if told.ended.is_none() {
        instruments.iter().for_each(|instrument| instrument.set(Setting::Pass));
        running.note(Lane::Resource, "what it needs is there");
        back(&bench, &mut running, &instruments, &mut told).await;
    }
    let timeline = running.end().await;
    let mut seen = judged(&told);
    if seen.verdict == Verdict::Fail
        && let Err(other) = works_otherwise(&bench).await
    {
        seen = other;
    }
    seen = seen.reproduced_by(again(&bench, ProbeId::IvLate));
    seen.timeline = timeline;
    seen
}

/// What was seen.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Whether it tried to reach anything while nothing was there.
    noticed: bool,
    /// How it ended by itself, and when.
    ended: Option<(Ended, Duration)>,
    /// What failed while nothing was there.
    failed_away: Vec<Visit>,
    /// What it does not have.
    missing: Vec<Visit>,
    /// Whether its own page said at the same time that it is ready.
    ready_away: Option<String>,
    /// What goes to a resource and works once it is there, and how much later it does.
    recovered: Option<(Visit, Duration)>,
    /// What works once the resources are there, without them.
    untouched: Option<Visit>,
    /// What went wrong last.
    last: String,
    waited: Duration,
}

/// While nothing is there.
async fn away(
    bench: &Bench,
    running: &mut Running,
    instruments: &[std::sync::Arc<Instrument>],
) -> Told {
    let mut told = Told::default();
    let until = Instant::now() + bench.patience();
    let tried = || instruments.iter().any(|it| it.counts().connections_total > 0);
    // It may try to connect at its start or with its first request.
    while !tried() && running.listening().is_empty() && Instant::now() < until {
        if let Some(ended) = running.ended_now() {
            told.ended = Some((ended, running.elapsed()));
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let stays = Instant::now() + bench.limit(AWAY).min(AWAY * 2);
    while told.ended.is_none() && Instant::now() < stays {
        if let Some(ended) = running.ended_now() {
            told.ended = Some((ended, running.elapsed()));
        } else if !running.listening().is_empty() {
            // Finds out where it answers; whether it does so is asked next.
            drop(running.ready(Duration::ZERO).await);
            ask_away(bench, running, &mut told).await;
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if told.ended.is_none() {
        tokio::time::sleep_until(stays).await;
        told.ended = running.ended_now().map(|ended| (ended, running.elapsed()));
    }
    told.noticed = tried();
    told
}

/// Asks everything that is known, and before and after that whether it is ready.
async fn ask_away(bench: &Bench, running: &Running, told: &mut Told) {
    let within = bench.limit(REQUEST_AWAY).min(REQUEST_AWAY * 2);
    let before = ready_page(bench, running, within).await;
    // All at once: the longer it is away, the longer a program may wait before it tries again.
    let asked = candidates(&bench.subject).into_iter().map(|visit| async {
        let paid = visit.pay(running.address(), within).await;
        (visit, paid)
    });
    for (visit, paid) in futures_util::future::join_all(asked).await {
        match paid {
            Err(why) if visit.is_missing(&why) => told.missing.push(visit),
            Err(_) => told.failed_away.push(visit),
            Ok(()) => {}
        }
    }
    let after = ready_page(bench, running, within).await;
    told.ready_away = before.and(after);
}

/// The declared page, if it says that the program is ready.
async fn ready_page(bench: &Bench, running: &Running, within: Duration) -> Option<String> {
    let path = bench.subject.ready.clone()?;
    let answer = Request::get(&path).send(running.address(), within).await;
    answer.is_ok_and(|answer| answer.is_success()).then_some(path)
}

/// Once everything is there.
async fn back(
    bench: &Bench,
    running: &mut Running,
    instruments: &[std::sync::Arc<Instrument>],
    told: &mut Told,
) {
    let began = Instant::now();
    // Whoever waits twice as long before each attempt may be as long behind as it was away.
    let within = bench.patience().min(RECOVERY_MAX) + running.elapsed();
    let passed = || instruments.iter().map(|it| traffic(it)).sum::<u64>();
    let mut visits = candidates(&bench.subject);
    visits.retain(|visit| !told.missing.contains(visit));
    // What failed without the resources is what needs them.
    visits.sort_by_key(|visit| !told.failed_away.contains(visit));
    while began.elapsed() < within {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(ended) = running.ended_now() {
            told.ended = Some((ended, running.elapsed()));
            return;
        }
        if running.listening().is_empty() {
            "it listens nowhere".clone_into(&mut told.last);
            continue;
        }
        if told.failed_away.is_empty() && told.untouched.is_none() {
            drop(running.ready(Duration::ZERO).await);
        }
        for visit in &visits {
            let before = passed();
            match visit.pay(running.address(), request_limit(bench)).await {
                Ok(()) if passed() > before => {
                    running.note(Lane::Client, format!("{visit} works"));
                    told.recovered = Some((visit.clone(), began.elapsed()));
                    return;
                }
                Ok(()) => told.untouched = Some(visit.clone()),
                Err(why) if !visit.is_missing(&why) => {
                    told.last = why;
                    // The others would only take time.
                    break;
                }
                Err(_) => {}
            }
        }
        // Nothing has failed, and nothing goes there.
        if told.untouched.is_some() && told.failed_away.is_empty() {
            break;
        }
    }
    told.waited = began.elapsed();
}

fn judged(told: &Told) -> Seen {
    if let Some((ended, at)) = told.ended {
        let seconds = at.as_secs_f64();
        if !told.noticed {
            return Seen::unknown(format!("it ended ({ended}) before it tried to reach anything"));
        }
        return match ended {
            Ended::Code(1..) => Seen::pass(format!(
                "without what it needs it ends after {seconds:.2} s ({ended}), to be started again"
            )),
            _ => Seen::warn(format!(
                "without what it needs it ends after {seconds:.2} s with {ended}, which a \
                 platform does not take for a failed start"
            )),
        };
    }
    match (&told.recovered, &told.ready_away) {
        (Some((visit, _)), Some(path)) if told.failed_away.contains(visit) => Seen::fail(format!(
            "GET {path} says that it is ready while what it needs is away and {visit} fails"
        )),
        (Some((visit, took)), _) => Seen::pass(format!(
            "it waits for what it needs, and {visit} works {:.2} s after that is there",
            took.as_secs_f64()
        ))
        .measured("late_recovery_seconds", took.as_secs_f64()),
        (None, _) if !told.noticed => {
            Seen::unknown("it never tried to reach what it needs: a journey would decide it")
        }
        (None, _) if told.untouched.is_some() && told.failed_away.is_empty() => Seen::unknown(
            "no request that is known goes to what it needs: a journey would decide it",
        ),
        (None, _) => Seen::fail(format!(
            "what it needs has been there for {:.0} s, and it neither works nor ends ({})",
            told.waited.as_secs_f64(),
            told.last
        )),
    }
}

/// The wires to resources, and not those to other services.
fn resources(attached: &[Attached]) -> Vec<Arc<Instrument>> {
    let resources = attached.iter().filter(|one| !one.is_peer);
    resources.filter_map(Attached::instrument).cloned().collect()
}

/// Whether it works at all when everything is there from the beginning: something goes to a
/// resource and is answered well.
async fn works_otherwise(bench: &Bench) -> Result<(), Seen> {
    let running = bench.start().await?;
    let instruments = resources(running.attached());
    let mut works = false;
    for instrument in &instruments {
        works = works || super::visit::touching(bench, &running, instrument).await.is_some();
    }
    running.end().await;
    if works {
        return Ok(());
    }
    Err(Seen::unknown("no request that is known goes to what it needs: a journey would decide it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_wait_or_to_end_is_right_and_to_say_ready_or_to_hang_is_wrong() {
        let visit = || Visit::Get("/".into());
        let waited = Told {
            noticed: true,
            failed_away: vec![visit()],
            recovered: Some((visit(), Duration::from_millis(300))),
            ..Told::default()
        };
        let ended = |code| Told {
            noticed: true,
            ended: Some((Ended::Code(code), Duration::from_secs(1))),
            ..Told::default()
        };
        let table = [
            (waited.clone(), Verdict::Pass),
            (Told { ready_away: Some("/ready".into()), ..waited.clone() }, Verdict::Fail),
            // What works without the resource may say that it is ready.
            (
                Told { ready_away: Some("/r".into()), failed_away: vec![], ..waited.clone() },
                Verdict::Pass,
            ),
            (Told { recovered: None, ..waited.clone() }, Verdict::Fail),
            (Told { recovered: None, noticed: false, ..waited.clone() }, Verdict::Unknown),
            (
                Told { recovered: None, failed_away: vec![], untouched: Some(visit()), ..waited },
                Verdict::Unknown,
            ),
            (ended(1), Verdict::Pass),
            (ended(0), Verdict::Warn),
            (Told { noticed: false, ..ended(1) }, Verdict::Unknown),
        ];
        for (told, expected) in table {
            let seen = judged(&told);
            assert_eq!(seen.verdict, expected, "{told:?}: {}", seen.evidence);
        }
    }
}
