//! `updraft release ls`: the releases, the newest first.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use clap_complete::ArgValueCandidates;
use serde::Serialize;
use updraft_release::{Damage, Listing};
use updraft_system::Name;
use updraft_system::release::Release;

use super::changes::source;
use crate::completion;
use crate::deploys::{Deploys, moment};
use crate::failure::{Class, Outcome};
use crate::global::Global;
use crate::output;
use crate::table::{Cell, Table};

const TITLES: [&str; 8] = ["", "N", "DEPLOY", "MADE", "BY", "BUILD", "FROM", "NOTE"];
const RIGHT: &[usize] = &[1];

/// List the releases, the newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft release ls
  updraft release ls -e production
  updraft release ls --json | jq '.releases[] | select(.current) | .number'

A star stands at the current release of each deploy. Exit code 1: a record is damaged.")]
pub(super) struct LsArgs {
    /// Only of this deploy
    #[arg(short = 'e', long, value_name = "DEPLOY")]
    #[arg(add = ArgValueCandidates::new(completion::deploys))]
    deploy: Option<Name>,
}

/// The releases as scripts read them.
#[derive(Serialize)]
struct ListingJson<'a> {
    releases: Vec<Row<'a>>,
    damaged: &'a [Damage],
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    release: &'a Release,
    current: bool,
}

pub(super) fn run(global: &Global, args: &LsArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let Listing { releases, mut damaged } = deploys.store.list(args.deploy.as_ref())?;
    let mut current = BTreeMap::new();
    for deploy in releases.iter().map(|release| &release.deploy) {
        match deploys.store.current(deploy) {
            Ok(release) => drop(current.insert(deploy, release.map(|it| it.number))),
            Err(updraft_release::StoreError::Damaged(damage)) => damaged.push(damage),
            Err(error) => return Err(error.into()),
        }
    }
    damaged.dedup();
    let is_current =
        |it: &Release| current.get(&it.deploy).is_some_and(|current| *current == Some(it.number));
    if global.json {
        let row = |release| Row { release, current: is_current(release) };
        let releases = releases.iter().map(row).collect();
        output::json_result(&ListingJson { releases, damaged: &damaged })?;
    } else if releases.is_empty() {
        output::say("no release yet");
    } else {
        output::result(table(&releases, is_current))?;
    }
    for damage in &damaged {
        let Damage { what, path, why } = damage;
        output::say(format!("{what} is damaged: {} {why}", path.display()));
    }
    let found = if damaged.is_empty() { 0 } else { Class::Finding.code() };
    Ok(ExitCode::from(found))
}

fn table(releases: &[Release], is_current: impl Fn(&Release) -> bool) -> Table {
    let mut table = Table::new(&TITLES, RIGHT);
    for release in releases {
        let (star, style) = match is_current(release) {
            true => ("*", AnsiColor::Green.on_default().bold()),
            false => ("", Style::new()),
        };
        let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        table.row([
            Cell::styled(star, style),
            Cell::styled(release.number.to_string(), style),
            Cell::new(release.deploy.as_str()),
            Cell::new(moment(release.created).to_string()),
            Cell::new(release.who.clone()),
            Cell::new(build(release)),
            Cell::new(release.origin.to_string()),
            Cell::new(release.note.as_deref().map(first_line).unwrap_or_default()),
        ]);
    }
    table
}

/// One source in the place of many builds, where they have one.
fn build(release: &Release) -> String {
    let mut commits: Vec<_> = release.builds.values().map(|it| (&it.commit, it.dirty)).collect();
    commits.dedup();
    match (commits.as_slice(), release.builds.values().next()) {
        (_, None) => String::new(),
        ([(Some(_), _)], Some(first)) => {
            source(first).rsplit_once(' ').map_or_else(String::new, |(commit, _)| commit.to_owned())
        }
        (_, Some(only)) if release.builds.len() == 1 => source(only),
        _ => format!("{} builds", release.builds.len()),
    }
}
