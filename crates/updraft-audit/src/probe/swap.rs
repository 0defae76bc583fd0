//! `IV.swap`: with another address of a resource everything goes there, and nothing to the
//! address before.

use std::path::PathBuf;

use super::visit::{
    again, candidates, needs_resources_and_http, request_limit, together, traffic, untouched,
    with_resource, without_wire,
};
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::control::site::MEMORY;
use crate::lab::{Attached, Provided, Setup};
use crate::report::{Lane, Moment};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

pub(super) const SWAP: Dynamic = Dynamic {
    id: ProbeId::IvSwap,
    applies: needs_resources_and_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::RemembersAddress], Verdict::Fail).with(with_memory),
    ],
};

fn with_memory(subject: &mut Subject) {
    with_resource(subject);
    // Beside its folder, which is a fresh copy each time.
    let memory = subject.folder.with_extension("address").to_string_lossy().into_owned();
    subject.environment.insert(MEMORY.to_owned(), memory);
}

async fn look(bench: Bench) -> Seen {
    // In one network: who goes on to the first address has to reach it.
    let network = match bench.lab.network().await {
        Ok(network) => network,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    let provide = || bench.lab.provide_in(&bench.subject, network.clone());
    let (first, second) = match tokio::try_join!(provide(), provide()) {
        Ok(both) => both,
        Err(error) => return Seen::unknown(unready(&error)),
    };
    let (copy, mut timeline) = match used(&bench, &first, None).await {
        Ok(ran) => ran,
        Err(seen) => return seen,
    };
    let with_first = totals(&first);
    // Nothing but the address is another: the files are those that the first run has left.
    match used(&bench, &second, Some(copy)).await {
        Ok((_, moments)) => timeline.extend(moments),
        Err(seen) => return seen,
    }
    let to_first = totals(&first);
    let to_second = totals(&second);
    let mut all = Vec::new();
    for (number, attached) in first.iter().enumerate() {
        let at = |all: &[Option<u64>]| all.get(number).copied().flatten();
        all.push(match (at(&with_first), at(&to_first), at(&to_second)) {
            (Some(before), Some(after), Some(second)) => {
                let seen = judged(attached.name.as_str(), before, after - before, second);
                seen.unwrap_or_else(|| untouched(attached, &bench.subject))
            }
            _ => without_wire(attached),
        });
    }
    let mut seen = together(all).reproduced_by(again(&bench, ProbeId::IvSwap));
    seen.timeline = timeline;
    seen
}

fn totals(all: &[Attached]) -> Vec<Option<u64>> {
    all.iter().map(|attached| attached.instrument().map(|it| traffic(it))).collect()
}

/// Runs it with these and asks it everything that is known. Gives back where its files are.
async fn used(
    bench: &Bench,
    provided: &Provided,
    copy: Option<PathBuf>,
) -> Result<(PathBuf, Vec<Moment>), Seen> {
    let setup = Setup { provided: Some(provided.clone()), copy, ..Setup::new(bench.shape) };
    let running = bench.start_with(&setup).await?;
    running.note(Lane::Resource, "what it needs is at other addresses than for any other run");
    for visit in candidates(&bench.subject) {
        // Whether it works is not the question.
        drop(visit.pay(running.address(), request_limit(bench)).await);
    }
    let written = running.place().join("written");
    Ok((setup.copy.unwrap_or(written), running.end().await))
}

/// What follows from the traffic to the first address while the first run used it, to it while
/// the second run should not, and to the second. `None`: it uses neither.
fn judged(name: &str, first: u64, late: u64, second: u64) -> Option<Seen> {
    match (first, late, second) {
        (_, 1.., _) => Some(Seen::fail(format!(
            "started with another address of `{name}`, it still sent {late} messages to the \
             first one, and {second} to the new one"
        ))),
        (1.., 0, 1..) => Some(Seen::pass(format!(
            "started with another address of `{name}`, it sent {second} messages there and none \
             to the first one"
        ))),
        (1.., 0, 0) => Some(Seen::unknown(format!(
            "it sent {first} messages to the first address of `{name}`, and with another none \
             to either"
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_goes_to_the_first_address_fails() {
        let table = [
            ((5, 0, 5), Some(Verdict::Pass)),
            ((5, 1, 5), Some(Verdict::Fail)),
            ((5, 4, 0), Some(Verdict::Fail)),
            ((5, 0, 0), Some(Verdict::Unknown)),
            ((0, 0, 0), None),
            ((0, 0, 3), None),
        ];
        for ((first, late, second), expected) in table {
            let verdict = judged("db", first, late, second).map(|seen| seen.verdict);
            assert_eq!(verdict, expected, "{first} {late} {second}");
        }
    }
}
