//! `attachments`: what the service is attached to and where, without connecting to it.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::config::{json, read};
use crate::app::App;
use crate::config::Config;
use crate::process::Kind;
use crate::service::{Service, boot};

pub(in crate::service) fn command() -> Command {
    Command::new("attachments")
        .about("Lists what the service is attached to and where, without passwords, and connects to nothing")
        .arg(json())
}

pub(in crate::service) fn run<A: App>(service: &Service<A>, matches: &ArgMatches) -> ExitCode {
    // What it is attached to has nothing to do with where it would listen.
    let config = read::<A>(Config::from_env(), Kind::Question);
    let printed = if matches.get_flag("json") {
        boot::print_json(&config.attachments_json())
    } else {
        boot::print(&config.attachments())
    };
    boot::refuse(service.release.service(), "attachments", &config).unwrap_or(printed)
}
