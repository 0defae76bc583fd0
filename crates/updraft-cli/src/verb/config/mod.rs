//! `updraft config`: the values of a deploy, encrypted, checked against the manifest.

mod diff;
mod ls;
mod pair;
mod recipients;
mod set;
mod unset;

use clap::{Args, Subcommand};

use crate::failure::Outcome;
use crate::global::Global;
use diff::DiffArgs;
use ls::LsArgs;
use recipients::RecipientsArgs;
use set::SetArgs;
use unset::UnsetArgs;

/// Set and look at the values of a deploy
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config set -e production orders.PAGE_SIZE=20
  pass show stripe | updraft config set -e production orders.STRIPE_SECRET=-
  updraft config ls -e production
  updraft config diff -e production      what the next release will have and the current has not

Values are checked against `config` of the manifest, encrypted (age), and never change a release
that exists: the next one has them. A name without a dot is a resource, its value an address.")]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

/// The verbs below `config`.
#[derive(Debug, Subcommand)]
enum ConfigVerb {
    Set(SetArgs),
    Unset(UnsetArgs),
    Ls(LsArgs),
    Diff(DiffArgs),
    Recipients(RecipientsArgs),
}

pub(crate) fn run(global: &Global, args: ConfigArgs) -> Outcome {
    match args.verb {
        ConfigVerb::Set(args) => set::run(global, args),
        ConfigVerb::Unset(args) => unset::run(global, &args),
        ConfigVerb::Ls(args) => ls::run(global, &args),
        ConfigVerb::Diff(args) => diff::run(global, &args),
        ConfigVerb::Recipients(args) => recipients::run(global, args),
    }
}
