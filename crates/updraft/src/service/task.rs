//! Admin tasks of a service's own.

use std::sync::Arc;

use clap::{ArgMatches, Args, Command};

use super::boxed;
use crate::app::Ctx;
use crate::process::BoxFuture;
use crate::{BoxError, Stop};

type Run<A> = dyn Fn(Ctx<A>, Stop) -> BoxFuture<Result<(), BoxError>> + Send;
type Prepare<A> = dyn Fn(&ArgMatches) -> Result<Box<Run<A>>, clap::Error> + Send + Sync;

/// A task that people start by its name.
pub(super) struct Task<A> {
    pub(super) name: &'static str,
    command: fn(Command) -> Command,
    prepare: Box<Prepare<A>>,
}

impl<A: 'static> Task<A> {
    pub(super) fn new<T, F, R>(name: &'static str, run: F) -> Self
    where
        T: Args + Send + 'static,
        F: Fn(Ctx<A>, T, Stop) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let run = Arc::new(run);
        let prepare = move |matches: &ArgMatches| {
            // Read once to refuse what is wrong, and once more by whoever runs.
            T::from_arg_matches(matches)?;
            let (run, matches) = (Arc::clone(&run), matches.clone());
            let prepared: Box<Run<A>> =
                Box::new(move |app, stop| match T::from_arg_matches(&matches) {
                    Ok(arguments) => boxed(run(app, arguments, stop)),
                    Err(error) => boxed(std::future::ready(Err(error.into()))),
                });
            Ok(prepared)
        };
        Self { name, command: T::augment_args, prepare: Box::new(prepare) }
    }

    /// The subcommand of the task.
    pub(super) fn command(&self) -> Command {
        (self.command)(Command::new(self.name))
    }

    /// The task with its arguments.
    ///
    /// # Errors
    ///
    /// When the arguments are wrong.
    pub(super) fn prepare(&self, matches: &ArgMatches) -> Result<Box<Run<A>>, clap::Error> {
        (self.prepare)(matches)
    }
}
