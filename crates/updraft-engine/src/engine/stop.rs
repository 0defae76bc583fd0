//! The end of a run: those who need first, then those who are needed, then everything
//! that was reserved for them.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use updraft_system::{LogSource, RowKind};

use super::{Engine, Run, order};
use crate::board::Stage;
use crate::replica::Wanted;

/// How long the disk may take to store the last lines.
const LOG_CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOptions {
    /// Delete the data of its resources too.
    pub resources: bool,
    /// Kill at once instead of asking first.
    pub now: bool,
}

/// How a run has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// What had to be killed.
    pub killed: Vec<String>,
    /// Why the run had to end, or could not end in order.
    pub failed: Option<String>,
}

impl Engine {
    /// Tells the run to stop. It may be told again, to be quicker.
    pub fn begin_stop(&self, options: StopOptions) {
        self.0.stop.send_modify(|stop| {
            let earlier = stop.unwrap_or(StopOptions { resources: false, now: false });
            *stop = Some(StopOptions {
                resources: earlier.resources || options.resources,
                now: earlier.now || options.now,
            });
        });
    }

    /// Waits until nothing of the run is left.
    pub async fn stopped(&self) -> StopReport {
        let mut finished = self.0.finished.subscribe();
        let report = finished.wait_for(Option::is_some).await;
        // The sender lives in `self`.
        report.ok().and_then(|report| report.clone()).unwrap_or_default()
    }
}

/// Waits until the run is told to stop, and stops it.
pub(super) async fn when_told(run: Arc<Run>) {
    run.told_to_stop().await;
    // A command that is under way finishes first; it is bounded and ends early now.
    let commands = run.commands.lock().await;
    run.set_stage(Stage::Stopping);
    let mut killed = Vec::new();
    for group in run.groups() {
        killed.extend(run.stop_group(group).await);
    }
    drop(commands);
    drop(run.tasks.write().await);
    let report = run.finish(killed).await;
    run.finished.send_replace(Some(report));
}

impl Run {
    /// Replicas in the order of their ends: those of one group end together.
    fn groups(&self) -> Vec<Vec<LogSource>> {
        let board = self.board.borrow();
        let of_kind = |kind| board.rows.iter().filter(move |(_, row)| row.kind == kind);
        let order = order::start_order(&self.target().system);
        let sources = || of_kind(RowKind::Service).map(|(source, _)| source);
        let mut groups: Vec<Vec<LogSource>> = order
            .iter()
            .rev()
            .map(|service| sources().filter(|it| it.service == *service).cloned().collect())
            .collect();
        // A roll-out that was under way may have left some of no service that is in the graph.
        groups.push(sources().filter(|it| !order.contains(&it.service)).cloned().collect());
        groups.push(of_kind(RowKind::Resource).map(|(source, _)| source.clone()).collect());
        groups
    }

    /// Stops some replicas together; returns those that had to be killed.
    pub(super) async fn stop_group(&self, group: Vec<LogSource>) -> Vec<String> {
        self.end_group(group, Wanted::Stopped).await
    }

    /// The same, as `wanted` says.
    pub(super) async fn end_group(&self, group: Vec<LogSource>, wanted: Wanted) -> Vec<String> {
        let mut ending = Vec::new();
        {
            let mut held = self.held();
            for source in group {
                let Some(running) = held.replicas.remove(&source) else { continue };
                running.intent.send_modify(|intent| intent.wanted = wanted);
                ending.push((source, running));
            }
        }
        let mut stop = self.stop.subscribe();
        let mut killed = Vec::new();
        for index in 0..ending.len() {
            let task = &mut ending[index].1.task;
            let outcome = tokio::select! {
                outcome = &mut *task => outcome,
                () = told_now(&mut stop) => {
                    for (_, running) in &ending[index..] {
                        running.intent.send_modify(|intent| intent.wanted = Wanted::Killed);
                    }
                    (&mut ending[index].1.task).await
                }
            };
            if outcome.unwrap_or(true) {
                killed.push(ending[index].0.to_string());
            }
        }
        killed
    }

    /// Gives everything back that the run held.
    async fn finish(&self, killed: Vec<String>) -> StopReport {
        self.wire.close().await;
        let mut failed = match &self.board.borrow().stage {
            Stage::Failed(reason) => Some(reason.clone()),
            _ => None,
        };
        if failed.is_some()
            && let Err(error) = self.memory().failed()
        {
            failed = failed.map(|reason| format!("{reason}; {}", super::error::chain(&error)));
        }
        let delete = self.stop.borrow().is_some_and(|stop| stop.resources);
        let lock = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let (true, Some(lock)) = (delete, &lock)
            && let Err(error) = self.state.delete_resources(lock)
        {
            failed = failed.or(Some(super::error::chain(&error)));
        }
        if let Err(error) = self.logs.close(LOG_CLOSE_WITHIN).await {
            failed = failed.or(Some(super::error::chain(&error)));
        }
        if let Err(error) = fs::remove_file(self.state.socket())
            && error.kind() != io::ErrorKind::NotFound
        {
            failed = failed.or(Some(format!("cannot remove the control socket: {error}")));
        }
        self.scopes.close().await;
        drop(lock);
        StopReport { killed, failed }
    }
}

/// Resolves when the run is to end without further asking.
async fn told_now(stop: &mut watch::Receiver<Option<super::StopOptions>>) {
    let now = |stop: &Option<StopOptions>| stop.is_some_and(|stop| stop.now);
    if stop.wait_for(now).await.is_err() {
        std::future::pending::<()>().await;
    }
}
