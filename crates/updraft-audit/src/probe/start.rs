//! `IX.start`: how long the program takes from its start to its first answer.

use std::time::Duration;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::client::Request;
use crate::lab::{Running, Setup, process};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

pub(super) const START: Dynamic = Dynamic {
    id: ProbeId::IxStart,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::SlowStart], Verdict::Warn)
            .with(|subject| subject.startup = Duration::from_millis(50)),
        Control::new(&[Behaviour::SlowStart], Verdict::Fail)
            .with(|subject| subject.boot = Duration::from_millis(10)),
    ],
};

/// Starts that are measured.
const STARTS: usize = 7;
/// The same in a quick audit.
const STARTS_QUICK: usize = 3;
/// How long they may take together; three are measured in any case.
const TOGETHER: Duration = Duration::from_secs(12);
/// How long a program that exceeds its boot budget is watched, as a multiple of that: what is a
/// little later is late, and what is much later never comes.
const WATCHED: f64 = 1.25;
/// The longest time for which one is watched: an audit is not a deploy.
const WATCHED_MOST: Duration = Duration::from_secs(75);
/// Requests before its memory is looked at.
const REQUESTS: usize = 20;
/// How long one of them may take.
const QUESTION: Duration = Duration::from_secs(2);

async fn look(bench: Bench) -> Seen {
    let mut times = Vec::new();
    let (mut memory, mut timeline) = (0, Vec::new());
    let most = if bench.quick { STARTS_QUICK } else { STARTS };
    while times.len() < most {
        let running = match start(&bench, times.is_empty()).await {
            Ok(running) => running,
            Err(seen) => return seen,
        };
        times.push(running.elapsed());
        memory = memory.max(used(&bench, &running).await);
        timeline = running.end().await;
        let spent: Duration = times.iter().sum();
        let again = times.last().copied().unwrap_or_default();
        if spent + again > TOGETHER && (times.len() >= STARTS_QUICK || again > TOGETHER) {
            break;
        }
    }
    let mut seen = verdict(&mut times, &bench.subject, bench.scale);
    if memory > 0 {
        let bytes = u32::try_from(memory / 1024).unwrap_or(u32::MAX);
        seen = seen.measured("memory_peak_bytes", f64::from(bytes) * 1024.0);
    }
    seen.timeline = timeline;
    let url = format!("http://127.0.0.1:8080{}", bench.subject.ready.as_deref().unwrap_or("/"));
    seen.reproduced_by(format!(
        "({}) & time curl -s --retry 600 --retry-delay 0 --retry-connrefused -o /dev/null {url}",
        bench.pasted(8080)
    ))
}

/// A program that is only slow gets its chance once; one that does not come up in the time of
/// the other probes is not waited for again.
async fn start(bench: &Bench, first: bool) -> Result<Running, Seen> {
    let setup = Setup::new(bench.shape);
    let patience = bench.patience();
    let watched = bench.limit(bench.subject.boot.mul_f64(WATCHED).min(WATCHED_MOST));
    if !first || bench.quick || patience >= watched {
        return bench.start().await;
    }
    let launched = bench.lab.launch(&bench.subject, &setup).await;
    let mut running = launched.map_err(|error| Seen::unknown(error.to_string()))?;
    let error = match running.ready(patience).await {
        Ok(()) => return Ok(running),
        Err(error) => error,
    };
    let lives = !running.program().is_empty() && !running.listening().is_empty();
    if lives && running.ready(watched - patience).await.is_ok() {
        return Ok(running);
    }
    running.end().await;
    Err(Seen::unknown(super::unready(&error)))
}

/// The memory it has used after a few requests.
async fn used(bench: &Bench, running: &Running) -> u64 {
    let request = Request::get(bench.subject.ready.as_deref().unwrap_or("/"));
    for _ in 0..REQUESTS {
        if request.send(running.address(), QUESTION).await.is_err() {
            break;
        }
    }
    process::memory_peak(&running.program())
}

fn verdict(times: &mut [Duration], subject: &Subject, scale: f64) -> Seen {
    times.sort();
    let (p50, p95) = (quantile(times, 50).as_secs_f64(), quantile(times, 95).as_secs_f64());
    let (count, boot) = (times.len(), subject.boot.as_secs_f64());
    let budget = subject.startup.as_secs_f64();
    let said = format!("it answers {p50:.2} s after its start (p95 {p95:.2} s, {count} starts)");
    let slower = if scale > 1.05 {
        format!(", on a machine that is {scale:.1} times slower than usual now")
    } else {
        String::new()
    };
    let seen = if p95 > boot * scale {
        Seen::fail(format!("{said}, and its boot budget is {boot} s{slower}"))
    } else if p95 > budget * scale {
        Seen::warn(format!("{said}, and its budget is {budget} s{slower}"))
    } else {
        Seen::pass(format!("{said}; its budget is {budget} s{slower}"))
    };
    seen.measured("start_p50_seconds", p50).measured("start_p95_seconds", p95)
}

/// The smallest value that so many percent do not exceed, of sorted ones (nearest rank).
pub(super) fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budgets_are_the_limits_and_a_slow_machine_widens_them() {
        let table = [
            (1.0, 60, 1.0, Verdict::Pass),
            (5.0, 60, 1.0, Verdict::Pass),
            (6.0, 60, 1.0, Verdict::Warn),
            (6.0, 60, 2.0, Verdict::Pass),
            (61.0, 60, 1.0, Verdict::Fail),
            (61.0, 60, 2.0, Verdict::Warn),
            // Whoever gives it less time to boot does not wait for its budget.
            (3.0, 2, 1.0, Verdict::Fail),
            (3.0, 2, 1.6, Verdict::Pass),
        ];
        for (seconds, boot, scale, expected) in table {
            let mut times = vec![Duration::from_secs_f64(seconds); 3];
            let mut subject = Subject::control("control".into(), "/".into(), &[Behaviour::Good]);
            subject.boot = Duration::from_secs(boot);
            let seen = verdict(&mut times, &subject, scale);
            assert_eq!(seen.verdict, expected, "{seconds} {boot} {scale}");
        }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let of = |count: u64| (1..=count).map(Duration::from_secs).collect::<Vec<_>>();
        assert_eq!(quantile(&of(7), 50), Duration::from_secs(4));
        assert_eq!(quantile(&of(7), 95), Duration::from_secs(7));
        assert_eq!(quantile(&of(100), 95), Duration::from_secs(95));
        assert_eq!(quantile(&of(1), 50), Duration::from_secs(1));
        assert_eq!(quantile(&[], 50), Duration::ZERO);
    }
}
