//! The entry of a service: what it can do, and the way from the command line to one of its
//! process types, tasks or questions. The command line picks *what* runs, the environment
//! says *how*; nothing else is read.

mod attach;
mod boot;
mod command;
#[cfg(feature = "testing")]
mod rehearsal;
mod task;
mod verb;

#[cfg(feature = "testing")]
pub(crate) use rehearsal::Rehearsed;

use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::api::Api;
use crate::app::{App, Ctx};
use crate::cron::{self, Fire, Schedule};
use crate::jobs::{JobError, Jobs};
use crate::process::BoxFuture;
use crate::release::Release;
use crate::{BoxError, Migration, Stop};
use task::Task;

/// A service: one binary with all its process types and tasks.
#[must_use = "a service does nothing until `main` is called"]
pub struct Service<A: App> {
    release: Release,
    api: Api<A>,
    jobs: Jobs<A>,
    background: Vec<Background<A>>,
    cron: Vec<cron::Entry<A>>,
    tasks: Vec<Task<A>>,
    migrations: &'static [Migration],
    app: PhantomData<fn() -> A>,
}

impl<A: App> std::fmt::Debug for Service<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("release", &self.release).finish_non_exhaustive()
    }
}

type BackgroundRun<A> = dyn Fn(Ctx<A>, Stop) -> BoxFuture<Result<(), BoxError>> + Send + Sync;

/// Work of the service's own in the process type `worker`.
struct Background<A> {
    name: &'static str,
    run: Arc<BackgroundRun<A>>,
}

impl<A: App> Service<A> {
    /// Begins a service. [`service!`](crate::service!) knows its name and version.
    pub fn begin(release: Release) -> Self {
        Self {
            release,
            api: Api::new(),
            jobs: Jobs::new(),
            background: Vec::new(),
            cron: Vec::new(),
            tasks: Vec::new(),
            migrations: &[],
            app: PhantomData,
        }
    }

    /// What the process type `web` answers.
    pub fn api(self, api: Api<A>) -> Self {
        Self { api, ..self }
    }

    /// The jobs that the process type `worker` does.
    pub fn jobs(mut self, jobs: Jobs<A>) -> Self {
        self.jobs.extend(jobs);
        self
    }

    /// Work at times of the calendar, once for the whole fleet. `name` tells its fires apart
    /// and must never be given to another schedule. The work is a job: it is done by the
    /// process type `worker`, and tried again when it fails. The process types `worker`, `cron`
    /// and `all` fire schedules; any number of them fires each time once.
    ///
    /// ```no_run
    /// # use updraft::{App, Ctx, Fire, JobError, Queue, Schedule, Sql};
    /// # #[derive(App)]
    /// # struct Invoices {
    /// #     /// The invoices
    /// #     db: Sql,
    /// #     /// What is to be done with them
    /// #     jobs: Queue,
    /// # }
    /// async fn sweep(app: Ctx<Invoices>, fire: Fire) -> Result<(), JobError> {
    ///     println!("sweeping for {}", fire.due());
    ///     Ok(())
    /// }
    ///
    /// # fn main() -> updraft::Exit {
    /// updraft::service!(Invoices)
    ///     .cron("sweep", Schedule::new("0 6 * * *", "Europe/Riga"), sweep)
    /// #    .main()
    /// # }
    /// ```
    pub fn cron<F, R>(mut self, name: &'static str, schedule: Schedule, run: F) -> Self
    where
        F: Fn(Ctx<A>, Fire) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let entry = cron::Entry::new(name, schedule, run);
        entry.add_to(&mut self.jobs);
        self.cron.push(entry);
        self
    }

    /// Work of your own in the process type `worker`. It must last until
    /// [`Stop::requested`]: when it ends before that, fails or panics, the whole process
    /// drains and exits with 1.
    pub fn background<F, R>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn(Ctx<A>, Stop) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let run = Arc::new(move |app, stop| boxed(run(app, stop)));
        self.background.push(Background { name, run });
        self
    }

    /// An admin task: it runs once in the environment of the processes and ends. Its
    /// arguments are a [`clap::Args`].
    pub fn task<T, F, R>(mut self, name: &'static str, run: F) -> Self
    where
        T: Args + Send + 'static,
        F: Fn(Ctx<A>, T, Stop) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.tasks.push(Task::new(name, run));
        self
    }

    /// The changes of the schema, oldest first.
    pub fn migrations(self, migrations: &'static [Migration]) -> Self {
        Self { migrations, ..self }
    }

    /// Everything that keeps its operations from being answered.
    fn faults(&self) -> Vec<String> {
        let api = self.api.faults();
        api.iter().map(ToString::to_string).chain(self.keys_fault()).collect()
    }

    /// Whether it has anything to do for a process type `web`.
    fn answers(&self) -> bool {
        !self.api.is_empty()
    }

    /// Whether it has a queue to look into.
    fn enqueues(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether it has schedules.
    fn fires(&self) -> bool {
        !self.cron.is_empty()
    }

    /// Whether it has anything to do for a process type `worker`.
    fn works(&self) -> bool {
        !self.jobs.is_empty() || !self.background.is_empty()
    }

    /// Runs what the command line names, and gives the exit code to return from `main`:
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 0 | ended cleanly: nothing was cut off |
    /// | 1 | failed, or something was cut off |
    /// | 2 | the command line is wrong |
    /// | 4, 5 | `call`: the answer is a 4xx, a 5xx |
    /// | 70 | the operations cannot be an API together |
    /// | 78 | the configuration is wrong |
    pub fn main(self) -> ExitCode {
        command::run(self, std::env::args_os())
    }
}

fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> BoxFuture<T> {
    Box::pin(future)
}

/// Begins the service whose `App` is named, as the [`release!`](crate::release!) of the package
/// that is being compiled.
#[macro_export]
macro_rules! service {
    ($app:ty) => {
        $crate::Service::<$app>::begin($crate::release!())
    };
}
