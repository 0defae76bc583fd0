//! `config check`, `config explain`, `config example`: what the service reads from its
//! environment. Nothing is connected.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::app::App;
use crate::config::Config;
use crate::process::{Kind, Platform};
use crate::service::{Service, boot};

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Command {
    Command::new("config")
        .about("Shows and checks what is read from the environment, and connects to nothing")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about(
                    "Exits with 0 when a process could start with this environment, else with 78",
                )
                .arg(process(service)),
        )
        .subcommand(
            Command::new("explain")
                .about(
                    "Shows each variable, where its value comes from, and the value unless secret",
                )
                .arg(process(service))
                .arg(json()),
        )
        .subcommand(
            Command::new("example")
                .about("Prints an env file with all variables and what they are")
                .arg(process(service)),
        )
}

/// `--json`, for programs that read the answer.
pub(super) fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Prints JSON")
}

/// `--process`: process types do not all need the same.
fn process<A: App>(service: &Service<A>) -> Arg {
    Arg::new("process")
        .long("process")
        .value_name("TYPE")
        .value_parser(["web", "worker", "task"])
        .default_value(default_process(service))
        .help("For a process of this type")
}

fn default_process<A: App>(service: &Service<A>) -> &'static str {
    if service.answers() { "web" } else { "worker" }
}

/// The kind that a process type has.
fn kind(process: &str) -> Kind {
    match process {
        "web" => Kind::Web,
        "worker" => Kind::Worker,
        _ => Kind::Task,
    }
}

/// Reads all variables; what is wrong is in the configuration's report.
pub(in crate::service) fn read<A: App>(mut config: Config, kind: Kind) -> Config {
    // The report says what is wrong, and the values are of no use here.
    let (_platform, _parsed) = (Platform::read(&mut config, kind), A::read(&mut config));
    config
}

/// The environment as the service's main process type reads it.
pub(super) fn of_service<A: App>(service: &Service<A>, config: Config) -> Config {
    read::<A>(config, kind(default_process(service)))
}

/// The list of variables below the list of verbs.
pub(in crate::service) fn help<A: App>(service: &Service<A>) -> String {
    of_service(service, Config::from_variables([])).help()
}

pub(in crate::service) fn run<A: App>(service: &Service<A>, matches: &ArgMatches) -> ExitCode {
    let Some((verb, matches)) = matches.subcommand() else { return ExitCode::FAILURE };
    let process = matches.get_one::<String>("process");
    let kind = kind(process.map_or(default_process(service), String::as_str));
    if verb == "example" {
        // What is set must not decide what is printed.
        return boot::print(&read::<A>(Config::from_variables([]), kind).example());
    }
    let mut config = read::<A>(Config::from_env(), kind);
    if kind == Kind::Web && service.api.needs_scopes() {
        crate::auth::demand(&mut config);
    }
    let printed = match verb {
        "explain" if matches.get_flag("json") => boot::print_json(&config.explanation_json()),
        "explain" => boot::print(&config.explanation()),
        _ => ExitCode::SUCCESS,
    };
    let wrong = boot::refuse(service.release.service(), "config", &config);
    wrong.unwrap_or_else(|| {
        boot::hint(&config);
        printed
    })
}
