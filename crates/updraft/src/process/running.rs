//! A running process, from its start to the end of its drain.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::closers::Closers;
use super::components::Components;
use super::signals::Signals;
use super::{BoxFuture, Outcome, failed};
use crate::BoxError;
use crate::drain::{Drain, DrainBudget, Phase};
use crate::health::Health;
use crate::web::Web;

/// Why work is cut off by somebody who does not want to wait.
const FORCED: &str = "a second signal came";

/// The parts of a running process.
pub(super) struct Process {
    pub(super) drain: Drain,
    pub(super) health: Health,
    pub(super) web: Option<Web>,
    pub(super) components: Arc<Components>,
    pub(super) closers: Arc<Closers>,
    pub(super) budget: DrainBudget,
    pub(super) runtime: Handle,
}

impl Process {
    /// Starts, and stays until a signal or a failure; then drains.
    pub(super) async fn serve(
        self,
        start: BoxFuture<Result<(), BoxError>>,
        serves_users: bool,
        signals: &mut Signals,
    ) -> Outcome {
        let mut start = self.runtime.spawn(start);
        let started = tokio::select! {
            started = &mut start => started.unwrap_or_else(|panic| Err(panic.into())),
            signal = signals.next() => {
                start.abort();
                tracing::info!(signal, "stopping before the start was complete");
                return self.end(Outcome::Clean, Duration::ZERO, signals).await;
            }
        };
        let started = started.and_then(|()| match serves_users || self.components.any() {
            true => Ok(()),
            false => Err("the start of a worker must run something with Context::run".into()),
        });
        if let Err(error) = started {
            let outcome = failed("cannot start", &*error);
            return self.end(outcome, Duration::ZERO, signals).await;
        }
        self.health.started();
        self.advance(Phase::Serving);
        tracing::info!("ready");
        let outcome = tokio::select! {
            signal = signals.next() => {
                // Before anybody can read that it stops.
                self.advance(Phase::Draining);
                tracing::info!(signal, "stopping");
                Outcome::Clean
            }
            component = self.components.next_end() => component.died(),
        };
        let delay = if serves_users { self.budget.serving() } else { Duration::ZERO };
        self.end(outcome, delay, signals).await
    }

    fn advance(&self, phase: Phase) {
        if self.drain.advance(phase) {
            self.health.entered(phase);
        }
    }

    /// The drain, all within one budget: unready and still serving for `delay`; then closed
    /// to what is new, until work in hand is finished or its time is over; then what is
    /// attached is closed.
    async fn end(mut self, so_far: Outcome, delay: Duration, signals: &mut Signals) -> Outcome {
        self.advance(Phase::Draining);
        let web = self.web.take();
        let requests = web.as_ref().map(Web::http);
        let orderly = async {
            let close = async {
                tokio::time::sleep(delay).await;
                self.advance(Phase::Closing);
                if let Some(web) = web {
                    web.closed().await;
                }
            };
            let (outcome, ()) = tokio::join!(self.components.all_ended(), close);
            self.drain.released().await;
            outcome
        };
        let (outcome, cut) = tokio::select! {
            ended = tokio::time::timeout(self.budget.work(), orderly) => match ended {
                Ok(outcome) => (so_far.and(outcome), None),
                Err(_elapsed) => (Outcome::Failed, Some("SHUTDOWN_GRACE is over")),
            },
            _signal = signals.next() => (Outcome::Failed, Some(FORCED)),
        };
        let forced = cut == Some(FORCED);
        if let Some(cut) = cut {
            let requests = requests.map_or(0, |requests| requests.active());
            let background = self.components.running().join(", ");
            tracing::error!(requests, background, "work was cut off: {cut}");
        }
        self.health.end_checks();
        let closed = !forced && self.close(signals).await;
        if closed && cut.is_none() {
            self.tell_phases();
        }
        if closed { outcome } else { Outcome::Failed }
    }

    /// Closes what is attached; a signal, which is another one, ends that too.
    async fn close(&self, signals: &mut Signals) -> bool {
        let open = tokio::select! {
            open = self.closers.close(&self.runtime, self.budget.closing()) => open,
            _signal = signals.next() => vec!["what was left when another signal came"],
        };
        if !open.is_empty() {
            let attachments = open.join(", ");
            tracing::error!(attachments, "not everything could be closed");
        }
        open.is_empty()
    }

    /// The last line of a drain that cut nothing off.
    fn tell_phases(&self) {
        let phases = self.health.phases();
        let ms = |wanted: Phase| {
            let of = phases.iter().filter(|(phase, _)| *phase == wanted);
            of.map(|(_, span)| span.as_secs_f64() * 1000.0).sum::<f64>()
        };
        let (serving_ms, draining_ms) = (ms(Phase::Serving), ms(Phase::Draining));
        tracing::info!(serving_ms, draining_ms, closing_ms = ms(Phase::Closing), "stopped");
    }

    /// Runs a task to its end; a signal asks it to stop, a second one cuts it off.
    pub(super) async fn complete(
        self,
        task: BoxFuture<Result<(), BoxError>>,
        signals: &mut Signals,
    ) -> Outcome {
        let mut task = self.runtime.spawn(task);
        self.advance(Phase::Serving);
        let mut done = tokio::select! {
            done = &mut task => Some(done),
            signal = signals.next() => {
                tracing::info!(signal, "the task is asked to stop");
                None
            }
        };
        if done.is_none() {
            self.advance(Phase::Draining);
            tokio::select! {
                last = &mut task => done = Some(last),
                () = tokio::time::sleep(self.budget.work()) => {}
                _signal = signals.next() => {}
            }
        }
        self.health.end_checks();
        // A task that is done is done, whatever its connections do.
        let _closed = self.close(signals).await;
        match done {
            Some(Ok(Ok(()))) => {
                tracing::info!("the task is done");
                Outcome::Clean
            }
            Some(Ok(Err(error))) => failed("the task failed", &*error),
            Some(Err(panic)) => failed("the task failed", &panic),
            None => {
                tracing::error!("the task was cut off");
                Outcome::Failed
            }
        }
    }
}
