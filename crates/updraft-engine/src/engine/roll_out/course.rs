//! The whole way of a roll-out: tasks, then one service after another, and the way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use updraft_system::{
    LogSource, Name, PlannedProcess, PlannedService, Resource, Roll, RollOutEnd, RollOutOutcome,
    RollOutPlan, RowKind, ServiceChange, StepState, System, Task, TaskCause, Way,
};

use super::super::error::chain;
use super::super::plans::server;
use super::super::target::union;
use super::super::{CommandError, Run, RunTarget};
use super::end;
use super::teller::Teller;
use super::wave::{Failure, Move, Wave, proof_of_old};
use crate::replica::Proof;
use crate::schedule::Cause;
use crate::scope::Exit;
use crate::wire;

/// The way from one target to another.
pub(super) struct Course<'a> {
    run: &'a Arc<Run>,
    teller: &'a Teller,
    old: Arc<RunTarget>,
    new: Arc<RunTarget>,
    plan: RollOutPlan,
    deadline: Instant,
    /// The services that run the new target.
    switched: BTreeSet<Name>,
    /// What was replaced, in order.
    done: Vec<Replaced>,
    /// Resources whose servers were started for the new target.
    added: Vec<Name>,
}

/// A wave that has taken place.
struct Replaced {
    service: Name,
    exclusive: bool,
    /// How often an old copy has to be ready to have its place again.
    ready: u32,
    moves: Vec<Move>,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        run: &'a Arc<Run>,
        teller: &'a Teller,
        old: Arc<RunTarget>,
        new: Arc<RunTarget>,
        plan: RollOutPlan,
        deadline: Instant,
    ) -> Self {
        let (switched, done, added) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { run, teller, old, new, plan, deadline, switched, done, added }
    }

    /// Goes it to its end. An error: nothing was begun.
    pub(super) async fn run(mut self) -> Result<RollOutEnd, CommandError> {
        if let Err(error) = self.reserve() {
            self.run.release_ports();
            return Err(error);
        }
        let went = self.forward().await;
        let end = match went {
            Ok(()) => self.arrive().await,
            Err(failure) => self.back(failure).await,
        };
        self.run.release_ports();
        Ok(end)
    }

    /// Reserves every port that will be needed, before anything starts.
    fn reserve(&self) -> Result<(), CommandError> {
        let mut owners = wire::owners(&self.new.system);
        for (service, process) in self.processes() {
            let to = self.moves(&service.service, process).into_iter().filter_map(|it| it.to);
            owners.extend(to.map(|to| to.to_string()));
        }
        let mut held = self.run.held();
        owners.iter().try_for_each(|owner| held.port(owner).map(drop))?;
        Ok(())
    }

    fn processes(&self) -> impl Iterator<Item = (&PlannedService, &PlannedProcess)> {
        let services = self.plan.services.iter();
        services.flat_map(|service| service.processes.iter().map(move |it| (service, it)))
    }

    /// The copies of a process that are replaced or started.
    fn moves(&self, service: &Name, process: &PlannedProcess) -> Vec<Move> {
        let held = self.run.held();
        let copy = |number| {
            let first = LogSource::new(service.clone(), process.process.clone(), number);
            let from = held.copies_of(&first).next().cloned();
            let to = match (&from, process.way) {
                (Some(from), Way::Exclusive) => from.clone(),
                (Some(from), Way::Beside) => from.beside(),
                (Some(_), Way::Start | Way::Stop) => return None,
                (None, _) => first,
            };
            Some(Move { from, to: Some(to) })
        };
        (1..=process.replicas).filter_map(copy).collect()
    }

    async fn forward(&mut self) -> Result<(), Failure> {
        self.start_resources().await?;
        // Edges that are new are there before a program is started with their address.
        self.turn_wire(self.graph(&self.old.blend(&self.new, &self.switched).system))?;
        self.run_tasks().await?;
        for planned in self.plan.services.clone() {
            let goes = matches!(planned.change, ServiceChange::Removed);
            if goes || (planned.change == ServiceChange::Same && planned.processes.is_empty()) {
                continue;
            }
            self.replace(&planned).await?;
            self.switched.insert(planned.service.clone());
            self.run.set_target(Arc::new(self.blend()));
            self.turn_wire(self.graph(&self.blend().system))?;
        }
        Ok(())
    }

    /// What runs, apart from what is being replaced just now.
    fn blend(&self) -> RunTarget {
        self.old.blend(&self.new, &self.switched)
    }

    /// The graph of the wire while `present` runs, and programs of both targets.
    fn graph(&self, present: &System) -> System {
        let mut graph = union(&union(present, &self.new.system), &self.old.system);
        // A path leads to one service: to the one that runs what is new, where two have it.
        let mut taken = BTreeSet::new();
        let (first, then): (Vec<_>, Vec<_>) =
            graph.services.keys().cloned().partition(|name| self.switched.contains(name));
        for name in first.iter().chain(&then) {
            let Some(service) = graph.services.get_mut(name) else { continue };
            let known = present.services.contains_key(name);
            service.route.take_if(|route| !known || !taken.insert(route.clone()));
        }
        graph
    }

    fn turn_wire(&self, graph: System) -> Result<(), Failure> {
        let ports = self.run.held().ports_by_owner();
        let turned = self.run.wire.turn_over(graph, ports, |_board| {});
        turned.map_err(|error| {
            Failure::of(format!("the gateway does not take it: {}", chain(&error)))
        })
    }

    /// Runs the release tasks of all services that change, in the order of the services. None
    /// of their processes has been touched by then.
    async fn run_tasks(&self) -> Result<(), Failure> {
        for planned in &self.plan.services {
            for task in &planned.tasks {
                let turn = timeout_at(self.deadline, self.run.releases.lock()).await;
                let _one_at_a_time = turn.map_err(|_elapsed| {
                    let task = format!("{}.{task}", planned.service);
                    Failure::of(format!("task {task} failed: another release task still runs"))
                })?;
                self.run_task(&planned.service, task).await?;
                // What comes after a task that is new waits for it whenever it starts.
                let key = (planned.service.clone(), task.clone());
                self.run.board.send_modify(|board| {
                    board.tasks.entry(key).or_insert(Ok(()));
                });
            }
        }
        Ok(())
    }

    async fn run_task(&self, service: &Name, task: &Name) -> Result<(), Failure> {
        let known = self.new.system.services.get(service);
        let Some((known, task)) = known.and_then(|it| Some((it, it.tasks.get(task)?))) else {
            return Ok(());
        };
        let source = LogSource::new(service.clone(), task.name.clone(), 1);
        let from = self.run.logs.next_seq();
        self.teller.step(&source, StepState::Starting, None);
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = task.timeout.map_or(left, |timeout| timeout.min(left));
        let limited = Task { timeout: Some(timeout), ..task.clone() };
        let cause = Cause { cause: TaskCause::Release, due: None };
        let running = self.run.task_of(&self.new, known, &limited, Vec::new());
        let reason = match self.run.recorded(known, &limited, cause, running).await {
            Ok(Exit::Code(0)) => {
                self.teller.step(&source, StepState::Succeeded, None);
                return Ok(());
            }
            Ok(_) if self.deadline <= Instant::now() => "the deadline was over".to_owned(),
            Ok(exit) => exit.to_string(),
            Err(error) => chain(&error),
        };
        self.teller.step(&source, StepState::Failed, Some(reason.clone()));
        Err(Failure {
            lines: self.run.last_lines(&source, from),
            stops: self.run.stop.borrow().is_some(),
            ..Failure::of(format!("task {service}.{} failed: {reason}", task.name))
        })
    }

    /// Replaces the processes of one service: those that can roll together, wave by wave, and
    /// then those that cannot.
    async fn replace(&mut self, planned: &PlannedService) -> Result<(), Failure> {
        let service = &planned.service;
        let mut turning = self.switched.clone();
        turning.insert(service.clone());
        let present = self.old.blend(&self.new, &turning);
        let graph = self.graph(&present.system);
        let rolls = |it: &&PlannedProcess| it.way != Way::Exclusive;
        let mut waiting: Vec<(Vec<Move>, usize)> = planned
            .processes
            .iter()
            .filter(rolls)
            .map(|it| (self.moves(service, it), self.beside(service, &it.process).0))
            .collect();
        while waiting.iter().any(|(moves, _)| !moves.is_empty()) {
            let take = |(moves, surge): &mut (Vec<Move>, usize)| {
                let count = moves.len().min(*surge);
                moves.drain(..count).collect::<Vec<_>>()
            };
            let moves: Vec<Move> = waiting.iter_mut().flat_map(take).collect();
            self.wave(service, graph.clone(), false, moves).await?;
        }
        for process in planned.processes.iter().filter(|it| !rolls(it)) {
            let moves = self.moves(service, process);
            self.wave(service, graph.clone(), true, moves).await?;
        }
        Ok(())
    }

    /// How many copies start at once, and what each has to show.
    fn beside(&self, service: &Name, process: &Name) -> (usize, Proof) {
        let known = self.new.system.services.get(service);
        let beside = match known.and_then(|it| it.processes.get(process)).map(|it| &it.roll) {
            Some(Roll::Beside(beside)) => beside.clone(),
            // It proves itself as well, in its place.
            _ => updraft_system::Beside::default(),
        };
        let surge = usize::try_from(beside.surge).unwrap_or(usize::MAX).max(1);
        (surge, Proof { ready: beside.ready, settle: beside.settle })
    }

    async fn wave(
        &mut self,
        service: &Name,
        graph: System,
        exclusive: bool,
        moves: Vec<Move>,
    ) -> Result<(), Failure> {
        let proofs = moves.iter().filter_map(|it| it.to.as_ref());
        let proofs = proofs.map(|to| self.beside(service, &to.process).1);
        let ready = proofs.clone().map(|proof| proof.ready).max().unwrap_or(1);
        let settle = proofs.map(|proof| proof.settle).max().unwrap_or_default();
        let wave = Wave {
            run: self.run,
            teller: Some(self.teller),
            old: &self.old,
            new: &self.new,
            graph,
            proof: Proof { ready, settle },
            deadline: self.deadline,
        };
        match exclusive {
            true => wave.exclusive(&moves).await?,
            false => wave.beside(&moves).await?,
        }
        self.done.push(Replaced { service: service.clone(), exclusive, ready, moves });
        Ok(())
    }

    /// The new target runs: what has no place in it ends.
    async fn arrive(&mut self) -> RollOutEnd {
        let surplus = self.surplus();
        let (run, new) = (self.run, Arc::clone(&self.new));
        let wave = self.final_wave(&new.system);
        let ended = wave.end(&surplus).await;
        run.set_target(Arc::clone(&new));
        self.take_numbers();
        self.run.forget_rules(&self.old.system, &new.system);
        let present: Vec<LogSource> = run.held().replicas.keys().cloned().collect();
        // Those that were not replaced have the tasks, gates and release of the new target too.
        present.iter().for_each(|source| run.replan(&new, source));
        self.stop_resources(&new.system).await;
        match ended {
            Ok(()) => end(RollOutOutcome::Done, None, Vec::new()),
            Err(failure) => end(RollOutOutcome::Broken, Some(failure.reason), failure.lines),
        }
    }

    /// Where the manifest has another number of copies now, what was chosen before is over.
    fn take_numbers(&self) {
        for service in self.new.system.services.values() {
            let before = self.old.system.services.get(&service.name);
            for process in service.processes.values() {
                let old = before.and_then(|it| it.processes.get(&process.name));
                // One that comes anew begins with its number, also if there was one before.
                if old.is_some_and(|old| old.scale == process.scale) {
                    continue;
                }
                let key = (service.name.clone(), process.name.clone());
                self.run.scaling.write(&key, |page| page.held = None);
                if let Err(error) = self.run.memory().unscaled(&key.0, &key.1) {
                    let source = LogSource::new(key.0, key.1, 1);
                    self.run.logs.notice(&source, &chain(&error));
                }
            }
        }
    }

    fn final_wave(&self, graph: &System) -> Wave<'_> {
        Wave {
            run: self.run,
            teller: Some(self.teller),
            old: &self.old,
            new: &self.new,
            graph: graph.clone(),
            proof: Proof::default(),
            deadline: self.deadline,
        }
    }

    /// Copies that the new target does not have.
    fn surplus(&self) -> Vec<LogSource> {
        let board = self.run.board.borrow();
        let rows = board.rows.iter().filter(|(_, row)| row.kind == RowKind::Service);
        let mut sources: Vec<LogSource> = rows.map(|(source, _)| source.clone()).collect();
        sources.retain(|source| {
            let planned = self.processes().find(|(service, process)| {
                service.service == source.service && process.process == source.process
            });
            planned.is_some_and(|(_, process)| process.replicas < source.replica)
        });
        sources
    }

    /// What was replaced goes back, the last one first.
    async fn back(&mut self, failure: Failure) -> RollOutEnd {
        let Failure { mut reason, lines, stops, mut is_broken } = failure;
        if stops {
            return end(RollOutOutcome::Broken, Some(reason), lines);
        }
        while let Some(replaced) = self.done.pop() {
            if let Err(other) = self.take_back(&replaced).await {
                reason = format!("{reason}; and {} stays new: {}", replaced.service, other.reason);
                is_broken = true;
                if other.stops {
                    return end(RollOutOutcome::Broken, Some(reason), lines);
                }
            } else if !self.done.iter().any(|it| it.service == replaced.service) {
                self.switched.remove(&replaced.service);
            }
        }
        if !is_broken {
            self.switched.clear();
        }
        let remains = if is_broken { self.blend() } else { RunTarget::clone(&self.old) };
        let graph = remains.system.clone();
        self.run.set_target(Arc::new(remains));
        self.stop_resources(&graph).await;
        if let Err(other) = self.turn_wire(graph) {
            reason = format!("{reason}; {}", other.reason);
        }
        let outcome = if is_broken { RollOutOutcome::Broken } else { RollOutOutcome::RolledBack };
        end(outcome, Some(reason), lines)
    }

    async fn take_back(&self, replaced: &Replaced) -> Result<(), Failure> {
        let (back, gone): (Vec<&Move>, Vec<&Move>) =
            replaced.moves.iter().partition(|it| it.from.is_some());
        let turned = |it: &Move| Move { from: it.to.clone(), to: it.from.clone() };
        let moves: Vec<Move> = back.into_iter().map(turned).collect();
        for source in moves.iter().filter_map(|it| it.from.as_ref()) {
            self.teller.step(source, StepState::RollingBack, None);
        }
        let mut switched = self.switched.clone();
        switched.remove(&replaced.service);
        let present = self.old.blend(&self.new, &switched);
        let wave = Wave {
            run: self.run,
            teller: Some(self.teller),
            old: &self.new,
            new: &self.old,
            graph: self.graph(&present.system),
            proof: proof_of_old(replaced.ready),
            // The time of the roll-out does not count on the way back; the boot budgets do.
            deadline: Instant::now() + super::DEADLINE,
        };
        match (moves.is_empty(), replaced.exclusive) {
            (true, _) => {}
            (false, true) => wave.exclusive(&moves).await?,
            (false, false) => wave.beside(&moves).await?,
        }
        let gone: Vec<LogSource> = gone.iter().filter_map(|it| it.to.clone()).collect();
        wave.end(&gone).await
    }

    /// Starts the servers of resources that are new.
    async fn start_resources(&mut self) -> Result<(), Failure> {
        let known = &self.old.system.resources;
        let new: Vec<Resource> = self
            .new
            .system
            .resources
            .values()
            .filter(|resource| !known.contains_key(&resource.name))
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.added = new.iter().map(|resource| resource.name.clone()).collect();
        let mut reasons = Vec::new();
        let run = self.run;
        run.held().plan_resources(&self.new.system, &run.state, &run.programs, &mut reasons);
        if let Some(reason) = reasons.first() {
            return Err(Failure::of(chain(reason)));
        }
        for name in &self.added {
            let plan = run.held().resources.get(name).and_then(|plan| plan.server.clone());
            let Some(plan) = plan else { continue };
            let port = run.held().port(name.as_str());
            let port = port.map_err(|error| Failure::of(chain(&error)))?;
            let (source, plan) = server(name, port, &plan);
            run.enlist(&source, RowKind::Resource, &plan);
            run.launch(source.clone(), plan);
            let ready = run.becomes_ready(&source, None).await;
            ready.map_err(|error| Failure::of(chain(&error)))?;
        }
        self.tell_resources()
    }

    /// Ends the servers of resources that `graph` does not have.
    async fn stop_resources(&self, graph: &System) {
        let gone: Vec<Name> = {
            let held = self.run.held();
            let names = held.resources.keys();
            names.filter(|name| !graph.resources.contains_key(*name)).cloned().collect()
        };
        if gone.is_empty() {
            return;
        }
        let servers: Vec<LogSource> = {
            let held = self.run.held();
            held.replicas.keys().filter(|it| gone.contains(&it.service)).cloned().collect()
        };
        drop(self.run.stop_group(servers.clone()).await);
        self.run.forget_rows(&servers);
        self.run.held().resources.retain(|name, _| !gone.contains(name));
        // What is not there any more can only be left out.
        drop(self.tell_resources());
    }

    fn tell_resources(&self) -> Result<(), Failure> {
        let behind = wire::behind(&self.run.held().resources);
        self.run.wire.set_resources(behind).map_err(|error| {
            Failure::of(format!("the gateway does not take it: {}", chain(&error)))
        })
    }
}

impl Run {
    /// Gives back the ports of what is not there any more. A copy keeps those of both its slots:
    /// another system that is given the one that is free would stand in the way of the next
    /// roll-out.
    pub(super) fn release_ports(&self) {
        let owners: BTreeSet<String> = wire::owners(&self.target().system).into_iter().collect();
        let mut held = self.held();
        let slots = held.replicas.keys().flat_map(|it| [it.to_string(), it.beside().to_string()]);
        let replicas: BTreeSet<String> = slots.collect();
        let resources: BTreeSet<String> = held.resources.keys().map(ToString::to_string).collect();
        held.reservations.retain(|owner, _| {
            owners.contains(owner) || replicas.contains(owner) || resources.contains(owner)
        });
    }
}
