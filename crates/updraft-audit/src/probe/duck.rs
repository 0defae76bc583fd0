//! `IX.duck`: how long the program takes new connections after SIGTERM. A fact, never a
//! failure: some platforms want them refused at once, others need them served for a while.

use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::hold::hold;
use crate::lab::client::Request;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const DUCK: Dynamic = Dynamic {
    id: ProbeId::IxDuck,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Info),
        Control::new(&[Behaviour::IgnoresTerm], Verdict::Unknown),
    ],
};

/// How long is looked: whoever still serves then has not noticed.
const LOOKED: Duration = Duration::from_secs(3);
/// From one connection to the next.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long one may take.
const QUESTION: Duration = Duration::from_millis(500);

async fn look(bench: Bench) -> Seen {
    let mut running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    // With a request under way it is the listener that closes, not the program that ends.
    let held = hold(&bench, &running).await.ok().filter(|held| !held.is_stopped());
    let request = Request::get(bench.subject.ready.as_deref().unwrap_or("/"));
    let asked = running.elapsed();
    running.signal(Signal::TERM);
    let (mut last, mut stopped) = (Duration::ZERO, false);
    while running.elapsed() - asked < LOOKED {
        let began = running.elapsed() - asked;
        match request.send(running.address(), bench.limit(QUESTION)).await {
            Ok(_) => last = began,
            Err(_) if running.elapsed() - asked - began < QUESTION => {
                stopped = true;
                break;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    // Connections that nobody takes any more wait in the kernel.
    stopped |= last + QUESTION * 2 < LOOKED;
    let busy = held.is_some();
    drop(held);
    let ended = stopped && running.ended(Duration::ZERO).await.is_some();
    let mut seen = verdict(last, stopped, busy, ended);
    seen.timeline = running.end().await;
    seen
}

fn verdict(last: Duration, stopped: bool, busy: bool, ended: bool) -> Seen {
    let seconds = last.as_secs_f64();
    if !stopped {
        return Seen::unknown(format!(
            "it still takes new connections {} s after SIGTERM: whether it has noticed cannot be told",
            LOOKED.as_secs()
        ));
    }
    let how = match (busy, ended) {
        (true, false) => ", and then refuses them while it finishes a request",
        (_, true) => ", until it ends",
        (false, false) => "",
    };
    Seen::info(format!("it takes new connections for {seconds:.2} s after SIGTERM{how}"))
        .measured("accepting_after_term_seconds", seconds)
}
