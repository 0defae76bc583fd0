//! `updraft service`: a unit of systemd by which a system survives a reboot.

mod account;
mod install;
mod place;
mod status;
mod systemctl;
mod uninstall;

use clap::{Args, Subcommand};

use crate::failure::Outcome;
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
