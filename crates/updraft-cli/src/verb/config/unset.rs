//! `updraft config unset`: takes values from a deploy.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use updraft_release::{Changes, Configured, Setting};
use updraft_system::Name;

use crate::deploys::{DeployArg, Deploys, author};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;

/// Take values from a deploy, all of them or none
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config unset -e production orders.LEVEL
  updraft config unset -e staging orders.LEVEL db

The next release has the manifest's default instead, or is refused where there is none.")]
pub(super) struct UnsetArgs {
    #[command(flatten)]
    deploy: DeployArg,
    /// A value, or a resource
    #[arg(required = true, value_name = "SERVICE.KEY")]
    settings: Vec<Setting>,
}

pub(super) fn run(global: &Global, args: &UnsetArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let system = deploys.system()?;
    let changes = Changes { set: Vec::new(), unset: args.settings.clone() };
    let deploy = &args.deploy.deploy;
    let configured = deploys.store.configure(deploy, &system, &changes, &author())?;
    tell(global, deploy, &configured, "unset")?;
    Ok(ExitCode::SUCCESS)
}

/// What has changed.
pub(super) fn tell(
    global: &Global,
    deploy: &Name,
    configured: &Configured,
    done: &str,
) -> Result<(), Failure> {
    let version = configured.snapshot.as_ref().map(|snapshot| snapshot.version);
    if global.json {
        let changed = &configured.changed;
        return output::json_result(
            &json!({ "deploy": deploy, "version": version, "changed": changed }),
        );
    }
    match (configured.changed.as_slice(), version) {
        (changed @ [_, ..], Some(version)) => {
            let changed = changed.join(", ");
            output::say(format!("{deploy}: {done} {changed} (version {version} of its values)"));
            output::say("the next release has it");
        }
        _ => output::say(format!("{deploy}: nothing has changed")),
    }
    Ok(())
}
