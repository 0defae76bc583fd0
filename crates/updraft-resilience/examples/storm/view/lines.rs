//! The picture as plain lines, for pipes and for those who keep them.

use super::{Moment, state};

/// What the columns are.
pub(super) fn head() -> String {
    format!(
        "{:>6} {:>5} | {:>8} {:>4} {:>4} {:>4} {:>6} | {:>7} {:>7} {:>6} | {:9} {:>5} {:>4} | \
         {:>5} {:>5} | {}\n",
        "time",
        "calls",
        "answered",
        "open",
        "full",
        "late",
        "failed",
        "retries",
        "refused",
        "budget",
        "circuit",
        "run",
        "wait",
        "p50",
        "load",
        "retries only: answered, load",
    )
}

/// One second up to this moment.
pub(super) fn line(time: f64, moment: &Moment<'_>) -> String {
    let [policy, plain] = &moment.figures;
    let it = &policy.second;
    let bulkhead = moment.snapshot.bulkhead.unwrap_or_default();
    let median = policy.latency.map_or_else(|| "-".to_owned(), |(half, _)| format!("{half:.0?}"));
    format!(
        "{time:>5.1}s {:>5} | {:>8} {:>4} {:>4} {:>4} {:>6} | {:>7} {:>7} {:>6.1} | {:9} {:>5} \
         {:>4} | {median:>5} {:>4.1}x | {:>22} {:>4.1}x\n",
        it.calls,
        it.answered,
        it.open,
        it.full,
        it.late,
        it.failed,
        it.retries,
        it.not_granted,
        moment.snapshot.retry_budget.unwrap_or_default(),
        state(&moment.snapshot).name(),
        format!("{}/{}", bulkhead.in_use, bulkhead.max),
        bulkhead.queued,
        it.load(),
        plain.second.answered,
        plain.second.load(),
    )
}
