//! `updraft service`: a unit of systemd by which a system survives a reboot.

mod account;
mod install;
mod place;
mod status;
mod systemctl;
mod uninstall;

use std::path::Path;

use clap::{Args, Subcommand};
use updraft_system::Name;

use crate::failure::{Failure, Outcome};
use crate::global::Global;

/// Keep the system up across reboots, by a unit of systemd
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  updraft service install --dry-run     show the unit
  updraft service install               this user's systemd starts the system from now on
  updraft service status                whether it is installed, current and running
  updraft service uninstall             stop it, and take the unit away

`updraft down` stops the system until the next boot; `service uninstall` for good.")]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    verb: ServiceVerb,
}

#[derive(Debug, Subcommand)]
enum ServiceVerb {
    Install(install::InstallArgs),
    Uninstall(uninstall::UninstallArgs),
    Status(status::StatusArgs),
}

pub(crate) async fn run(global: &Global, args: ServiceArgs) -> Outcome {
    match args.verb {
        ServiceVerb::Install(args) => install::run(global, args).await,
        ServiceVerb::Uninstall(args) => uninstall::run(global, args).await,
        ServiceVerb::Status(args) => status::run(global, args).await,
    }
}

/// The first line of a unit: which system it starts.
fn about(system: &Name, directory: &Path) -> String {
    let directory = directory.display();
    format!("Written by `updraft service install` for the system {system} in {directory}.")
}

/// What the text of a unit says that it is for, where that is another system than `about`.
fn other<'a>(text: &'a str, about: &str) -> Option<&'a str> {
    let first = text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("# ").unwrap_or(first);
    (says != about).then_some(says)
}

/// The refusal of a unit that is of another system.
fn of_another(file: &Path, says: &str) -> Failure {
    Failure::usage(format!("{} is of another system", file.display()))
        .help(format!("it says: {says} `--name NAME` means another unit"))
}
