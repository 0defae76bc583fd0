//! `updraft up`: builds and runs a system, or joins the one that runs.

mod detach;
mod follow;
mod resume;
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCompleter;
use updraft_engine::{Options, Remembered, Source, StateLock};
use updraft_system::release::ReleaseNumber;
use updraft_system::{Name, Route, System, SystemState};

use crate::completion;
use crate::control::{Client, ControlError};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::log_view::LogStyle;
use crate::names;
use crate::output;
use crate::released;
use crate::running::{Addressed, Presence, Supervisor};
use crate::system_dir::SystemDir;

/// Build and run the system, or join the one that runs already
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft up                      this folder's system; Ctrl-C stops it
  updraft up examples/shop        the system of another folder
  updraft up orders pricing       two services and what they need
  updraft up -d                   in the background; returns when it is ready
  updraft up -d --release 41      exactly release 41, whatever the folder holds
  updraft up -d --fresh           the same, and nothing of an earlier run comes back
  updraft up --resume             what a supervisor such as systemd starts

The first TARGET is a folder when it contains a `/`, is `.` or `..`, or holds an
updraft.toml or a Procfile; all others are services. Where the system runs already,
its log is shown, and Ctrl-C leaves it running; `updraft roll-out` brings in what has
changed since.

What runs by `-d` or `--resume` is remembered until `updraft down`: after a reboot or a crash,
the same without names of services starts the same services, with as many copies of each.

Exit code 0: it ran and ended in order; 1: something could not start, or had to be
killed; 2: the manifest is wrong; 4: this machine lacks something.")]
pub(crate) struct UpArgs {
    /// The folder of a system, then services of it; all when none is named
    #[arg(value_name = "TARGET")]
    #[arg(add = ArgValueCompleter::new(completion::targets))]
    targets: Vec<String>,
    /// Run in the background; return as soon as everything is ready
    #[arg(short, long)]
    detach: bool,
    /// Show no log
    #[arg(short, long, conflicts_with = "detach")]
    quiet: bool,
    /// Show structured log lines as they were written
    #[arg(long)]
    raw: bool,
    /// Replace ports of earlier runs that somebody else holds now
    #[arg(long)]
    new_ports: bool,
    /// Run exactly this release instead of the working tree
    #[arg(long, value_name = "N")]
    release: Option<ReleaseNumber>,
    /// Stay in the foreground and start again what ran before it was cut off, as `-d` does
    #[arg(long, conflicts_with_all = ["detach", "fresh"])]
    resume: bool,
    /// Start the system as its manifest has it, whatever ran before
    #[arg(long)]
    fresh: bool,
    /// Be the background half of `--detach`
    #[arg(long, hide = true, conflicts_with = "detach")]
    background: bool,
}

pub(crate) async fn run(global: &Global, args: UpArgs) -> Outcome {
    let (directory, only) = split_targets(&global.directory, &args.targets)?;
    let dir = match directory {
        Some(directory) => SystemDir::at(&directory)?,
        None => SystemDir::find(&global.directory)?,
    };
    let addressed = Addressed::of(dir)?;
    let up = Up { json: global.json, args, only, addressed };
    loop {
        match up.addressed.presence().await? {
            Presence::Stopped(lock) => return up.start(lock).await,
            Presence::Running(client) => match up.state_to_join(&client).await? {
                Some(_) if up.args.background => return up.leave_to_other(),
                Some(pid) if up.args.resume => return Err(up.runs_elsewhere(pid)),
                Some(pid) => return up.join(&client, pid).await,
                None => {
                    output::say(format!("waiting for the end of the {} before", up.addressed.name));
                    Supervisor::of(&client).ended().await?;
                }
            },
        }
    }
}

/// One call of the verb.
struct Up {
    json: bool,
    args: UpArgs,
    /// The services that were named.
    only: Vec<Name>,
    addressed: Addressed,
}

impl Up {
    async fn start(self, lock: StateLock) -> Outcome {
        let (source, release) = self.source()?;
        let system = match &source {
            Source::Tree { system, .. } => system,
            Source::Made(target) => &target.system,
        };
        for name in &self.only {
            names::service(system, name).map_err(|error| Failure::usage(error.to_string()))?;
        }
        if self.args.detach || self.args.resume {
            resume::tell(&self, system)?;
        }
        if self.args.detach {
            // The background half takes it again.
            drop(lock);
            return detach::start(&self).await;
        }
        let quiet = self.args.quiet || self.args.background;
        let options = self.options(system, release)?;
        let launch = session::Launch {
            style: (!quiet).then(|| self.style()),
            background: self.args.background,
            options,
            source,
            directory: self.addressed.dir.directory,
            state: self.addressed.state,
            lock,
        };
        session::run(launch).await
    }

    /// What is run: a release that is named, or ran before, or the working tree.
    fn source(&self) -> Result<(Source, Option<u64>), Failure> {
        let state = &self.addressed.state;
        let comes_back = (self.args.detach || self.args.background || self.args.resume)
            && !self.args.fresh
            && self.only.is_empty();
        let number = match (self.args.release, comes_back) {
            (Some(number), _) => Some(number),
            (None, true) => resume::release(state)?,
            (None, false) => None,
        };
        if let Some(number) = number {
            let target = released::target(state, number)?;
            return Ok((Source::Made(target), Some(number.get())));
        }
        let (system, directory) = (self.addressed.dir.system()?, &self.addressed.dir.directory);
        Ok((Source::Tree { system, directory: directory.clone() }, None))
    }

    /// What to run, and whether to keep that for the next start.
    fn options(&self, system: &System, release: Option<u64>) -> Result<Options, Failure> {
        let new_ports = self.args.new_ports;
        let named = Remembered { services: self.only.clone(), release, ..Remembered::default() };
        if !self.args.background && !self.args.resume {
            return Ok(Options { only: named.services, new_ports, remember: None });
        }
        let run = match self.only.is_empty() && !self.args.fresh {
            true => resume::what_ran(&self.addressed.state, system)?.unwrap_or(named),
            false => named,
        };
        let run = Remembered { release, ..run };
        Ok(Options { only: run.services.clone(), new_ports, remember: Some(run) })
    }

    /// The supervisor's process id, unless the system ends and has to be waited for.
    async fn state_to_join(&self, client: &Client) -> Result<Option<u32>, Failure> {
        match client.system().await {
            Ok(status) => {
                let ends = matches!(status.state, SystemState::Stopping | SystemState::Failed);
                Ok((!ends).then_some(status.pid))
            }
            Err(ControlError::Gone(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn join(&self, client: &Client, pid: u32) -> Outcome {
        let name = &self.addressed.name;
        let for_starts = [
            ("--new-ports", self.args.new_ports),
            ("--fresh", self.args.fresh),
            ("--release", self.args.release.is_some()),
        ];
        if let Some((option, _)) = for_starts.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!("{name} runs already; {option} is for its start"))
                .help("`updraft down` stops it"));
        }
        output::say(format!("{name} runs already (pid {pid})"));
        if self.args.detach {
            output::say("`updraft roll-out` brings in what has changed since");
            return detach::wait_until_ready(self, client, None).await;
        }
        if self.args.quiet {
            return Ok(ExitCode::SUCCESS);
        }
        follow::run(self, client).await
    }

    /// A supervisor above this one must have the system itself, not its log.
    fn runs_elsewhere(&self, pid: u32) -> Failure {
        Failure::finding(format!("{} runs already (pid {pid})", self.addressed.name))
            .help("`updraft down` stops it; then start it here")
    }

    /// Another `up` was quicker: the half in the foreground goes on with that one.
    fn leave_to_other(&self) -> Outcome {
        detach::tell_foreground()?;
        Ok(ExitCode::SUCCESS)
    }

    fn style(&self) -> LogStyle {
        LogStyle::wished(self.json, self.args.raw, false)
    }
}

/// Where the system is public, one service in each line.
fn routes_in_words(routes: &[Route]) -> Vec<String> {
    let width = routes.iter().map(|route| route.service.as_str().len()).max().unwrap_or(0);
    routes.iter().map(|route| format!("{:<width$}  {}", route.service, route.url)).collect()
}

/// Selectors of all builds of a system.
fn builds(system: &System) -> Vec<updraft_system::LogSelector> {
    let build = |service: &Name| updraft_system::LogSelector {
        service: service.clone(),
        process: Some(Name::build()),
        replica: None,
    };
    system.services.keys().map(build).collect()
}

/// A folder, if the first target is one, and services.
fn split_targets(base: &Path, targets: &[String]) -> Result<(Option<PathBuf>, Vec<Name>), Failure> {
    let is_folder = |target: &str| {
        target.contains('/') || matches!(target, "." | "..") || SystemDir::is_at(&base.join(target))
    };
    let (folder, services) = match targets.split_first() {
        Some((first, rest)) if is_folder(first) => (Some(base.join(first)), rest),
        _ => (None, targets),
    };
    let names = services.iter().map(|service| {
        service.parse::<Name>().map_err(|error| {
            Failure::usage(error.to_string())
                .help("a folder comes first: `updraft up DIR SERVICE…`")
        })
    });
    Ok((folder, names.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_target_may_be_a_folder() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("shop")).unwrap();
        std::fs::create_dir_all(base.path().join("empty")).unwrap();
        std::fs::write(base.path().join("shop/updraft.toml"), "system = \"shop\"\n").unwrap();
        let cases: [(&[&str], Option<&str>, &[&str]); 8] = [
            (&[], None, &[]),
            (&["."], Some("."), &[]),
            (&["shop"], Some("shop"), &[]),
            (&["shop", "orders"], Some("shop"), &["orders"]),
            (&["orders", "shop"], None, &["orders", "shop"]),
            (&["empty"], None, &["empty"]),
            (&["./empty", "api"], Some("./empty"), &["api"]),
            (&["examples/gone"], Some("examples/gone"), &[]),
        ];
        for (targets, folder, services) in cases {
            let targets: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
            let (found, names) = split_targets(base.path(), &targets).unwrap();
            assert_eq!(found, folder.map(|folder| base.path().join(folder)), "{targets:?}");
            let names: Vec<&str> = names.iter().map(Name::as_str).collect();
            assert_eq!(names, services, "{targets:?}");
        }
        assert!(split_targets(base.path(), &["Orders".to_owned()]).is_err());
        assert!(split_targets(base.path(), &["api".to_owned(), "./shop".to_owned()]).is_err());
    }
}
