//! `updraft service status`: whether the unit is there, current, and running.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::install::{Runner, text_for};
use super::place::Place;
use super::systemctl::Systemctl;
use super::{about, other};
use crate::failure::{Class, Failure, Outcome};
use crate::generated::Found;
use crate::global::Global;
use crate::output;
use crate::running::Addressed;

/// Where logind keeps who lingers: a file for each user.
const LINGER: &str = "/var/lib/systemd/linger";

/// Show whether the unit is installed, as it would be written now, and running
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft service status
  updraft service status --system --json

Exit code 0: it is installed, current and active; 1: it is not.")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// With --system: the user that it was installed for
    #[arg(long, value_name = "USER", requires = "system")]
    run_as: Option<String>,
}

/// The unit's state; what the service manager does not tell is absent.
#[derive(Debug, Default, Serialize)]
struct Status {
    unit: String,
    file: String,
    /// `absent`, `current`, `stale`, `edited` or `foreign`.
    installed: &'static str,
    enabled: Option<String>,
    active: Option<String>,
    /// What the supervisor says that it does.
    doing: Option<String>,
    pid: Option<String>,
    restarts: Option<String>,
    /// Whether it starts without a login; a unit of the machine always does.
    lingers: bool,
}

pub(super) async fn run(global: &Global, args: StatusArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let file = args.place.file(&addressed.name)?;
    let found = Found::at(&file).map_err(|error| {
        Failure::environment(format!("cannot read {}", file.display())).because(&error)
    })?;
    let about = about(&addressed.name, &addressed.dir.directory);
    let installed = match &found {
        Found::Absent => "absent",
        Found::Edited(_) => "edited",
        Found::Foreign => "foreign",
        Found::Ours(text) if other(text, &about).is_some() => "foreign",
        Found::Ours(text) => {
            let runner = Runner::of(&addressed, &args.place, args.run_as.as_deref()).await?;
            let now = text_for(&addressed, &runner).await?;
            if comparable(text) == comparable(&now) { "current" } else { "stale" }
        }
    };
    let unit = args.place.unit(&addressed.name);
    let names = ["UnitFileState", "ActiveState", "StatusText", "MainPID", "NRestarts"];
    let systemctl = Systemctl::of(&args.place);
    let properties = systemctl.properties(&unit, &names).await.unwrap_or_default();
    let property = |name: &str| properties.get(name).filter(|value| !value.is_empty()).cloned();
    let status = Status {
        installed,
        enabled: property("UnitFileState"),
        active: property("ActiveState"),
        doing: property("StatusText"),
        pid: property("MainPID").filter(|pid| pid != "0"),
        restarts: property("NRestarts"),
        lingers: args.place.system || lingers(&user()),
        file: file.display().to_string(),
        unit,
    };
    let sound = status.installed == "current" && status.active.as_deref() == Some("active");
    if global.json {
        output::json_result(&status)?;
    } else {
        status.lines().iter().try_for_each(output::result)?;
    }
    Ok(if sound { ExitCode::SUCCESS } else { Class::Finding.code().into() })
}

impl Status {
    fn lines(&self) -> Vec<String> {
        let installed = match self.installed {
            "absent" => "no; `updraft service install` writes it",
            "current" => "yes",
            "stale" => {
                "yes, and not as it would be written now; `updraft service install` renews it"
            }
            "edited" => "yes, and edited by hand",
            _ => "no; a file that is not of this system is there",
        };
        let unknown = "unknown: the service manager does not answer";
        let told = |value: &Option<String>| value.as_deref().unwrap_or(unknown).to_owned();
        let mut lines = vec![
            format!("unit       {}", self.unit),
            format!("file       {}", self.file),
            format!("installed  {installed}"),
            format!("enabled    {}", told(&self.enabled)),
            format!("active     {}", told(&self.active)),
        ];
        let more = [("doing", &self.doing), ("pid", &self.pid), ("restarts", &self.restarts)];
        for (name, value) in more {
            lines.extend(value.iter().map(|value| format!("{name:<11}{value}")));
        }
        if !self.lingers {
            lines.push(
                "at boot    only after a login; `loginctl enable-linger` changes that".into(),
            );
        }
        lines
    }
}

/// What follows from the system. The environment is that of whoever installed it, and the
/// hash has it in it.
fn comparable(text: &str) -> Vec<&str> {
    let ours = |line: &&str| !line.starts_with("Environment=") && !line.starts_with("# updraft:");
    text.lines().filter(ours).collect()
}

/// Who this process runs as, by name where the environment tells it.
pub(super) fn user() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default()
}

/// Whether the user's service manager runs without a login.
pub(super) fn lingers(user: &str) -> bool {
    !user.is_empty() && !user.contains('/') && Path::new(LINGER).join(user).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let status = Status {
            unit: "updraft-shop.service".to_owned(),
            file: "/home/a/.config/systemd/user/updraft-shop.service".to_owned(),
            installed: "stale",
            ..Status::default()
        };
        insta::assert_snapshot!(status.lines().join("\n"));
        let told = Status {
            enabled: Some("enabled".to_owned()),
            active: Some("active".to_owned()),
            doing: Some("ready".to_owned()),
            pid: Some("4711".to_owned()),
            restarts: Some("0".to_owned()),
            lingers: true,
            installed: "current",
            ..status
        };
        insta::assert_snapshot!(told.lines().join("\n"));
    }
}
