//! `task NAME`: an admin task, once, in the environment of the processes.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use tracing::Instrument;

use crate::app::App;
use crate::process::{Kind, Start};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed, command};

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    (!service.tasks.is_empty()).then(|| {
        Command::new("task")
            .about("Runs an admin task once")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(service.tasks.iter().map(|task| task.command()))
    })
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        let task = service.tasks.iter().find(|task| task.name == name)?;
        Some((task.name, task.prepare(matches)))
    });
    let (name, run) = match chosen {
        Some((name, Ok(run))) => (name, run),
        Some((_, Err(error))) => return command::refuse(&error),
        None => return ExitCode::FAILURE,
    };
    let Booted { telemetry, runtime, platform, parsed, release } =
        match boot::boot::<A>(&service.release, name, Kind::Task) {
            Ok(booted) => booted,
            Err(code) => return code,
        };
    boot::run(release, telemetry, runtime, platform, move |context| {
        Start::Task(boxed(async move {
            let (app, _attaching) = service.attach_once(parsed, &context).await?;
            let span = crate::trace::root("task", name);
            run(app, context.stop()).instrument(span).await
        }))
    })
}
