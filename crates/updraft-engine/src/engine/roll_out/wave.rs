//! One wave: some copies are replaced together, all of them or none.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use updraft_mesh::GatewayError;
use updraft_system::{
    LogSource, LogStream, ProcessState, Role, RowKind, Service, StepState, System,
};

use super::super::error::chain;
use super::super::{Run, RunTarget};
use super::difference::{AllPresent, Present};
use super::teller::Teller;
use crate::board::{Board, Stage};
use crate::replica::{Proof, Wanted};

/// How many last lines tell why a copy failed.
const LAST_LINES: usize = 10;

/// One copy that is replaced, started where there was none, or ended where there will be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: Option<LogSource>,
    pub(super) to: Option<LogSource>,
}

/// Why something could not be replaced.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// The last lines of what failed.
    pub(super) lines: Vec<String>,
    /// The run is told to stop: nothing is to be brought back.
    pub(super) stops: bool,
    /// What ran before could not be had back.
    pub(super) is_broken: bool,
}

/// One wave.
pub(super) struct Wave<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) teller: Option<&'a Teller>,
    pub(super) old: &'a RunTarget,
    pub(super) new: &'a RunTarget,
    /// The graph of the wire from the moment on at which the new takes over.
    pub(super) graph: System,
    pub(super) proof: Proof,
    pub(super) deadline: Instant,
}

impl Failure {
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lines: Vec::new(), stops: false, is_broken: false }
    }
}

impl Wave<'_> {
    /// Starts the new copies beside the old; they take over when all of them have proven
    /// themselves, and the old ones end. An error: everything is as before.
    pub(super) async fn beside(&self, moves: &[Move]) -> Result<(), Failure> {
        let (news, olds) = (new(moves), old(moves));
        let from = self.run.logs.next_seq();
        if let Err(failure) = self.bring(self.new, &news, Role::Incoming) {
            self.take_away(&news).await;
            return Err(failure);
        }
        let proven = match self.run.proven(&news, self.deadline).await {
            Ok(()) => self.take_over(&news, &olds),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = proven {
            let failure = self.explain(failure, &news, from);
            self.take_away(&news).await;
            return Err(failure);
        }
        self.settle(self.new, &news);
        self.retire(&olds).await;
        Ok(())
    }

    /// Ends the old copies first and starts the new ones then. An error: the old ones run
    /// again, unless it says that it is broken.
    pub(super) async fn exclusive(&self, moves: &[Move]) -> Result<(), Failure> {
        let (news, olds) = (new(moves), old(moves));
        self.withdraw(&olds)?;
        self.retire(&olds).await;
        let from = self.run.logs.next_seq();
        let outcome = match self.bring(self.new, &news, Role::Serving) {
            Ok(()) => self.run.proven(&news, self.deadline).await,
            Err(failure) => Err(failure),
        };
        let Err(failure) = outcome else {
            self.settle(self.new, &news);
            news.iter().for_each(|it| self.tell(it, StepState::Serving, None));
            return Ok(());
        };
        let mut failure = self.explain(failure, &news, from);
        self.take_away(&news).await;
        if failure.stops {
            return Err(failure);
        }
        let back = match self.bring(self.old, &olds, Role::Serving) {
            // What was proven once is started again and again if it must be.
            Ok(()) => {
                self.prove(&olds);
                self.run.all_ready(&olds).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(other) = back {
            failure.reason = format!("{}; and back: {}", failure.reason, other.reason);
            failure.is_broken = true;
        }
        Err(failure)
    }

    /// Ends copies that have no successor.
    pub(super) async fn end(&self, olds: &[LogSource]) -> Result<(), Failure> {
        self.withdraw(olds)?;
        self.retire(olds).await;
        Ok(())
    }

    fn tell(&self, source: &LogSource, state: StepState, detail: Option<String>) {
        if let Some(teller) = self.teller {
            teller.step(source, state, detail);
        }
    }

    /// Starts copies of a target, each at the port that is reserved for it.
    fn bring(&self, target: &RunTarget, sources: &[LogSource], role: Role) -> Result<(), Failure> {
        for source in sources {
            let port = self.run.held().port(&source.to_string());
            let port = port.map_err(|error| Failure::of(chain(&error)))?;
            let Some(mut plan) = self.run.plan_of(target, source, port) else { continue };
            // What it comes after is there, or the old one would not be; and whether it can do
            // with that is what it has to prove.
            plan.gates.clear();
            plan.proof = self.proof;
            self.run.enlist_as(source, RowKind::Service, &plan, (role, false));
            self.run.launch(source.clone(), plan);
            self.tell(source, StepState::Starting, None);
        }
        Ok(())
    }

    /// The new ones serve and the old ones do not, in one step.
    fn take_over(&self, news: &[LogSource], olds: &[LogSource]) -> Result<(), Failure> {
        let mut failed = None;
        let turned = self.turn(|board| {
            failed = news.iter().find(|it| !is_proven(board, it)).cloned();
            if failed.is_none() {
                set_role(board, news, Role::Serving);
                set_role(board, olds, Role::Outgoing);
            }
        });
        if let Some(source) = failed {
            return Err(Failure::of(format!("{source} {}", self.run.why(&source))));
        }
        if let Err(error) = turned {
            self.run.board.send_modify(|board| {
                set_role(board, news, Role::Incoming);
                set_role(board, olds, Role::Serving);
            });
            return Err(not_taken(&error));
        }
        news.iter().for_each(|it| self.tell(it, StepState::Serving, None));
        olds.iter().for_each(|it| self.tell(it, StepState::Draining, None));
        Ok(())
    }

    /// The old ones get no more requests.
    fn withdraw(&self, olds: &[LogSource]) -> Result<(), Failure> {
        self.turn(|board| set_role(board, olds, Role::Outgoing)).map_err(|error| {
            self.run.board.send_modify(|board| set_role(board, olds, Role::Serving));
            not_taken(&error)
        })?;
        olds.iter().for_each(|it| self.tell(it, StepState::Draining, None));
        Ok(())
    }

    fn turn(&self, change: impl FnOnce(&mut Board)) -> Result<(), GatewayError> {
        let ports = self.run.held().ports_by_owner();
        self.run.wire.turn_over(self.graph.clone(), ports, change)
    }

    /// Ends what serves no more, when the requests to it have ended.
    async fn retire(&self, olds: &[LogSource]) {
        let killed = self.run.end_group(olds.to_vec(), Wanted::Drained).await;
        for old in olds {
            let forced = killed.contains(&old.to_string());
            let detail = forced.then(|| "it did not end in its time, and was killed".to_owned());
            self.tell(old, StepState::Gone, detail);
        }
        self.run.forget_rows(olds);
    }

    /// Ends what has served nobody.
    async fn take_away(&self, news: &[LogSource]) {
        drop(self.run.stop_group(news.to_vec()).await);
        self.run.forget_rows(news);
    }

    /// What has proven itself is supervised from now on like any other.
    fn settle(&self, target: &RunTarget, sources: &[LogSource]) {
        for source in sources {
            self.run.replan(target, source);
        }
    }

    fn prove(&self, sources: &[LogSource]) {
        self.run.board.send_modify(|board| {
            let rows = board.rows.iter_mut().filter(|(source, _)| sources.contains(source));
            rows.for_each(|(_, row)| row.proven = true);
        });
    }

    /// A failure with the last lines of the copies that were started.
    fn explain(&self, failure: Failure, news: &[LogSource], from: u64) -> Failure {
        let failed = |source: &&LogSource| !is_proven(&self.run.board.borrow(), source);
        let mut lines = Vec::new();
        for source in news.iter().filter(failed) {
            self.tell(source, StepState::Failed, Some(self.run.why(source)));
            lines.extend(self.run.last_lines(source, from));
        }
        Failure { lines, ..failure }
    }
}

fn new(moves: &[Move]) -> Vec<LogSource> {
    moves.iter().filter_map(|one| one.to.clone()).collect()
}

fn old(moves: &[Move]) -> Vec<LogSource> {
    moves.iter().filter_map(|one| one.from.clone()).collect()
}

fn not_taken(error: &GatewayError) -> Failure {
    Failure::of(format!("the gateway does not take it: {}", chain(error)))
}

fn set_role(board: &mut Board, sources: &[LogSource], role: Role) {
    for source in sources {
        if let Some(row) = board.rows.get_mut(source) {
            row.role = role;
        }
    }
}

fn is_proven(board: &Board, source: &LogSource) -> bool {
    let row = board.rows.get(source);
    row.is_some_and(|row| row.state == ProcessState::Ready && row.proven)
}

/// Whether it is certain that a copy will not prove itself.
fn has_failed(board: &Board, source: &LogSource) -> bool {
    use ProcessState::{Backoff, CrashLoop, Stopped, Stopping};
    let ended = [Backoff, CrashLoop, Stopped, Stopping];
    board.rows.get(source).is_none_or(|row| ended.contains(&row.state))
}

impl Run {
    /// What runs, by service and process.
    pub(super) fn present(&self) -> AllPresent {
        let board = self.board.borrow();
        let mut present = AllPresent::new();
        for (source, row) in board.rows.iter().filter(|(_, row)| row.kind == RowKind::Service) {
            let key = (source.service.clone(), source.process.clone());
            let of_process: &mut Present = present.entry(key).or_default();
            of_process.copies += 1;
            of_process.booted_in = of_process.booted_in.max(row.booted_in);
        }
        present
    }

    /// Waits until all of them have proven themselves; an error as soon as one will not.
    pub(super) async fn proven(
        &self,
        sources: &[LogSource],
        deadline: Instant,
    ) -> Result<(), Failure> {
        let mut board = self.board.subscribe();
        let decided = board.wait_for(|board| {
            board.stage != Stage::Running
                || sources.iter().any(|source| has_failed(board, source))
                || sources.iter().all(|source| is_proven(board, source))
        });
        tokio::select! {
            // The sender lives in `self`.
            decided = decided => drop(decided),
            () = sleep_until(deadline) => return Err(Failure::of(self.overdue(sources))),
            () = self.told_to_stop() => {
                return Err(Failure { stops: true, ..Failure::of("the system stops") });
            }
        }
        let failed = {
            let board = self.board.borrow();
            sources.iter().find(|source| has_failed(&board, source)).cloned()
        };
        match failed {
            Some(source) => Err(Failure::of(format!("{source} {}", self.why(&source)))),
            None => Ok(()),
        }
    }

    fn overdue(&self, sources: &[LogSource]) -> String {
        let board = self.board.borrow();
        let late = sources.iter().find(|source| !is_proven(&board, source));
        let late = late.map(ToString::to_string).unwrap_or_default();
        format!("the deadline was over before {late} could take over")
    }

    /// Waits until all of them are ready or it is certain that one ends again and again.
    async fn all_ready(&self, sources: &[LogSource]) -> Result<(), Failure> {
        for source in sources {
            let ready = self.becomes_ready(source, None).await;
            ready.map_err(|error| Failure::of(chain(&error)))?;
        }
        Ok(())
    }

    /// Why a copy is not ready, after its name.
    fn why(&self, source: &LogSource) -> String {
        let board = self.board.borrow();
        let row = board.rows.get(source);
        let detail = row.and_then(|row| row.detail.clone().or_else(|| row.last_exit.clone()));
        match detail {
            Some(detail) => format!("did not prove itself: {detail}"),
            None => "did not prove itself".to_owned(),
        }
    }

    /// The last lines that a source has written itself since `from`.
    pub(super) fn last_lines(&self, source: &LogSource, from: u64) -> Vec<String> {
        let lines = self.logs.tail(source, LAST_LINES + 5).into_iter();
        let own = lines.filter(|line| from <= line.seq && line.stream != LogStream::Updraft);
        let mut lines: Vec<String> = own.map(|line| line.line).collect();
        lines.drain(..lines.len().saturating_sub(LAST_LINES));
        lines
    }

    fn plan_of(
        &self,
        target: &RunTarget,
        source: &LogSource,
        port: u16,
    ) -> Option<crate::replica::ReplicaPlan> {
        let service: &Service = target.system.services.get(&source.service)?;
        let process = service.processes.get(&source.process)?;
        Some(self.process_plan(target, service, process, source.replica, port))
    }

    /// Gives a copy that runs what it is started with the next time.
    pub(super) fn replan(&self, target: &RunTarget, source: &LogSource) {
        let port = self.held().replicas.get(source).map(|running| running.plan.borrow().port);
        let Some(plan) = port.and_then(|port| self.plan_of(target, source, port)) else { return };
        let release = plan.release;
        if let Some(running) = self.held().replicas.get(source) {
            running.plan.send_replace(Arc::new(plan));
        }
        self.board.send_modify(|board| {
            if let Some(row) = board.rows.get_mut(source) {
                row.release = release;
            }
        });
    }
}

/// What a copy that goes back has to show: it has run before.
pub(super) fn proof_of_old(ready: u32) -> Proof {
    Proof { ready, settle: Duration::ZERO }
}
