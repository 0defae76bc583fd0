//! The start of a run: builds, then resources, then tasks and processes.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use updraft_system::{LogSource, LogStream, Name, RowKind, Service, Task, TaskCause, TaskTrigger};

use super::error::chain;
use super::plans::{gates, server, source};
use super::{Run, RunTarget, StopOptions, order};
use crate::board::Stage;
use crate::build::{
    BuildRequest, BuildStep, Built, Conditions, Progress, RunningBuild, read_lines,
};
use crate::replica::ReplicaPlan;
use crate::schedule::Cause;
use crate::scope::Exit;

/// How builds are made.
#[derive(Clone, Copy)]
pub(super) struct Building<'a> {
    /// Folders of programs that run, and stay where they are.
    pub(super) in_use: &'a [PathBuf],
    /// A build that still runs then is cut off; `None`: never.
    pub(super) deadline: Option<Instant>,
    /// Hears how far it has come.
    pub(super) tell: &'a (dyn Fn(String) + Send + Sync),
}

/// Brings the system up. When it cannot be brought up, nothing half remains.
pub(super) async fn boot(run: Arc<Run>) {
    // A stop waits for it, so it finds all that was launched.
    let _first_command = run.commands.lock().await;
    let built = if run.builds { run.build_first().await } else { Ok(()) };
    match built {
        // Told to stop meanwhile, which may be why a build did not end well.
        _ if run.stop.borrow().is_some() => {}
        Ok(()) => run.launch_all(),
        Err(reason) => run.fail(reason),
    }
}

impl Run {
    /// Gives up, for this reason, and ends what was started.
    fn fail(&self, reason: String) {
        self.set_stage(Stage::Failed(reason));
        self.stop.send_if_modified(|stop| {
            let told = stop.is_some();
            stop.get_or_insert(StopOptions { resources: false, now: false });
            !told
        });
    }

    /// Builds the target that the run begins with.
    async fn build_first(&self) -> Result<(), String> {
        let mut target = RunTarget::clone(&self.target());
        let tell = |progress: String| self.set_stage(Stage::Building(progress));
        let building = Building { in_use: &[], deadline: None, tell: &tell };
        self.build_all(&mut target, building).await?;
        self.set_target(Arc::new(target));
        Ok(())
    }

    /// Builds one service after another: what they share is built once, and a machine
    /// is busy with one compiler.
    pub(super) async fn build_all(
        &self,
        target: &mut RunTarget,
        how: Building<'_>,
    ) -> Result<(), String> {
        for name in order::start_order(&target.system) {
            let Some(service) = target.system.services.get(&name).cloned() else { continue };
            (how.tell)(format!("{name}: looking for changes"));
            let built = self.build(&service, how).await?;
            target.set_built(&name, built);
        }
        Ok(())
    }

    async fn build(&self, service: &Service, how: Building<'_>) -> Result<Built, String> {
        let (owned, directory) = (service.clone(), self.directory.clone());
        let store = self.state.builds().join(service.name.as_str());
        let step = tokio::task::spawn_blocking(move || {
            let (service, directory, store) = (&owned, &*directory, &*store);
            let conditions = &Conditions::default();
            BuildRequest { service, directory, store, conditions }.plan()
        });
        match step.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error))? {
            BuildStep::Skip(built) => Ok(built),
            BuildStep::Run(mut building) => {
                building.spare(how.in_use);
                self.run_build(&service.name, *building, how).await
            }
        }
    }

    async fn run_build(
        &self,
        service: &Name,
        mut building: RunningBuild,
        how: Building<'_>,
    ) -> Result<Built, String> {
        let log = LogSource::new(service.clone(), Name::build(), 1);
        let started = self.scopes.start(&log.to_string(), building.command()).await;
        let (mut scope, output) = started.map_err(|error| chain(&error))?;
        let (pipes, mut lines) = read_lines(output);
        let observed = async {
            while let Some((stream, line)) = lines.recv().await {
                self.observe(&log, &mut building, (stream, &line), how);
            }
            // A command may write elsewhere, so the end of its output is not its own end.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = observed => {}
            _ = scope.ended() => {}
            () = self.told_to_stop() => {}
            () = is_over(how.deadline) => {}
        }
        // What a build has left running, such as a compiler's server, holds the pipes open.
        scope.kill().await;
        while let Some((stream, line)) = lines.recv().await {
            self.observe(&log, &mut building, (stream, &line), how);
        }
        drop(pipes.await);
        let exit = scope.ended().await;
        let built = tokio::task::spawn_blocking(move || building.finish(exit)).await;
        built.map_err(|error| error.to_string())?.map_err(|error| chain(&error))
    }

    /// Takes one line of a build's output; the log gets what is for people.
    fn observe(
        &self,
        log: &LogSource,
        building: &mut RunningBuild,
        (stream, line): (LogStream, &str),
        how: Building<'_>,
    ) {
        match building.observe(stream, line) {
            Some(Progress::Line(line)) => self.logs.notice(log, &line),
            Some(Progress::Step { text, .. }) => {
                (how.tell)(format!("{}: {text}", log.service));
            }
            None => {}
        }
    }

    fn launch_all(self: &Arc<Self>) {
        let planned: Vec<_> =
            self.planned_servers().into_iter().chain(self.planned_processes()).collect();
        // Every row is on the board before anyone looks whether others are ready, and
        // before the run counts as running: an empty board has nothing that is unready.
        for (source, kind, plan) in &planned {
            self.enlist(source, *kind, plan);
        }
        self.set_stage(Stage::Running);
        for (source, _, plan) in planned {
            self.launch(source, plan);
        }
        self.launch_releases();
    }

    fn planned_servers(&self) -> Vec<(LogSource, RowKind, ReplicaPlan)> {
        let held = self.held();
        let planned = held.resources.iter().filter_map(|(name, plan)| {
            let port = held.reservations.get(name.as_str())?.port;
            let (source, plan) = server(name, port, plan.server.as_ref()?);
            Some((source, RowKind::Resource, plan))
        });
        planned.collect()
    }

    fn planned_processes(&self) -> Vec<(LogSource, RowKind, ReplicaPlan)> {
        let mut planned = Vec::new();
        let target = self.target();
        let scaled = self.memory().scaled_system(target.system.clone());
        for service in scaled.services.values() {
            for process in service.processes.values() {
                for replica in 1..=process.scale {
                    let source = source(service, process, replica);
                    let port = self.held().reservations.get(&source.to_string()).map(|r| r.port);
                    // Reserved before anything started.
                    let Some(port) = port else { continue };
                    let plan = self.process_plan(&target, service, process, replica, port);
                    planned.push((source, RowKind::Service, plan));
                }
            }
        }
        planned
    }

    fn launch_releases(self: &Arc<Self>) {
        for service in self.target().system.services.values() {
            let release = |task: &&Task| task.when == TaskTrigger::Release;
            let tasks: Vec<Task> = service.tasks.values().filter(release).cloned().collect();
            if !tasks.is_empty() {
                tokio::spawn(Arc::clone(self).release(service.clone(), tasks));
            }
        }
    }

    /// Runs the tasks that gate the start of a service, in order of their names.
    async fn release(self: Arc<Self>, service: Service, tasks: Vec<Task>) {
        let gates = gates(&service);
        let mut board = self.board.subscribe();
        tokio::select! {
            opened = board.wait_for(|board| board.closed_gate(&gates).is_none()) => drop(opened),
            () = self.told_to_stop() => return,
        }
        for task in tasks {
            let _one_at_a_time = self.releases.lock().await;
            let key = (service.name.clone(), task.name.clone());
            // A roll-out may have been quicker, with a newer task.
            if self.board.borrow().tasks.contains_key(&key) {
                continue;
            }
            let cause = Cause { cause: TaskCause::Release, due: None };
            let run = self.task(&service, &task, Vec::new());
            let outcome = match self.recorded(&service, &task, cause, run).await {
                Ok(Exit::Code(0)) => Ok(()),
                Ok(exit) => Err(exit.to_string()),
                Err(error) => Err(chain(&error)),
            };
            self.board.send_modify(|board| drop(board.tasks.insert(key, outcome.clone())));
            if let Err(reason) = outcome {
                return self.fail(format!("task {}.{} failed: {reason}", service.name, task.name));
            }
        }
    }
}

/// Resolves at the deadline, where there is one.
async fn is_over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
