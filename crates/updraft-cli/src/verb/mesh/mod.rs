//! `updraft mesh`: what is done to calls on their way, and who vouches for whom.

mod change;
mod matching;
mod show;
mod trust;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use updraft_system::Name;

use crate::completion;
use crate::failure::Outcome;
use crate::global::Global;
use change::{ClearArgs, FaultArgs, MirrorArgs, RedirectArgs, RewriteArgs, RouteArgs, SplitArgs};
use trust::RotateArgs;

/// Control the calls between services while they run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh split pricing v41=90 v42=10       a tenth goes to v42
  updraft mesh fault pricing --delay 300ms --share 5%
  updraft mesh show                              what is in force
  updraft mesh clear pricing                     back to the manifest
  updraft mesh identity                          certificates

Traffic that is changed here holds until the system stops. What it shall be for good is in
[service.NAME.traffic] of the manifest. `updraft mesh VERB --help` has more.")]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct MeshArgs {
    #[command(subcommand)]
    verb: MeshVerb,
}

/// The verbs below `mesh`.
#[derive(Debug, Subcommand)]
enum MeshVerb {
    Split(SplitArgs),
    Route(RouteArgs),
    Fault(FaultArgs),
    Mirror(MirrorArgs),
    Rewrite(RewriteArgs),
    Redirect(RedirectArgs),
    Clear(ClearArgs),
    /// Show what is in force, and what of it is not in the manifest
    #[command(after_help = "\
Examples:
  updraft mesh show
  updraft mesh show pricing
  updraft mesh show --json | jq '.[] | select(.changed)'

ORIGIN is `manifest`, or `set` for what was changed since the start, or `off` for what is in
the manifest and not in force.")]
    Show {
        /// Only of this service
        #[arg(add = ArgValueCandidates::new(completion::services))]
        service: Option<Name>,
    },
    /// Show the certificates that are served
    #[command(after_help = "\
Examples:
  updraft mesh identity
  updraft mesh identity --json | jq '.[] | select(.last_error)'")]
    Identity,
    Rotate(RotateArgs),
    /// Print the whole configuration of the gateway, as JSON
    #[command(after_help = "\
Examples:
  updraft mesh config
  updraft mesh config | jq .edges")]
    Config,
}

pub(crate) async fn run(global: &Global, args: MeshArgs) -> Outcome {
    match args.verb {
        MeshVerb::Split(args) => change::run(global, args.change()).await,
        MeshVerb::Route(args) => change::run(global, args.change()).await,
        MeshVerb::Fault(args) => change::run(global, args.change()).await,
        MeshVerb::Mirror(args) => change::run(global, args.change()).await,
        MeshVerb::Rewrite(args) => change::run(global, args.change()).await,
        MeshVerb::Redirect(args) => change::run(global, args.change()).await,
        MeshVerb::Clear(args) => change::run(global, args.change()).await,
        MeshVerb::Show { service } => show::run(global, service).await,
        MeshVerb::Identity => trust::identity(global).await,
        MeshVerb::Rotate(args) => trust::rotate(global, args).await,
        MeshVerb::Config => trust::config(global).await,
    }
}
