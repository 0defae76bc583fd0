//! The release store of the addressed system, and who writes to it from here.

use std::fmt;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use updraft_engine::Remembered;
use updraft_release::{Author, KeyFile, Store, StoreError};
use updraft_system::release::Release;
use updraft_system::{Name, System};

use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::released;
use crate::running::{Addressed, Presence};
use crate::verb::roll_out;

/// Which deploy a verb is about.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeployArg {
    /// The deploy, such as `production`; `local` is this machine
    #[arg(short = 'e', long, default_value = "local", value_name = "DEPLOY")]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::completion::deploys))]
    pub(crate) deploy: Name,
}

/// The deploys of the addressed system.
#[derive(Debug)]
pub(crate) struct Deploys {
    pub(crate) addressed: Addressed,
    pub(crate) store: Store,
}

impl Deploys {
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        let addressed = Addressed::find(&global.directory)?;
        let key_file = KeyFile::locate().map_err(StoreError::from)?;
        let store = Store::open(addressed.state.releases(), key_file)?;
        Ok(Self { addressed, store })
    }

    /// The graph of the manifest as it is in the working tree: the contract of what is set.
    pub(crate) fn system(&self) -> Result<System, Failure> {
        self.addressed.dir.system()
    }

    /// Makes a release that was just appended the current one, and writes its number. Where the system runs here it
    /// is rolled out first; when that fails, the one before stays current.
    pub(crate) async fn settle(&self, release: &Release, json: bool) -> Outcome {
        let Release { number, deploy, origin, .. } = release;
        if *deploy == Name::local() {
            match self.addressed.presence().await? {
                Presence::Running(client) => {
                    output::say(format!("release {number} is recorded"));
                    roll_out::to_release(&client, number.get(), json).await?;
                }
                // What ran by a release until a crash comes back by this one.
                Presence::Stopped(lock) => {
                    Remembered::replace_release(&self.addressed.state, &lock, number.get())
                        .map_err(|error| Failure::from_error(Class::Environment, &error))?;
                }
            }
        }
        self.store.set_current(*number)?;
        released::prune(&self.addressed.state, &self.store)?;
        output::say(format!("release {number} is current in {deploy}: {origin}"));
        match json {
            true => output::json_result(release)?,
            false => output::result(number)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whoever runs this command, now.
pub(crate) fn author() -> Author {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("LOGNAME").or_else(|| variable("USER"));
    let user = user.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Author { who: format!("{user}@{}", host.trim()), now: Timestamp::now() }
}

/// A moment, as people of this place write it.
pub(crate) fn moment(time: Timestamp) -> impl fmt::Display {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(findings) if findings.len() > 1 => {
                let message = format!("{} things are missing or wrong", findings.len());
                let causes = findings.iter().map(ToString::to_string);
                Self::usage(message).caused_by(causes)
            }
            StoreError::Refused(_)
            | StoreError::NoRelease { .. }
            | StoreError::NoCurrent { .. }
            | StoreError::OtherDeploy { .. }
            | StoreError::NothingBefore { .. }
            | StoreError::Manifest { .. }
            | StoreError::TooLarge { .. } => Self::from_error(Class::Usage, &error),
            StoreError::Damaged(_) => Self::from_error(Class::Finding, &error)
                .help("`updraft release verify` lists what is damaged; restore it from a copy"),
            StoreError::Sealed { .. } => Self::from_error(Class::Environment, &error).help(
                "somebody who can read them runs `updraft config recipients add` with your \
                 key, which `updraft config recipients key` prints",
            ),
            _ => Self::from_error(Class::Environment, &error),
        }
    }
}
