//! `VII.port`: the program listens where its port variable says, itself.

use super::{Bench, Control, Dynamic, Looking, serves_http, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Setup, Unstartable};
use crate::seen::Seen;

pub(super) const PORT: Dynamic = Dynamic {
    id: ProbeId::ViiPort,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::OtherPort]),
};

/// Two copies, each with another port: one value could be met by chance.
async fn look(bench: Bench) -> Seen {
    let mut seen = Seen::pass("");
    let mut ports = Vec::new();
    for _ in 0..2 {
        match listens(&bench, &mut seen).await {
            Ok(port) => ports.push(port),
            Err(other) => return other,
        }
    }
    let variable = &bench.subject.port_variable;
    seen.evidence = format!(
        "it listens at the port that {variable} gives ({} and then {})",
        ports[0], ports[1]
    );
    seen
}

/// The port, when a socket of the program listens at it.
async fn listens(bench: &Bench, seen: &mut Seen) -> Result<u16, Seen> {
    let subject = &bench.subject;
    let started = bench.lab.start(subject, &Setup::new(bench.shape), bench.patience()).await;
    let running = match started {
        Ok(running) => running,
        Err(error @ (Unstartable::Ended { .. } | Unstartable::NotReady { .. })) => {
            return Err(Seen::unknown(unready(&error)));
        }
        Err(error) => return Err(Seen::unknown(unready(&error))),
    };
    let (given, found) = (running.port(), running.listening());
    let listens = found.iter().any(|it| it.address.port() == given);
    let address = running.address();
    seen.timeline.extend(running.end().await);
    if listens {
        return Ok(given);
    }
    let variable = &subject.port_variable;
    let mut other = Seen::fail(format!(
        "it was given {variable}={given} and listens at {address}: it does not read {variable}"
    ))
    .reproduced_by(format!("{} & sleep 2; ss -ltnp | grep :{given}", bench.pasted(given)));
    other.timeline = std::mem::take(&mut seen.timeline);
    Err(other)
}
