//! `updraft service install`: writes the unit, and has it started at each boot.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use updraft_engine::StateDir;
use updraft_release::KeyFile;

use super::account::Account;
use super::place::Place;
use super::systemctl::Systemctl;
use super::{about, of_another, other};
use crate::failure::{Failure, Outcome};
use crate::generated::{self, Found};
use crate::global::Global;
use crate::output;
use crate::running::Addressed;
use crate::systemd::{Owner, Unit, stop_within};

/// What says where state and keys are, and is the same for the system as for this command.
const PLACES: &[&str] = &["XDG_STATE_HOME", "XDG_CONFIG_HOME", KeyFile::VARIABLE];

/// Have systemd start the system at each boot, and again when it fails
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft service install --dry-run         show the unit, change nothing
  updraft service install                   a unit of this user
  sudo updraft service install --system --run-as shop
  updraft service install --no-start        write the unit only

A unit that updraft has not written, or that was edited, is not overwritten; changes that stay
belong into a drop-in: `systemctl --user edit NAME`. Exit code 4: systemd does not answer.")]
pub(super) struct InstallArgs {
    #[command(flatten)]
    place: Place,
    /// With --system: the user that it runs as [default: who owns the folder]
    #[arg(long, value_name = "USER", requires = "system")]
    run_as: Option<String>,
    /// Show the unit, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the unit, and leave it to you to enable and start it
    #[arg(long, conflicts_with = "dry_run")]
    no_start: bool,
}

pub(super) async fn run(global: &Global, args: InstallArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let runner = Runner::of(&addressed, &args.place, args.run_as.as_deref()).await?;
    let text = text_for(&addressed, &runner).await?;
    if args.dry_run {
        output::result(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let unit = args.place.unit(&addressed.name);
    let file = args.place.file(&addressed.name)?;
    replaceable(&file, &about(&addressed.name, &addressed.dir.directory))?;
    let systemctl = Systemctl::of(&args.place);
    if args.no_start {
        generated::write(&file, &text)?;
        return told(global, &args.place, &file, &unit, Started::No);
    }
    // Asked before anything is written, so that nothing half is left.
    systemctl.answers().await.map_err(|failure| {
        failure.help("`--no-start` only writes the unit, `--dry-run` only shows it")
    })?;
    let runs = Addressed { state: runner.state, ..addressed }.client().await?.is_some();
    generated::write(&file, &text)?;
    systemctl.order(&["daemon-reload"]).await?;
    systemctl.order(&["enable", "--", &unit]).await?;
    if !runs {
        systemctl.order(&["start", "--no-block", "--", &unit]).await?;
    }
    let by_unit = runs && is_active(systemctl, &unit).await;
    let started = match (runs, by_unit) {
        (true, false) => Started::RunsOutside,
        (true, true) => Started::Ran,
        (false, _) => Started::Now,
    };
    told(global, &args.place, &file, &unit, started)
}

async fn is_active(systemctl: Systemctl, unit: &str) -> bool {
    let state = systemctl.properties(unit, &["ActiveState"]).await.unwrap_or_default();
    state.get("ActiveState").is_some_and(|state| state != "inactive" && state != "failed")
}

/// What became of the unit beside its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    No,
    Now,
    /// The unit ran already.
    Ran,
    /// The system runs, and not by the unit.
    RunsOutside,
}

fn told(global: &Global, place: &Place, file: &Path, unit: &str, started: Started) -> Outcome {
    let (whose, shown) = (place.whose(), file.display());
    if global.json {
        let enabled = started != Started::No;
        let started = matches!(started, Started::Now | Started::Ran);
        let result = json!({ "unit": unit, "file": file, "enabled": enabled, "started": started });
        output::json_result(&result)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::say(format!("wrote {shown}"));
    match started {
        Started::No => output::say(format!(
            "start it with: systemctl {whose} daemon-reload && systemctl {whose} enable --now {unit}"
        )),
        Started::Now => output::say(format!(
            "{unit} starts now and at each boot; `updraft wait --ready` waits for it"
        )),
        Started::Ran => output::say(format!(
            "{unit} goes on running; it is as written here from its next start on"
        )),
        Started::RunsOutside => output::say(format!(
            "the system runs already: {unit} has it from the next boot on, or after \
             `updraft down && systemctl {whose} start {unit}`"
        )),
    }
    if !place.system && !super::status::lingers(&super::status::user()) {
        output::say(
            "without a login it starts only when this user lingers: loginctl enable-linger",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing else is at the place of the unit, and no unit of another folder.
fn replaceable(file: &Path, about: &str) -> Result<(), Failure> {
    let found = Found::at(file).map_err(|error| {
        Failure::environment(format!("cannot read {}", file.display())).because(&error)
    })?;
    found.replaceable(
        file,
        "`--name NAME` writes another unit; what you have changed belongs into a drop-in: \
         `systemctl edit`",
    )?;
    match &found {
        Found::Ours(old) => other(old, about).map_or(Ok(()), |says| Err(of_another(file, says))),
        _ => Ok(()),
    }
}

/// Who the system runs as, and where it keeps its state then.
pub(super) struct Runner {
    /// Of a unit of the machine.
    account: Option<Account>,
    /// Whether that is who asks.
    is_own: bool,
    state: StateDir,
}

impl Runner {
    pub(super) async fn of(
        addressed: &Addressed,
        place: &Place,
        wanted: Option<&str>,
    ) -> Result<Self, Failure> {
        let directory = &addressed.dir.directory;
        let account = match place.system {
            true => Some(runs_as(directory, wanted).await?),
            false => None,
        };
        let own = rustix::process::getuid().as_raw();
        let another = account.as_ref().filter(|account| account.uid != own);
        let state = match another {
            Some(account) => StateDir::of_user(&account.home, &addressed.name, directory)?,
            None => addressed.state.clone(),
        };
        Ok(Self { is_own: another.is_none(), account, state })
    }
}

/// The unit of a system as it would be written now.
pub(super) async fn text_for(addressed: &Addressed, runner: &Runner) -> Result<String, Failure> {
    let system = addressed.dir.system()?;
    let directory = addressed.dir.directory.clone();
    let owner = runner
        .account
        .as_ref()
        .map_or(Owner::User, |account| Owner::Machine { user: account.name.clone() });
    // Where another user keeps state and keys is not for this environment to say.
    let places = if runner.is_own { PLACES } else { &[] };
    let places = places.iter().filter_map(|name| {
        let path = std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())?;
        Some((*name, path))
    });
    let unit = Unit {
        stop: stop_within(&system),
        system: system.name,
        owner,
        program: program()?,
        // Programs are found as they are found here, which is not how systemd would.
        path: std::env::var("PATH").ok().filter(|path| !path.is_empty()),
        places: places.collect(),
        state: runner.state.root().to_owned(),
        systemd: Systemctl::version().await,
        directory,
    };
    let body = unit.render().map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::usage(problems.join("; ")).help("give the folder another name")
    })?;
    Ok(generated::sealed(&about(&unit.system, &unit.directory), &body))
}

/// The command that the unit starts: this one.
fn program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::environment("cannot tell where updraft is").because(&error))?;
    if program.is_file() {
        return Ok(program);
    }
    Err(Failure::environment(format!(
        "{} is gone: a newer version was put in its place",
        program.display()
    ))
    .help("run the command again"))
}

/// Who a system of the machine runs as: never root, unless somebody says so.
async fn runs_as(directory: &Path, wanted: Option<&str>) -> Result<Account, Failure> {
    if let Some(wanted) = wanted {
        return Account::find(wanted).await;
    }
    let owner = directory.metadata().map(|metadata| metadata.uid()).map_err(|error| {
        Failure::environment(format!("cannot look at {}", directory.display())).because(&error)
    })?;
    if owner == 0 {
        return Err(Failure::usage(format!(
            "{} belongs to root, and a system is not run as root unasked",
            directory.display()
        ))
        .help("`--run-as USER` names who it runs as"));
    }
    Account::find(&owner.to_string()).await
}
