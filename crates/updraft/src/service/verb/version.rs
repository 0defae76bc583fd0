//! `version`: which release this is.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::config::of_service;
use crate::app::App;
use crate::config::Config;
use crate::release::Release;
use crate::service::{Service, boot};

pub(in crate::service) fn command() -> Command {
    Command::new("version")
        .about("Says which release this is: version, commit, build, and configuration")
        .arg(super::config::json())
        .arg(
            Arg::new("full")
                .long("full")
                .action(ArgAction::SetTrue)
                .help("Lists what it was built from, too"),
        )
}

pub(in crate::service) fn run<A: App>(service: &Service<A>, matches: &ArgMatches) -> ExitCode {
    let config = of_service(service, Config::from_env());
    // With a wrong configuration it is a build, and no release.
    let release = match config.report() {
        None => service.release.running(&config),
        Some(_) => service.release.built(),
    };
    let full = matches.get_flag("full");
    if matches.get_flag("json") {
        boot::print_json(&release.json(full))
    } else {
        boot::print(&in_lines(&release, full))
    }
}

fn in_lines(release: &Release, full: bool) -> String {
    let mut text = format!("{} {}\n", release.service(), release.version());
    let told = [
        ("release", release.config().map(|_| release.id())),
        ("commit", release.commit()),
        ("build", release.build()),
        ("config", release.config()),
    ];
    for (name, value) in told {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:8} {}", value.unwrap_or("not known"));
    }
    if full {
        text.push_str("\nbuilt from\n");
        for (name, version) in release.dependencies() {
            let _ = writeln!(text, "  {name} {version}");
        }
    }
    text
}
