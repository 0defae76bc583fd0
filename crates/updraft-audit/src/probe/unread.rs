//! `XI.stall`: a program whose log nobody reads goes on serving.

use std::time::Duration;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Running, Setup, Stdout};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const STALL: Dynamic = Dynamic {
    id: ProbeId::XiStall,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::DropsLines], Verdict::Pass),
        Control::new(&[Behaviour::Good], Verdict::Warn),
    ],
};

/// How long requests have to be answered while nobody reads.
const STALLED: Duration = Duration::from_secs(5);
/// Requests that are made to fill the pipe.
const REQUESTS_MAX: usize = 200;
/// What makes their lines long.
const PADDING: usize = 1000;
/// After so many requests that leave nothing more in the pipe it is full.
const UNCHANGED: usize = 5;
/// How long an answer may take once somebody reads again.
const RESUMED: Duration = Duration::from_secs(3);

/// What was seen.
#[derive(Clone, Copy, Debug)]
struct Stalled {
    /// Bytes that nobody read, and how many there can be.
    unread: u64,
    capacity: u64,
    /// Whether the pipe was full for so long.
    full: bool,
    /// Whether a request was not answered in the time.
    unanswered: bool,
    /// Whether it was once somebody read.
    resumed: bool,
}

async fn look(bench: Bench) -> Seen {
    let setup = Setup { stdout: Stdout::Stalled, ..Setup::new(bench.shape) };
    let running = match bench.start_with(&setup).await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    running.output().narrow();
    let stalled = stalled(&bench, &running).await;
    let mut seen = verdict(&stalled).reproduced_by(format!(
        "({}) 2>&1 | sleep 60 & sleep 2; for i in $(seq 200); do curl -s -m 5 -o /dev/null -w '%{{http_code}} ' http://127.0.0.1:8080/$(head -c 1000 /dev/zero | tr '\\0' x); done",
        bench.pasted(8080)
    ));
    seen.timeline = running.end().await;
    seen
}

async fn stalled(bench: &Bench, running: &Running) -> Stalled {
    let request = Request::get(&format!("/{}", "x".repeat(PADDING)));
    let within = bench.limit(STALLED).min(STALLED * 2);
    let (mut unchanged, mut asked) = (0, 0);
    let mut full_since = None;
    let mut stalled = Stalled {
        unread: 0,
        capacity: running.output().unread().1,
        full: false,
        unanswered: false,
        resumed: false,
    };
    while asked < REQUESTS_MAX && !stalled.full {
        let sent = tokio::spawn({
            let (request, address) = (request.clone(), running.address());
            async move { request.send(address, within + RESUMED * 8).await }
        });
        let mut sent = sent;
        let answered = tokio::time::timeout(within, &mut sent).await;
        let (unread, capacity) = running.output().unread();
        unchanged = if unread == stalled.unread { unchanged + 1 } else { 0 };
        (stalled.unread, stalled.capacity) = (unread, capacity);
        if answered.is_err() {
            running.note(Lane::Client, "a request is not answered");
            stalled.unanswered = true;
            running.output().resume();
            let answered = tokio::time::timeout(bench.limit(RESUMED), sent).await;
            stalled.resumed = matches!(answered, Ok(Ok(Ok(_))));
            return stalled;
        }
        if unchanged >= UNCHANGED && unread * 2 >= capacity {
            let since = *full_since.get_or_insert_with(|| running.elapsed());
            stalled.full = running.elapsed().saturating_sub(since) >= STALLED;
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            asked += 1;
        }
    }
    stalled
}

fn verdict(stalled: &Stalled) -> Seen {
    let Stalled { unread, capacity, .. } = stalled;
    match stalled {
        Stalled { unanswered: true, resumed: true, .. } => Seen::warn(format!(
            "with {unread} bytes of its log unread, requests are not answered any more, and are once somebody reads: whoever stops reading the log stops the program"
        )),
        Stalled { unanswered: true, .. } => Seen::unknown(format!(
            "a request was not answered with {unread} bytes of its log unread, nor when somebody read: something else holds it"
        )),
        Stalled { full: true, .. } => Seen::pass(format!(
            "with the pipe of its log full for {} s ({unread} of {capacity} bytes) requests are still answered",
            STALLED.as_secs()
        )),
        _ => Seen::unknown(format!(
            "it wrote {unread} of {capacity} bytes for {REQUESTS_MAX} requests: the pipe of its log did not fill"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nobody_reads_is_to_blame_only_when_reading_it_helps() {
        let seen = Stalled {
            unread: 4000,
            capacity: 4096,
            full: false,
            unanswered: false,
            resumed: false,
        };
        let table = [
            (Stalled { full: true, ..seen }, Verdict::Pass),
            (Stalled { unanswered: true, resumed: true, ..seen }, Verdict::Warn),
            (Stalled { unanswered: true, ..seen }, Verdict::Unknown),
            (seen, Verdict::Unknown),
        ];
        for (stalled, expected) in table {
            assert_eq!(verdict(&stalled).verdict, expected, "{stalled:?}");
        }
    }
}
