//! `updraft config ls`: the values of a deploy beside what the manifest asks for.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use updraft_release::{SettingState, SettingStatus};
use updraft_system::Name;
use updraft_system::release::Visibility;

use crate::deploys::{DeployArg, Deploys, moment};
use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::table::{Cell, Table};

const TITLES: [&str; 3] = ["SETTING", "VALUE", "SET BY"];

/// List the values of a deploy, and what is missing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config ls
  updraft config ls -e production
  updraft config ls -e production --json | jq -r '.[] | select(.state == \"missing\") | .setting'

Secrets are shown as (secret), addresses without user and query. A resource is (local) where this
machine binds it; a value is (unused) that the manifest does not have any more.")]
pub(super) struct LsArgs {
    #[command(flatten)]
    deploy: DeployArg,
}

pub(super) fn run(global: &Global, args: &LsArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let settings = deploys.store.settings(&args.deploy.deploy, &deploys.system()?)?;
    if global.json {
        output::json_result(&settings)?;
    } else {
        output::result(table(&args.deploy.deploy, &settings))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(deploy: &Name, settings: &[SettingStatus]) -> Table {
    let bound = if *deploy == Name::local() { "(local)" } else { "(needs none)" };
    let pale = Style::new().dimmed();
    let mut table = Table::new(&TITLES, &[]);
    for status in settings {
        let by = match (&status.who, status.set) {
            (Some(who), Some(set)) => format!("{who} {}", moment(set)),
            _ => String::new(),
        };
        let is_resource = !status.setting.contains('.');
        let value = match (&status.value, status.state) {
            (None, SettingState::Missing) => Cell::styled("(missing)", AnsiColor::Red.on_default()),
            (None, SettingState::Default) if is_resource => Cell::styled(bound, pale),
            (None, _) => Cell::styled(hidden(status.visibility), pale),
            (Some(value), SettingState::Default) => {
                Cell::styled(format!("{} (default)", one_line(value)), pale)
            }
            (Some(value), SettingState::Unused) => Cell::styled(
                format!("{} (unused)", one_line(value)),
                AnsiColor::Yellow.on_default(),
            ),
            (Some(value), _) => Cell::new(one_line(value)),
        };
        table.row([Cell::new(status.setting.clone()), value, Cell::styled(by, pale)]);
    }
    table
}

fn hidden(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Secret => "(secret)",
        Visibility::Address => "(address)",
        Visibility::Plain => "(empty)",
    }
}

/// A value may hold line ends and move a cursor; a row may not.
fn one_line(value: &str) -> String {
    value.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_told_and_no_secret() {
        let status = |setting: &str, state, visibility, value: Option<&str>| SettingStatus {
            setting: setting.to_owned(),
            state,
            visibility,
            value: value.map(str::to_owned),
            who: None,
            set: None,
        };
        let (plain, secret) = (Visibility::Plain, Visibility::Secret);
        let list = [
            status("a.ONE", SettingState::Set, plain, Some("1\n\u{1b}[2J")),
            status("a.TWO", SettingState::Set, secret, None),
            status("a.THREE", SettingState::Missing, secret, None),
            status("a.FOUR", SettingState::Default, plain, Some("4")),
            status("a.FIVE", SettingState::Unused, plain, Some("5")),
            status("db", SettingState::Default, Visibility::Address, None),
            status("mq", SettingState::Missing, Visibility::Address, None),
        ];
        let text =
            anstream::adapter::strip_str(&table(&Name::local(), &list).to_string()).to_string();
        let expected = "SETTING  VALUE         SET BY\n\
                        a.ONE    1\\n\\u{1b}[2J\n\
                        a.TWO    (secret)\n\
                        a.THREE  (missing)\n\
                        a.FOUR   4 (default)\n\
                        a.FIVE   5 (unused)\n\
                        db       (local)\n\
                        mq       (missing)";
        assert_eq!(text, expected);
    }
}
