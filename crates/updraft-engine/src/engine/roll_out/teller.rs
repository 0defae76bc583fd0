//! Tells of a roll-out: whoever follows it, the board, and the log.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use updraft_system::{
    LogSource, Name, RollOutEnd, RollOutEvent, RollOutOutcome, RollOutPlan, RollOutStatus,
    RollOutStep, StepState,
};

use super::super::{CommandError, Run};
use super::Went;

/// Tells of one roll-out.
pub(super) struct Teller {
    run: Arc<Run>,
    events: mpsc::Sender<Result<RollOutEvent, CommandError>>,
}

impl Teller {
    pub(super) fn new(
        run: &Arc<Run>,
        events: mpsc::Sender<Result<RollOutEvent, CommandError>>,
    ) -> Self {
        Self { run: Arc::clone(run), events }
    }

    pub(super) fn preparing(&self, text: String) {
        self.send(RollOutEvent::Preparing(text));
    }

    pub(super) fn plan(&self, plan: &RollOutPlan) {
        self.send(RollOutEvent::Plan(plan.clone()));
    }

    pub(super) fn step(&self, source: &LogSource, state: StepState, detail: Option<String>) {
        let more = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        self.run.logs.notice(source, &format!("roll-out: {state}{more}"));
        let status =
            RollOutStatus { outcome: None, detail: format!("rolling out: {source} {state}{more}") };
        self.run.board.send_modify(|board| board.roll_out = Some(status));
        self.send(RollOutEvent::Step(RollOutStep { source: source.clone(), state, detail }));
    }

    /// The end, which is told to whoever listens however slow it is.
    pub(super) async fn end(self, went: Went, began: Instant) {
        let event = match went {
            Ok(None) => return,
            Ok(Some(end)) => {
                let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let end = RollOutEnd { took_ms: took, ..end };
                self.keep(&end);
                Ok(RollOutEvent::Ended(end))
            }
            Err(error) => {
                self.run.board.send_modify(|board| {
                    board.roll_out.take_if(|status| status.outcome.is_none());
                });
                Err(error)
            }
        };
        // One who has gone needs no word.
        drop(self.events.send(event).await);
    }

    fn keep(&self, end: &RollOutEnd) {
        let why = end.reason.clone().unwrap_or_default();
        let detail = match end.outcome {
            RollOutOutcome::Unchanged => return,
            RollOutOutcome::Done => "the last roll-out succeeded".to_owned(),
            RollOutOutcome::RolledBack => {
                format!("the last roll-out failed, and what ran before runs on: {why}")
            }
            RollOutOutcome::Broken => format!("the last roll-out failed half way: {why}"),
        };
        let source = LogSource::new(self.run.name.clone(), Name::roll_out(), 1);
        self.run.logs.notice(&source, &detail);
        let status = RollOutStatus { outcome: Some(end.outcome), detail };
        self.run.board.send_modify(|board| board.roll_out = Some(status));
    }

    fn send(&self, event: RollOutEvent) {
        // A reader that is thousands of events behind hears of the end.
        drop(self.events.try_send(Ok(event)));
    }
}
