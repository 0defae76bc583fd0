//! `IV.cut`: all connections to a resource break under load, and the program works again within
//! 10 s without being started again.

use std::time::Duration;

use tokio::time::Instant;
use updraft_mesh::instrument::{Direction, Instrument, Manner, Patience, Setting, Target, When};

use super::visit::{
    Visit, again, needs_resources_and_http, request_limit, together, touching, traffic, untouched,
    with_resource, without_wire,
};
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Attached, Ended, Running};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

/// Requests that are under way when the connections break.
const LOAD: usize = 4;
/// How long the program has to work again.
const RECOVERY: Duration = Duration::from_secs(10);
/// The same on the slowest machine: what waits here are the program's own clocks.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
/// So many requests in a row have to succeed.
const IN_A_ROW: usize = 5;
/// From one request to the next.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long replies are held at most, so that requests are under way.
const HOLD: Duration = Duration::from_secs(2);

pub(super) const CUT: Dynamic = Dynamic {
    id: ProbeId::IvCut,
    applies: needs_resources_and_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::NeverReconnects], Verdict::Fail).with(with_resource),
    ],
};

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let mut all = Vec::new();
    for attached in running.attached().to_vec() {
        let seen = one(&bench, &mut running, &attached).await;
        let failed = seen.verdict == Verdict::Fail;
        all.push(seen);
        // What does not recover from this one tells nothing of the next.
        if failed {
            break;
        }
    }
    let mut seen = together(all).reproduced_by(again(&bench, ProbeId::IvCut));
    seen.timeline = running.end().await;
    seen
}

async fn one(bench: &Bench, running: &mut Running, attached: &Attached) -> Seen {
    let Some(instrument) = attached.instrument() else { return without_wire(attached) };
    let Some(visit) = touching(bench, running, instrument).await else {
        return untouched(attached, &bench.subject);
    };
    let cut = cut_under_load(bench, running, attached, instrument, &visit).await;
    let before = traffic(instrument);
    let mut after = recovery(bench, running, &visit).await;
    after.cut = cut;
    after.used_again = traffic(instrument) > before;
    judged(&after, attached.name.as_str(), &visit)
}

/// How many connections broke.
async fn cut_under_load(
    bench: &Bench,
    running: &Running,
    attached: &Attached,
    instrument: &Instrument,
    visit: &Visit,
) -> u64 {
    instrument.set(Setting::Hold {
        on: Direction::Response,
        target: Target::whole(),
        patience: Patience::For(HOLD),
    });
    let (address, within) = (running.address(), request_limit(bench));
    let load = futures_util::future::join_all((0..LOAD).map(|_| visit.pay(&address, within)));
    let open = async {
        drop(tokio::time::timeout(HOLD / 2, instrument.until_held(1)).await);
        let open = instrument.counts().connections_open;
        instrument.set(Setting::Cut {
            when: When::Now { refuse: false },
            target: Target::whole(),
            manner: Manner::Reset,
        });
        running.note(Lane::Resource, format!("all {open} connections to {} break", attached.name));
        open
    };
    let (_, open) = tokio::join!(load, open);
    instrument.set(Setting::Pass);
    open
}

/// What was seen after the connections broke.
#[derive(Clone, Debug, Default)]
struct After {
    /// Connections that broke.
    cut: u64,
    /// Until the first of the requests in a row that all succeeded; `None`: there were none.
    recovered: Option<Duration>,
    failed: usize,
    asked: usize,
    /// What went wrong last.
    last: String,
    ended: Option<Ended>,
    /// Whether something went to the resource again.
    used_again: bool,
    within: Duration,
}

async fn recovery(bench: &Bench, running: &mut Running, visit: &Visit) -> After {
    let began = Instant::now();
    let mut after = After { within: bench.limit(RECOVERY).min(RECOVERY_MAX), ..After::default() };
    let (mut row, mut first) = (0, Duration::ZERO);
    while began.elapsed() < after.within {
        if let Some(ended) = running.ended_now() {
            after.ended = Some(ended);
            return after;
        }
        let at = began.elapsed();
        after.asked += 1;
        match visit.pay(running.address(), request_limit(bench)).await {
            Ok(()) => {
                first = if row == 0 { at } else { first };
                row += 1;
            }
            Err(why) => {
                row = 0;
                after.failed += 1;
                after.last = why;
            }
        }
        if row == IN_A_ROW {
            running.note(Lane::Client, format!("{visit} works again, {IN_A_ROW} times in a row"));
            after.recovered = Some(first);
            return after;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    after
}

fn judged(after: &After, resource: &str, visit: &Visit) -> Seen {
    let After { cut, recovered, failed, asked, last, ended, used_again, within } = after;
    if *cut == 0 {
        return Seen::unknown(format!("it had no connection to `{resource}` that could break"));
    }
    if let Some(ended) = ended {
        return Seen::fail(format!(
            "it ended ({ended}) after its {cut} connections to `{resource}` broke"
        ));
    }
    match recovered {
        None => Seen::fail(format!(
            "{:.0} s after its {cut} connections to `{resource}` broke, {visit} still fails \
             ({failed} of {asked} since then; {last})",
            within.as_secs_f64()
        )),
        Some(_) if !used_again => Seen::unknown(format!(
            "after its {cut} connections to `{resource}` broke, {visit} works without it"
        )),
        Some(recovered) => Seen::pass(format!(
            "its {cut} connections to `{resource}` broke, and {visit} works again {:.2} s later \
             ({failed} of {asked} failed until then)",
            recovered.as_secs_f64()
        ))
        .measured("cut_recovery_seconds", recovered.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_again_passes_and_what_was_not_seen_does_not() {
        let well = After {
            cut: 2,
            recovered: Some(Duration::from_millis(100)),
            used_again: true,
            ..After::default()
        };
        let table = [
            (well.clone(), Verdict::Pass),
            (After { cut: 0, ..well.clone() }, Verdict::Unknown),
            (After { used_again: false, ..well.clone() }, Verdict::Unknown),
            (After { recovered: None, ..well.clone() }, Verdict::Fail),
            (After { ended: Some(Ended::Code(1)), ..well }, Verdict::Fail),
        ];
        for (after, expected) in table {
            let seen = judged(&after, "db", &Visit::Get("/".into()));
            assert_eq!(seen.verdict, expected, "{after:?}");
        }
    }
}
