//! What can be asked of a run: restart, scale, attach, tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::schedule::Cause;
use tokio::sync::MutexGuard;
use tokio::time::timeout;
use updraft_system::{
    LogSelector, LogSource, Name, Process, ProcessState, RowKind, Service, Task, TaskCause,
};

use super::error::chain;
use super::plans::{server, source};
use super::{CommandError, Engine, REPLICAS_MAX, Run, RunTarget};
use crate::board::Stage;
use crate::environment;
use crate::scope::{Exit, StopSignal};
use crate::wire;

/// How long a task that is cut off may take to end.
const TASK_GRACE: Duration = Duration::from_secs(10);

impl Engine {
    /// Runs `replicas` copies of a process from now on. Returns when new ones are ready
    /// and surplus ones are gone.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such process, or a copy cannot be had.
    pub async fn scale(
        &self,
        service: &Name,
        process: &Name,
        replicas: u32,
    ) -> Result<(), CommandError> {
        let run = &self.0;
        let _one_at_a_time = run.turn().await?;
        let started = run.change_scale(service, process, replicas).await?;
        for source in &started {
            run.becomes_ready(source, None).await?;
        }
        // Beside a rule the load decides, after a crash as well.
        if run.rule(&(service.clone(), process.clone())).is_none() {
            run.memory().scaled(service, process, replicas)?;
        }
        Ok(())
    }

    /// Uses the resource at `url` from now on; `None`: the local one again. Services
    /// whose address changes are restarted.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such resource, the address does not fit it, or
    /// the local one cannot be had.
    pub async fn attach(&self, resource: &Name, url: Option<String>) -> Result<(), CommandError> {
        let run = &self.0;
        let _one_at_a_time = run.turn().await?;
        let system = &run.target().system;
        let addresses = || -> Vec<_> {
            system.services.values().map(|service| run.addresses(service)).collect()
        };
        let before = addresses();
        let resources = &system.resources;
        let known = resources
            .get(resource)
            .ok_or_else(|| unknown("resource", resource.to_string(), resources.keys(), resource))?;
        match url {
            Some(url) => run.held().attachments.attach(known, &url)?,
            None => drop(run.held().attachments.detach(resource)?),
        }
        run.refresh_resources().await?;
        let behind = wire::behind(&run.held().resources);
        run.wire.set_resources(behind)?;
        let changed = before.into_iter().zip(addresses());
        for (service, (before, after)) in system.services.values().zip(changed) {
            if before != after {
                run.refresh_service(service).await?;
            }
        }
        Ok(())
    }

    /// Runs a task to its end, of what runs or of another target; its output goes to the log
    /// under `service.task`.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such task or it cannot be started.
    pub async fn run_task(
        &self,
        service: &Name,
        task: &Name,
        arguments: Vec<String>,
        target: Option<RunTarget>,
    ) -> Result<Exit, CommandError> {
        let run = &self.0;
        run.must_run()?;
        let target = target.map_or_else(|| run.target(), Arc::new);
        let (service, task) = &target.task(service, task)?;
        let by_hand = Cause { cause: TaskCause::Hand, due: None };
        let running = run.task_of(&target, service, task, arguments);
        run.recorded(service, task, by_hand, running).await
    }
}

impl Run {
    /// Starts and ends copies of a process until there are so many. Gives those that were
    /// started, which need not be ready yet. The caller has the turn.
    pub(super) async fn change_scale(
        &self,
        service: &Name,
        process: &Name,
        replicas: u32,
    ) -> Result<Vec<LogSource>, CommandError> {
        let (service, process) = &self.process(service, process)?;
        if REPLICAS_MAX < replicas {
            return Err(CommandError::TooMany(replicas));
        }
        let mut ports = Vec::new();
        for replica in 1..=replicas {
            let source = source(service, process, replica);
            let runs = self.held().copies_of(&source).next().is_some();
            if !runs {
                let port = self.held().port(&source.to_string())?;
                ports.push((source, port));
            }
        }
        let target = self.target();
        let mut started = Vec::new();
        for (source, port) in ports {
            let plan = self.process_plan(&target, service, process, source.replica, port);
            self.enlist(&source, RowKind::Service, &plan);
            self.launch(source.clone(), plan);
            started.push(source);
        }
        let of_process =
            |source: &&LogSource| source.service == service.name && source.process == process.name;
        let surplus: Vec<LogSource> = {
            let held = self.held();
            let replicas_of = held.replicas.keys().filter(of_process);
            replicas_of.filter(|source| replicas < source.replica).cloned().collect()
        };
        self.stop_group(surplus.clone()).await;
        self.forget(&surplus);
        Ok(started)
    }

    /// A process type of a service.
    pub(super) fn process(
        &self,
        service: &Name,
        process: &Name,
    ) -> Result<(Service, Process), CommandError> {
        let service = self.service(service)?;
        let found = service.processes.get(process).cloned().ok_or_else(|| {
            let name = format!("{}.{process}", service.name);
            unknown("process", name, service.processes.keys(), process)
        })?;
        Ok((service, found))
    }

    /// Waits for the commands before; refused at once while the system does not run.
    pub(super) async fn turn(&self) -> Result<MutexGuard<'_, ()>, CommandError> {
        self.must_run()?;
        let turn = self.commands.lock().await;
        self.must_run()?;
        Ok(turn)
    }

    /// A task of a service.
    pub(super) fn task_of_service(
        &self,
        service: &Name,
        task: &Name,
    ) -> Result<(Service, Task), CommandError> {
        self.target().task(service, task)
    }

    pub(super) fn must_run(&self) -> Result<(), CommandError> {
        match self.board.borrow().stage {
            Stage::Running => Ok(()),
            Stage::Planned | Stage::Building(_) => Err(CommandError::NotNow("still building")),
            Stage::Failed(_) | Stage::Stopping => Err(CommandError::NotNow("stopping")),
        }
    }

    pub(super) fn service(&self, name: &Name) -> Result<Service, CommandError> {
        self.target().service(name)
    }

    pub(super) fn unknown_replica(&self, selector: &LogSelector) -> CommandError {
        let held = self.held();
        let services = held.replicas.keys().map(|source| &source.service);
        let processes = held.replicas.keys().filter(|source| source.service == selector.service);
        match &selector.process {
            Some(process) if processes.clone().next().is_some() => {
                let processes = processes.map(|source| &source.process);
                unknown("process", selector.to_string(), processes, process)
            }
            _ => unknown("service", selector.to_string(), services, &selector.service),
        }
    }

    pub(super) async fn restart_one(&self, source: &LogSource) -> Result<(), CommandError> {
        let before = self.board.borrow().rows.get(source).and_then(|row| row.pid);
        if let Some(running) = self.held().replicas.get(source) {
            running.intent.send_modify(|intent| intent.generation += 1);
        }
        self.becomes_ready(source, before).await
    }

    /// Waits until a replica is ready as another process than `before`.
    pub(super) async fn becomes_ready(
        &self,
        source: &LogSource,
        before: Option<u32>,
    ) -> Result<(), CommandError> {
        let mut board = self.board.subscribe();
        let settled = board.wait_for(|board| {
            board.stage != Stage::Running
                || board.rows.get(source).is_none_or(|row| match row.state {
                    ProcessState::Ready => row.pid != before,
                    ProcessState::Backoff | ProcessState::CrashLoop => true,
                    _ => false,
                })
        });
        let not_ready =
            |reason: String| CommandError::NotReady { process: source.to_string(), reason };
        let board = tokio::select! {
            settled = settled => settled.ok().ok_or_else(|| not_ready("the system ended".to_owned()))?,
            () = self.told_to_stop() => return Err(not_ready("the system stops".to_owned())),
        };
        match board.rows.get(source) {
            Some(row) if row.state == ProcessState::Ready => Ok(()),
            Some(row) => Err(not_ready(row.detail.clone().unwrap_or_default())),
            None => Err(not_ready("it was removed".to_owned())),
        }
    }

    fn forget(&self, sources: &[LogSource]) {
        self.forget_rows(sources);
        let mut held = self.held();
        for slot in sources.iter().flat_map(|source| [source.clone(), source.beside()]) {
            held.reservations.remove(&slot.to_string());
        }
    }

    /// The same for those whose ports will be needed again.
    pub(super) fn forget_rows(&self, sources: &[LogSource]) {
        self.board.send_modify(|board| {
            sources.iter().for_each(|source| drop(board.rows.remove(source)));
        });
        self.sync_wire();
    }

    /// Plans all resources anew; starts and ends their servers accordingly.
    async fn refresh_resources(&self) -> Result<(), CommandError> {
        let mut reasons = Vec::new();
        let system = &self.target().system;
        self.held().plan_resources(system, &self.state, &self.programs, &mut reasons);
        if let Some(reason) = reasons.first() {
            return Err(CommandError::Resource(chain(reason)));
        }
        for name in system.resources.keys() {
            let plan = self.held().resources.get(name).and_then(|plan| plan.server.clone());
            let running: Vec<LogSource> = {
                let held = self.held();
                held.replicas.keys().filter(|source| source.service == *name).cloned().collect()
            };
            match (plan, running.is_empty()) {
                (Some(plan), true) => {
                    let port = self.held().port(name.as_str())?;
                    let (source, plan) = server(name, port, &plan);
                    self.enlist(&source, RowKind::Resource, &plan);
                    self.launch(source.clone(), plan);
                    self.becomes_ready(&source, None).await?;
                }
                (None, false) => {
                    self.stop_group(running.clone()).await;
                    self.forget(&running);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the replicas of a service their new environment, one after another.
    async fn refresh_service(&self, service: &Service) -> Result<(), CommandError> {
        let replicas: Vec<(LogSource, u16)> = {
            let held = self.held();
            let own = held.replicas.iter().filter(|(source, _)| source.service == service.name);
            own.map(|(source, running)| (source.clone(), running.plan.borrow().port)).collect()
        };
        let target = self.target();
        for (source, port) in replicas {
            let Some(process) = service.processes.get(&source.process) else { continue };
            let plan = self.process_plan(&target, service, process, source.replica, port);
            if let Some(running) = self.held().replicas.get(&source) {
                running.plan.send_replace(Arc::new(plan));
            }
            self.restart_one(&source).await?;
        }
        Ok(())
    }

    /// Runs a task in the environment of its service's processes.
    pub(super) async fn task(
        &self,
        service: &Service,
        task: &Task,
        arguments: Vec<String>,
    ) -> Result<Exit, CommandError> {
        self.task_of(&self.target(), service, task, arguments).await
    }

    /// The same of another target than the one that runs.
    pub(super) async fn task_of(
        &self,
        target: &RunTarget,
        service: &Service,
        task: &Task,
        arguments: Vec<String>,
    ) -> Result<Exit, CommandError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        // The end of the run waits for it.
        let _ongoing = self.tasks.read().await;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = LogSource::new(service.name.clone(), task.name.clone(), 1);
        let argv = environment::argv_with(&task.run, arguments);
        let command = self.command(target, service, &task.name, 1, None, argv);
        let label = format!("{}.{}.task-{count}", service.name, task.name);
        let (mut scope, output) = self.scopes.start(&label, &command).await?;
        self.scopes.news(&scope).iter().for_each(|text| self.logs.notice(&log, text));
        let captured = self.logs.capture_both(log.clone(), output.stdout, output.stderr);
        let captured = tokio::spawn(captured);
        let limit = task.timeout.unwrap_or(Duration::MAX);
        let exit = tokio::select! {
            exit = timeout(limit, scope.ended()) => exit.ok(),
            () = self.told_to_stop() => None,
        };
        if exit.is_none() {
            self.logs.notice(&log, "cut off: its time is over or the system stops");
            scope.stop(StopSignal::Term, TASK_GRACE).await;
        } else {
            // What it has left behind must not outlive it.
            scope.kill().await;
        }
        let exit = scope.ended().await;
        drop(captured.await);
        Ok(exit)
    }
}

impl RunTarget {
    fn service(&self, name: &Name) -> Result<Service, CommandError> {
        let services = &self.system.services;
        let known = services.get(name).cloned();
        known.ok_or_else(|| unknown("service", name.to_string(), services.keys(), name))
    }

    fn task(&self, service: &Name, task: &Name) -> Result<(Service, Task), CommandError> {
        let service = self.service(service)?;
        let found = service.tasks.get(task).cloned().ok_or_else(|| {
            unknown("task", format!("{}.{task}", service.name), service.tasks.keys(), task)
        })?;
        Ok((service, found))
    }
}

fn unknown<'a>(
    kind: &'static str,
    name: String,
    known: impl Iterator<Item = &'a Name>,
    wanted: &Name,
) -> CommandError {
    let nearest = updraft_system::nearest(wanted.as_str(), known.map(Name::as_str));
    CommandError::Unknown { kind, name, nearest: nearest.map(str::to_owned) }
}
