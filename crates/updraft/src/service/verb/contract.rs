//! `contract print|check`: the contract of this release, and whether callers of a committed
//! one can live with it. Neither needs a variable: the contract is in the binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use crate::app::App;
use crate::contract::{Change, Class, Contract, changes, sorted};
use crate::service::Service;

/// Exit code: the file or the command line is wrong.
const EXIT_USAGE: u8 = 2;

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    let version = || {
        Arg::new("version")
            .long("version")
            .value_name("N")
            .value_parser(value_parser!(u32))
            .help("The version of the API, unless it is the latest")
    };
    let print = Command::new("print")
        .about("Prints the contract as OpenAPI 3.1; the same release prints the same text")
        .arg(version());
    let check = Command::new("check")
        .about(
            "Says what has changed since a committed contract; exits with 1 when it breaks callers",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The contract that callers have, from `contract print`"),
        )
        .arg(version())
        .arg(
            Arg::new("exact")
                .long("exact")
                .action(ArgAction::SetTrue)
                .help("Exits with 1 too when the file is not what `contract print` prints"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Prints the changes as JSON"),
        );
    service.answers().then(|| {
        Command::new("contract")
            .about("The contract of the API")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands([print, check])
    })
}

pub(in crate::service) fn run<A: App>(service: &Service<A>, matches: &ArgMatches) -> ExitCode {
    let Some((verb, matches)) = matches.subcommand() else { return ExitCode::from(EXIT_USAGE) };
    let version = matches.get_one::<u32>("version").copied();
    let contract = match contract(service, version) {
        Ok(contract) => contract,
        Err(refusal) => return complain(&refusal),
    };
    if verb == "print" {
        return say(&contract.text(), ExitCode::SUCCESS);
    }
    let Some(file) = matches.get_one::<PathBuf>("file") else { return ExitCode::from(EXIT_USAGE) };
    let old = match read(file) {
        Ok(old) => old,
        Err(refusal) => return complain(&refusal),
    };
    let changes = changes(&old, &contract.value());
    let current = sorted(old) == sorted(contract.value());
    let breaks = changes.iter().any(|change| change.class == Class::Breaking);
    let failed = breaks || (matches.get_flag("exact") && !current);
    let report = match matches.get_flag("json") {
        true => as_json(&changes, current),
        false => as_text(&changes, current, file),
    };
    say(&report, if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn contract<A: App>(service: &Service<A>, version: Option<u32>) -> Result<Contract, String> {
    let all = service.api.versions();
    match (version, &all) {
        (Some(version), Some(all)) if !all.contains(&version) => {
            Err(format!("this API has the versions {} to {}", all.start(), all.end()))
        }
        (Some(_), None) => Err("this API has no versions: leave out --version".to_owned()),
        _ => Ok(service.api.contract(&service.release, version)),
    }
}

fn read(file: &Path) -> Result<Value, String> {
    let place = file.display();
    let text = std::fs::read(file).map_err(|error| format!("cannot read {place}: {error}"))?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|error| format!("{place} is no JSON: {error}"))?;
    match value.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.1") => Ok(value),
        _ => Err(format!("{place} is no OpenAPI 3.1 document; `contract print` makes one")),
    }
}

fn as_json(changes: &[Change], current: bool) -> String {
    let breaking = changes.iter().filter(|change| change.class == Class::Breaking).count();
    let report = json!({ "breaking": breaking, "current": current, "changes": changes });
    format!("{report:#}\n")
}

fn as_text(changes: &[Change], current: bool, file: &Path) -> String {
    let mut text: String = changes.iter().map(|change| format!("{change}\n")).collect();
    let breaking = changes.iter().filter(|change| change.class == Class::Breaking).count();
    let place = file.display();
    text += &match (breaking, current) {
        (0, true) => format!("{place} is the contract of this release\n"),
        (0, false) => format!(
            "no caller breaks; {place} is not current: write it anew with `contract print`\n"
        ),
        (count, _) => format!("{count} changes break callers of {place}\n"),
    };
    text
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_nobody_reads) => ExitCode::FAILURE,
    }
}

fn complain(text: &str) -> ExitCode {
    // With standard error gone there is nobody to tell.
    drop(writeln!(std::io::stderr(), "{text}"));
    ExitCode::from(EXIT_USAGE)
}
