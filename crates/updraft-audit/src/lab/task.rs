//! Admin tasks in the surroundings of a trial: the same copy, environment and resources that
//! the program has.

use std::time::{Duration, Instant};

use updraft_engine::Exit;

use super::output::{LAST_WORDS, Output};
use super::running::Ended;
use super::stage::{Stage, Unstartable};
use super::{Lab, Setup};
use crate::subject::{AdminTask, Subject};

/// How long a task may take that says nothing of it.
const TASK_WITHIN: Duration = Duration::from_secs(30);

/// A task that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// How; `None`: it was killed because it took too long.
    pub(crate) ended: Option<Ended>,
    /// Its last lines.
    pub(crate) tail: Vec<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Lab {
    /// Runs a task in a fresh copy, before any program.
    pub(crate) async fn task(
        &self,
        subject: &Subject,
        setup: &Setup,
        task: &AdminTask,
    ) -> Result<Done, Unstartable> {
        let stage = Stage::prepare(self, subject, setup, self.means().await).await?;
        self.run_task(&stage, task).await
    }

    /// Runs what a program wants to have been run before it starts.
    pub(super) async fn release_tasks(
        &self,
        stage: &Stage,
        subject: &Subject,
    ) -> Result<(), Unstartable> {
        for task in subject.tasks.iter().filter(|task| task.on_release) {
            let done = self.run_task(stage, task).await?;
            if done.ended == Some(Ended::Code(0)) {
                continue;
            }
            let ended = done.ended.map_or("it took too long".to_owned(), |ended| ended.to_string());
            let last = done.tail.last().cloned().unwrap_or_default();
            let name = format!("task {}", task.name);
            return Err(Unstartable::Dependency(name, format!("{ended}: {last}")));
        }
        Ok(())
    }

    async fn run_task(&self, stage: &Stage, task: &AdminTask) -> Result<Done, Unstartable> {
        let mut spec = stage.spec.clone();
        spec.argv.clone_from(&task.argv);
        spec.shape = crate::verdict::Shape::Child;
        // The program is judged, and not its task.
        spec.trace = None;
        spec.status = stage.place.join(format!("{}.status.json", task.name));
        let label = format!("{}.{}", stage.label(), task.name);
        let mut command = stage.command_of(self, &spec)?;
        // What the trial adds stays: its resources and its place for temporary files.
        let own = task.environment.iter().filter(|(name, _)| name.as_str() != "TMPDIR");
        command.env.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        let began = Instant::now();
        let started = self.0.scopes.start(&label, &command).await;
        let (mut scope, pipes) =
            started.map_err(|error| Unstartable::Program(error.to_string()))?;
        let output = Output::of(pipes.stdout, pipes.stderr, began, true);
        let within = task.timeout.unwrap_or(TASK_WITHIN);
        let exit = tokio::time::timeout(within, scope.ended()).await;
        let took = began.elapsed();
        scope.kill().await;
        output.drained(LAST_WORDS).await;
        let ended = exit.ok().map(|exit| match exit {
            Exit::Code(code) => Ended::Code(code),
            Exit::Signal(signal) => Ended::Signal(signal),
            Exit::OutOfMemory | Exit::MemoryLimit(_) => Ended::Signal(9),
            Exit::GuardLost => Ended::Lost,
        });
        Ok(Done { ended, tail: output.tail(5), took })
    }
}
