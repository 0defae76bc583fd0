//! A request that waits for a resource: the wire between the two holds back the reply.

use std::sync::Arc;
use std::time::Duration;

use updraft_mesh::instrument::{Direction, Instrument, Patience, Setting, Target};

use super::{Bench, Gate, Held, Running, Way, reading, request, stays, undisturbed};
use crate::lab::client::{Connection, Request};

/// How long a request may take to reach a resource.
const REACHED: Duration = Duration::from_secs(1);

pub(super) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    let wires: Vec<_> = running
        .attached()
        .iter()
        .filter_map(|one| Some((one.name.to_string(), Arc::clone(one.instrument()?))))
        .collect();
    if wires.is_empty() {
        return Err("it needs nothing whose reply could be held back".to_owned());
    }
    let subject = &bench.subject;
    let steps = subject.journey.iter().map(|step| &step.ask);
    let writing = steps.filter(|ask| ask.method != "GET" && !ask.path.contains('{')).map(request);
    for request in reading(subject).into_iter().chain(writing) {
        let Some(status) = undisturbed(bench, running, &request).await else { continue };
        if let Some(held) = attempt(bench, running, &request, &wires).await {
            return Ok(Held { undisturbed: Some(status), ..held });
        }
    }
    Err("no request waits for what it needs".to_owned())
}

async fn attempt(
    bench: &Bench,
    running: &Running,
    request: &Request,
    wires: &[(String, Arc<Instrument>)],
) -> Option<Held> {
    for (_, wire) in wires {
        let (target, patience) = (Target::whole(), Patience::UntilReleased);
        wire.set(Setting::Hold { on: Direction::Response, target, patience });
    }
    let sent = async {
        let mut connection = Connection::open(running.address()).await.ok()?;
        connection.send(request, false).await.ok()?;
        let reached = wires.iter().map(|(name, wire)| {
            Box::pin(async move {
                wire.until_held(1).await;
                name.clone()
            })
        });
        let reached = futures_util::future::select_all(reached);
        let (name, _, _) = tokio::time::timeout(bench.limit(REACHED), reached).await.ok()?;
        stays(bench, running, &mut connection).await.then_some((name, connection))
    };
    let Some((name, connection)) = sent.await else {
        wires.iter().for_each(|(_, wire)| wire.set(Setting::Pass));
        return None;
    };
    let gate = Gate::Wires(wires.iter().map(|(_, wire)| Arc::clone(wire)).collect());
    Some(Held::one(Way::Resource(name), request, connection, gate))
}
