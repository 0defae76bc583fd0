//! `XI.ctx`: the log of a request says to which trace it belongs (W3C Trace Context).

use std::time::Duration;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const TRACE: Dynamic = Dynamic {
    id: ProbeId::XiCtx,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::LogsTrace], Verdict::Pass),
        Control::new(&[Behaviour::Good], Verdict::Info),
    ],
};

/// How soon the line has to come.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long one request may take.
const QUESTION: Duration = Duration::from_secs(2);

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let trace = format!("{:032x}", fastrand::u128(1..));
    let parent = format!("00-{trace}-{:016x}-01", fastrand::u64(1..));
    let path = bench.subject.ready.as_deref().unwrap_or("/");
    for target in [path, "/"] {
        let request = Request::get(target).header("traceparent", &parent);
        // Whatever is answered: the line is what counts.
        drop(request.send(running.address(), bench.limit(QUESTION)).await);
    }
    let line = running.output().line(bench.limit(AT_ONCE), |line| line.text.contains(&trace)).await;
    let mut seen = match line {
        Some(_) => Seen::pass("its log names the trace that a request belongs to (`traceparent`)"),
        None => Seen::info(
            "its log does not name the trace that a request belongs to (`traceparent`): lines of one request cannot be found across services",
        ),
    };
    seen.timeline = running.end().await;
    seen
}
