//! `updraft service uninstall`: stops the system, and takes the unit away.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::place::Place;
use super::systemctl::Systemctl;
use super::{about, of_another, other};
use crate::failure::{Failure, Outcome};
use crate::generated::Found;
use crate::global::Global;
use crate::output;
use crate::running::Addressed;

/// Stop the system, and take the unit away that starts it at each boot
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft service uninstall
  sudo updraft service uninstall --system

A unit that updraft has not written, or that was edited, stays where it is.")]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(global: &Global, args: UninstallArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let unit = args.place.unit(&addressed.name);
    let file = args.place.file(&addressed.name)?;
    let io = |what: &str, error: &std::io::Error| {
        Failure::environment(format!("cannot {what} {}", file.display())).because(error)
    };
    let found = Found::at(&file).map_err(|error| io("read", &error))?;
    if found == Found::Absent {
        if global.json {
            output::json_result(&json!({ "unit": unit, "removed": false }))?;
        } else {
            output::say(format!("there is no {}", file.display()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    found.replaceable(&file, "remove it yourself when nobody needs it")?;
    if let Found::Ours(text) = &found
        && let Some(says) = other(text, &about(&addressed.name, &addressed.dir.directory))
    {
        return Err(of_another(&file, says));
    }
    let systemctl = Systemctl::of(&args.place);
    // Without a manager nothing runs by this unit.
    let answers = systemctl.answers().await.is_ok();
    if answers {
        systemctl.order(&["disable", "--now", "--", &unit]).await?;
    }
    std::fs::remove_file(&file).map_err(|error| io("remove", &error))?;
    if answers {
        systemctl.order(&["daemon-reload"]).await?;
    }
    if global.json {
        let result = json!({ "unit": unit, "removed": true, "stopped": answers });
        output::json_result(&result)?;
    } else if answers {
        output::say(format!("{unit} is stopped and removed"));
    } else {
        output::say(format!("{unit} is removed; the service manager does not answer"));
    }
    Ok(ExitCode::SUCCESS)
}
