//! The one drain of a process: every component follows the same phases, and a component
//! has stopped when its clone of [`Stop`] is dropped.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// Where a process is between its start and its end. The order is the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Not everything it needs is connected.
    Starting,
    /// It does its work.
    Serving,
    /// It is not ready any more and takes no new jobs, but still answers requests.
    Draining,
    /// It accepts no connections and finishes what it has.
    Closing,
}

impl Phase {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 4] =
        [Self::Starting, Self::Serving, Self::Draining, Self::Closing];

    /// Its name in metrics and in the detail of health.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Closing => "closing",
        }
    }
}

/// The drain handle of one component.
///
/// The process waits, within its budget, until every clone is dropped.
#[derive(Clone, Debug)]
pub struct Stop {
    phase: watch::Receiver<Phase>,
    grace: Duration,
}

impl Stop {
    /// Waits until the process is asked to stop: then finish, or hand back, what is in
    /// hand, and return.
    pub async fn requested(&self) {
        reached(&mut self.phase.clone(), Phase::Draining).await;
    }

    /// Whether the process was asked to stop.
    pub fn is_requested(&self) -> bool {
        Phase::Draining <= *self.phase.borrow()
    }

    #[cfg(feature = "ws")]
    /// Waits until the process closes its connections, after it was asked to stop.
    pub(crate) async fn closing(&self) {
        reached(&mut self.phase.clone(), Phase::Closing).await;
    }

    #[cfg(feature = "ws")]
    /// Whether the process closes its connections.
    pub(crate) fn is_closing(&self) -> bool {
        Phase::Closing <= *self.phase.borrow()
    }

    /// How long the whole drain may take.
    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }
}

/// The side that moves the phases on.
#[derive(Debug)]
pub(crate) struct Drain {
    phase: watch::Sender<Phase>,
    grace: Duration,
}

impl Drain {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), grace }
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop { phase: self.phase.subscribe(), grace: self.grace }
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The phase for those who must not hold up the drain: see [`Drain::released`].
    pub(crate) fn sender(&self) -> watch::Sender<Phase> {
        self.phase.clone()
    }

    /// Moves on; never back, so that a start that ends late cannot undo a drain. `false`: it
    /// was there already.
    pub(crate) fn advance(&self, to: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let on = *phase < to;
            *phase = to.max(*phase);
            on
        })
    }

    /// Waits until every handle is dropped.
    pub(crate) async fn released(&self) {
        self.phase.closed().await;
    }
}

/// Waits until `phase` is at least `wanted`.
pub(crate) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let gone = phase.wait_for(|phase| wanted <= *phase).await.is_err();
    if gone {
        // The drain itself is gone: the process is ending, and so is this wait.
        std::future::pending::<()>().await;
    }
}

/// How long a process takes to end, and how the time is split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainBudget {
    /// How long it keeps serving after it has stopped being ready.
    pub(crate) delay: Duration,
    /// All of it, from the signal to the exit.
    pub(crate) grace: Duration,
}

/// At most so much of the budget is kept for the end: closing what is attached, and the last
/// logs and traces.
const END_MOST: Duration = Duration::from_secs(3);

impl DrainBudget {
    /// How long it keeps serving: at most half of the budget, since what is served must also
    /// be finished.
    pub(crate) fn serving(self) -> Duration {
        self.delay.min(self.grace / 2)
    }

    /// From the signal to the moment when work that is not finished is cut off.
    pub(crate) fn work(self) -> Duration {
        self.grace - self.end()
    }

    /// For closing what is attached: the first half of what is kept for the end.
    pub(crate) fn closing(self) -> Duration {
        self.end() / 2
    }

    fn end(self) -> Duration {
        (self.grace / 5).min(END_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_never_go_back() {
        let drain = Drain::new(Duration::ZERO);
        let stop = drain.stop();
        assert!(!stop.is_requested());
        drain.advance(Phase::Closing);
        drain.advance(Phase::Serving);
        assert!(stop.is_requested());
        stop.requested().await;
    }

    #[test]
    fn the_parts_of_the_budget_are_within_it() {
        let ms = Duration::from_millis;
        for (delay, grace, serving, work, closing) in [
            (5000, 25_000, 5000, 22_000, 1500),
            (0, 25_000, 0, 22_000, 1500),
            (60_000, 10_000, 5000, 8000, 1000),
            (0, 300, 0, 240, 30),
            (5, 0, 0, 0, 0),
        ] {
            let budget = DrainBudget { delay: ms(delay), grace: ms(grace) };
            let parts = (budget.serving(), budget.work(), budget.closing());
            assert_eq!(parts, (ms(serving), ms(work), ms(closing)), "{budget:?}");
        }
    }

    #[tokio::test]
    async fn the_drain_is_done_when_the_last_handle_is_dropped() {
        let drain = Drain::new(Duration::ZERO);
        let stop = drain.stop();
        let task = tokio::spawn(async move {
            stop.requested().await;
        });
        drain.advance(Phase::Draining);
        drain.released().await;
        task.await.unwrap();
    }
}
