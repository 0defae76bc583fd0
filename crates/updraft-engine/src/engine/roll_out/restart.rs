//! A restart: a roll-out to the same target. Copies that serve requests are replaced without
//! losing any; the others, and those that cannot roll, stop and start again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use updraft_system::{Beside, LogSelector, LogSource, Name, Roll};

use super::super::{CommandError, Engine, Run, RunTarget};
use super::wave::{Move, Wave, proof_of_old};

impl Engine {
    /// Starts the chosen replicas anew, some after others: each is ready before the next is
    /// touched. Those that serve requests, and can roll, start beside those that run, which go
    /// on until then; with `hard` each stops first.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when nothing is chosen or one does not become ready.
    pub async fn restart(&self, selector: &LogSelector, hard: bool) -> Result<(), CommandError> {
        let (run, selector) = (Arc::clone(&self.0), selector.clone());
        // A task of its own: whoever asked may go away in the middle of it.
        let restarted = tokio::spawn(async move { run.restart(&selector, hard).await });
        restarted.await.unwrap_or(Err(CommandError::NotNow("stopping")))
    }
}

impl Run {
    async fn restart(
        self: &Arc<Self>,
        selector: &LogSelector,
        hard: bool,
    ) -> Result<(), CommandError> {
        let _one_at_a_time = self.turn().await?;
        let mut chosen: BTreeMap<(Name, Name), Vec<LogSource>> = BTreeMap::new();
        for source in self.held().replicas.keys().filter(|source| selector.matches(source)) {
            let key = (source.service.clone(), source.process.clone());
            chosen.entry(key).or_default().push(source.clone());
        }
        if chosen.is_empty() {
            return Err(self.unknown_replica(selector));
        }
        let target = self.target();
        for ((service, process), sources) in chosen {
            let rolls = rolls(&target, &service, &process).filter(|_| !hard);
            match rolls {
                Some(beside) => self.restart_beside(&target, &beside, &sources).await?,
                None => {
                    for source in &sources {
                        self.restart_one(source).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn restart_beside(
        self: &Arc<Self>,
        target: &RunTarget,
        beside: &Beside,
        sources: &[LogSource],
    ) -> Result<(), CommandError> {
        let wave = Wave {
            run: self,
            teller: None,
            old: target,
            new: target,
            graph: target.system.clone(),
            // What runs has settled: it is the same program.
            proof: proof_of_old(beside.ready),
            deadline: Instant::now() + super::DEADLINE,
        };
        let surge = usize::try_from(beside.surge).unwrap_or(usize::MAX).max(1);
        for sources in sources.chunks(surge) {
            let beside = |it: &LogSource| Move { from: Some(it.clone()), to: Some(it.beside()) };
            let moves: Vec<Move> = sources.iter().map(beside).collect();
            let replaced = wave.beside(&moves).await;
            self.release_ports();
            replaced.map_err(|failure| {
                let lines: String =
                    failure.lines.iter().map(|line| format!("\n  {line}")).collect();
                let process = sources.first().map(|source| source.to_string()).unwrap_or_default();
                let reason = format!("{}; the one before runs on{lines}", failure.reason);
                CommandError::NotReady { process, reason }
            })?;
        }
        Ok(())
    }
}

/// How copies of a process start beside others, where that loses no request.
fn rolls(target: &RunTarget, service: &Name, process: &Name) -> Option<Beside> {
    let process = target.system.services.get(service)?.processes.get(process)?;
    process.serves()?;
    match &process.roll {
        Roll::Beside(beside) => Some(beside.clone()),
        Roll::Exclusive => None,
    }
}
