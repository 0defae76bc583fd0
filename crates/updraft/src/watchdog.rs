//! The watchdog: it looks from outside of the runtime whether the runtime still runs tasks.
//! A process whose workers are all blocked accepts connections and answers nothing; only a
//! restart helps, and only somebody on another thread can say so.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

use crate::health::{Health, MISSES_MOST};
use crate::metrics::{Buckets, Exposed, Kind, Text};

/// Probes of the runtime within one interval: the delays they meet are a metric too.
const PROBES: u32 = 5;

/// Whatever `WATCHDOG_INTERVAL` says: a pause as short as this is no sign of anything.
const INTERVAL_LEAST: Duration = Duration::from_millis(50);

/// Upper bounds of seconds from the posting of a task to its first poll.
const DELAY_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What the watchdog measures.
#[derive(Clone, Debug)]
pub(crate) struct Delays(Arc<Buckets>);

impl Default for Delays {
    fn default() -> Self {
        Self(Arc::new(Buckets::new(DELAY_SECONDS)))
    }
}

impl Exposed for Delays {
    fn write(&self, text: &mut Text<'_>) {
        let name = "updraft_runtime_delay_seconds";
        let help = "From the posting of a task to its first poll: what every request waits too.";
        text.family(name, Kind::Histogram, help);
        text.histogram(name, "", &self.0.snapshot());
    }
}

/// Watches `runtime` from the caller's own, for ever. After three intervals in which the
/// runtime ran nothing, or a heart did not beat, the process counts as dead until it does
/// again.
///
/// Intervals are counted, not time: a process that was stopped or starved of processor time
/// as a whole has not missed anything.
pub(crate) async fn watch(
    runtime: Handle,
    health: Health,
    delays: Delays,
    interval: Duration,
    running: impl Fn() -> Vec<&'static str>,
) {
    let mut ticks = tokio::time::interval(interval.max(INTERVAL_LEAST) / PROBES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut probe = Posted::to(&runtime);
    let mut misses = Misses::default();
    let mut tick = 0_u32;
    loop {
        ticks.tick().await;
        tick = tick.wrapping_add(1);
        if let Some(delay) = probe.answer() {
            delays.0.record(delay.as_secs_f64(), None);
            probe = Posted::to(&runtime);
        }
        if !tick.is_multiple_of(PROBES) {
            continue;
        }
        let hearts = health.silent_hearts();
        // With the runtime everything in it is silent, which is no news.
        let silent = if PROBES <= probe.ticks { vec!["runtime"] } else { hearts };
        match misses.note(silent) {
            Change::None => {}
            Change::Stuck(stuck) => {
                let metrics = runtime.metrics();
                tracing::error!(
                    stuck = stuck.join(", "),
                    background = running().join(", "),
                    workers = metrics.num_workers(),
                    alive_tasks = metrics.num_alive_tasks(),
                    waiting_tasks = metrics.global_queue_depth(),
                    "the process is stuck: what is named does nothing any more; the runtime, \
                     because all of its workers are blocked"
                );
                health.set_stuck(stuck);
            }
            Change::Well => {
                tracing::warn!("the process is no longer stuck");
                health.set_stuck(Vec::new());
            }
        }
    }
}

/// A task that is posted and says when it is run.
struct Posted {
    at: Instant,
    ran: oneshot::Receiver<Instant>,
    /// Looks at it that were in vain.
    ticks: u32,
}

impl Posted {
    fn to(runtime: &Handle) -> Self {
        let (run, ran) = oneshot::channel();
        let at = Instant::now();
        // Nobody listens any more when the process ends.
        runtime.spawn(async move { run.send(Instant::now()).unwrap_or_default() });
        Self { at, ran, ticks: 0 }
    }

    /// How long it took to be run, when it was.
    fn answer(&mut self) -> Option<Duration> {
        match self.ran.try_recv() {
            Ok(ran) => Some(ran.saturating_duration_since(self.at)),
            Err(_not_yet) => {
                self.ticks += 1;
                None
            }
        }
    }
}

/// What has been silent for how many intervals in a row.
#[derive(Debug, Default)]
struct Misses {
    row: Vec<(&'static str, u32)>,
    stuck: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    Stuck(Vec<&'static str>),
    Well,
}

impl Misses {
    /// One interval is over.
    fn note(&mut self, silent: Vec<&'static str>) -> Change {
        let before = |name| self.row.iter().find(|(known, _)| *known == name).map_or(0, |it| it.1);
        let row: Vec<_> = silent.iter().map(|name| (*name, before(*name) + 1)).collect();
        self.row = row;
        let stuck = self.row.iter().filter(|(_, misses)| MISSES_MOST <= *misses);
        let stuck: Vec<_> = stuck.map(|(name, _)| *name).collect();
        match (self.stuck, stuck.is_empty()) {
            (false, false) => {
                self.stuck = true;
                Change::Stuck(stuck)
            }
            (true, true) => {
                self.stuck = false;
                Change::Well
            }
            _ => Change::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_misses_in_a_row_are_an_end_and_one_answer_a_beginning() {
        let mut misses = Misses::default();
        let silent = || vec!["listener"];
        assert_eq!(misses.note(silent()), Change::None);
        assert_eq!(misses.note(silent()), Change::None);
        assert_eq!(misses.note(Vec::new()), Change::None, "the row is broken");
        assert_eq!(misses.note(silent()), Change::None);
        assert_eq!(misses.note(vec!["jobs"]), Change::None, "another one's row");
        assert_eq!(misses.note(vec!["jobs", "listener"]), Change::None);
        assert_eq!(misses.note(silent()), Change::None);
        assert_eq!(misses.note(silent()), Change::Stuck(silent()));
        assert_eq!(misses.note(silent()), Change::None, "it is told once");
        assert_eq!(misses.note(Vec::new()), Change::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_told_while_the_runtime_is_well() {
        let looks = Duration::from_secs(5);
        let drain = crate::drain::Drain::new(Duration::ZERO);
        let health = Health::new(drain.sender(), looks);
        let mut beat = health.beat("listener");
        let (runtime, delays) = (Handle::current(), Delays::default());
        let watching = watch(runtime, health.clone(), delays.clone(), looks, Vec::new);
        let watching = tokio::spawn(watching);
        let live = || health.objections(crate::health::Probe::Live);
        for _ in 0..100 {
            beat.next().await;
        }
        assert!(live().is_empty(), "{:?}", live());
        tokio::time::sleep(looks * 2).await;
        assert!(live().is_empty(), "two looks are not enough: {:?}", live());
        tokio::time::sleep(looks * 2).await;
        assert_eq!(live(), ["stuck: listener"]);
        for _ in 0..20 {
            beat.next().await;
        }
        assert!(live().is_empty(), "{:?}", live());
        // A loop that has ended as it should is not missed.
        drop(beat);
        tokio::time::sleep(looks * 5).await;
        assert!(live().is_empty(), "{:?}", live());
        watching.abort();
    }
}
