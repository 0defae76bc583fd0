//! The command line of a service: each word names one verb.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::{Service, verb};
use crate::app::App;

/// Exit code: the command line is wrong.
const EXIT_USAGE: u8 = 2;

/// Exit code: the program is wrong (`EX_SOFTWARE` of sysexits).
const EXIT_SOFTWARE: u8 = 70;

/// Runs what `arguments` name; the first is the program.
pub(super) fn run<A: App>(
    service: Service<A>,
    arguments: impl IntoIterator<Item = OsString>,
) -> ExitCode {
    if let Some(code) = refuse_api(&service) {
        return code;
    }
    match command(&service).try_get_matches_from(arguments) {
        Ok(matches) => dispatch(service, &matches),
        Err(error) => refuse(&error),
    }
}

/// Tells what keeps the operations of this service from being an API, if anything does.
fn refuse_api<A: App>(service: &Service<A>) -> Option<ExitCode> {
    let faults = service.faults();
    if faults.is_empty() {
        return None;
    }
    let text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    // With nobody there to read it, the exit code has to do.
    drop(std::io::stderr().write_all(text.as_bytes()));
    Some(ExitCode::from(EXIT_SOFTWARE))
}

/// Tells what is wrong with the command line, or what was asked about it.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    // With nobody there to read it, the exit code has to do.
    drop(error.print());
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_USAGE),
    }
}

fn command<A: App>(service: &Service<A>) -> Command {
    Command::new(service.release.service())
        .version(service.release.version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(verb::process::commands(service))
        .subcommands(verb::task::command(service))
        .subcommands(verb::migrate::command(service))
        .subcommands(verb::health::command(service))
        .subcommand(verb::sql::command())
        .subcommand(verb::config::command(service))
        .subcommand(verb::attachments::command())
        .subcommand(verb::version::command())
        .after_help(verb::config::help(service))
        .subcommands(verb::jobs::command(service))
        .subcommands(verb::contract::command(service))
        .subcommands(verb::call::command(service))
}

fn dispatch<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("task", matches)) => verb::task::run(service, matches),
        Some(("contract", matches)) => verb::contract::run(&service, matches),
        Some(("call", matches)) => verb::call::run(service, matches),
        Some(("migrate", matches)) => verb::migrate::run(service, matches),
        Some(("health", matches)) => verb::health::run(service, matches),
        Some(("sql", matches)) => verb::sql::run(service, matches),
        Some(("config", matches)) => verb::config::run(&service, matches),
        Some(("attachments", matches)) => verb::attachments::run(&service, matches),
        Some(("version", matches)) => verb::version::run(&service, matches),
        Some(("jobs", matches)) => verb::jobs::run(service, matches),
        Some((name, _)) => verb::process::run(service, name),
        None => ExitCode::from(EXIT_USAGE),
    }
}
