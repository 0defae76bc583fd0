//! What a program may do: a process confines itself in this way and then becomes the program, so
//! that nothing is undone by it, and all that it starts is confined alike.
//!
//! In order, because each step needs what the next takes away: namespaces and mounts
//! (`mount_namespaces(7)`), limits (`setrlimit(2)`), no new privileges, where it may write
//! (`landlock(7)`), capabilities (`capabilities(7)`). What this machine or user cannot have is
//! left out and told, never silently.

mod files;
mod mounts;
mod privileges;
mod read_only;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use updraft_system::{ConfinementStatus, Limits, TemporaryStatus};

pub(super) use mounts::{ATTEMPT, attempt as attempt_mounts};

/// Where programs put temporary files that do not ask `TMPDIR`.
const TMP: &str = "/tmp";

/// What a program may use and do. It can gain no privileges in any case, and has a folder of its
/// own for temporary files, which is removed with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What it and its descendants may use together.
    pub limits: Limits,
    /// The capabilities that it keeps, without `CAP_`. Empty: none.
    pub capabilities: Vec<String>,
    /// Where it may write. `None`: wherever its user may.
    pub files: Option<FileRules>,
}

/// Where a program may write, and what it cannot see. All paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRules {
    /// Where it may write. A folder that is not there is made.
    pub writable: Vec<PathBuf>,
    /// The files and folders of its resources, where it may write too.
    pub resources: Vec<PathBuf>,
    /// A folder that is empty for it but for `shown` and `resources`, where it may have mounts
    /// of its own.
    pub hidden: Option<PathBuf>,
    /// What it sees below `hidden`. What does not lie there is seen anyway.
    pub shown: Vec<PathBuf>,
}

/// Something that a machine may not have, and that can be done without to see what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Feature {
    Cgroups,
    Landlock,
    Namespaces,
}

/// The environment variable of `updraft up` that names features to do without, with commas
/// between them.
const WITHOUT_VARIABLE: &str = "UPDRAFT_WITHOUT";

/// What a process does to itself before it becomes a program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Preparation {
    pub(super) confinement: Confinement,
    /// The limits that hold once it has joined its control groups.
    pub(super) held: Limits,
    /// What is known already not to hold.
    pub(super) lacking: Vec<String>,
    pub(super) without: Vec<Feature>,
    /// A folder of the scope's own, removed with it. `None`: none could be made.
    pub(super) folder: Option<PathBuf>,
    /// The folder that the program starts in.
    pub(super) directory: PathBuf,
}

impl Feature {
    /// Those that are to be done without, and those that this machine withholds.
    ///
    /// # Errors
    ///
    /// The first word that is no feature.
    pub(super) fn withheld() -> Result<Vec<Self>, String> {
        let text = std::env::var(WITHOUT_VARIABLE).unwrap_or_default();
        let words = text.split(',').filter(|word| !word.is_empty());
        let mut features = words.map(str::parse).collect::<Result<Vec<Self>, _>>()?;
        if !features.contains(&Self::Namespaces) && !mounts::are_possible() {
            features.push(Self::Namespaces);
        }
        Ok(features)
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "cgroups" => Ok(Self::Cgroups),
            "landlock" => Ok(Self::Landlock),
            "namespaces" => Ok(Self::Namespaces),
            _ => Err(format!(
                "{WITHOUT_VARIABLE} names `{word}`; known are `cgroups`, `landlock`, `namespaces`"
            )),
        }
    }
}

impl Preparation {
    /// Where the program's temporary files are, outside of mounts of its own.
    pub(super) fn temporary(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("tmp"))
    }

    /// Confines this process. Returns what holds, and the folder that `TMPDIR` has to name.
    ///
    /// # Errors
    ///
    /// What is declared and cannot be done although the machine could; the program must not run.
    pub(super) fn confine(self) -> io::Result<(ConfinementStatus, Option<PathBuf>)> {
        let mut status = ConfinementStatus {
            limits: self.held,
            lacking: self.lacking.clone(),
            ..ConfinementStatus::default()
        };
        let granted = privileges::granted(&self.confinement.capabilities, &mut status.lacking)?;
        let temporary = self.temporary();
        let mut tmpdir = temporary.clone();
        status.temporary = match &temporary {
            Some(_) => TemporaryStatus::Tmpdir,
            None => TemporaryStatus::Shared,
        };
        if let Some(rules) = &self.confinement.files {
            make_writable(rules)?;
            if self.seclude(rules, !granted.is_empty(), &mut status)? {
                tmpdir = Some(TMP.into());
            }
            // Whoever was in a folder is still in what lies below a mount.
            std::env::set_current_dir(&self.directory)?;
        }
        self.limit_files(&mut status);
        privileges::renounce()?;
        status.no_new_privileges = true;
        if let Some(rules) = &self.confinement.files {
            if self.without.contains(&Feature::Landlock) {
                let reason = "Landlock is to be done without";
                status.lacking.push(format!("where it may write does not hold: {reason}"));
            } else {
                files::restrict(rules, tmpdir.as_deref(), &mut status)?;
            }
        }
        status.capabilities = Some(privileges::keep(granted)?);
        Ok((status, tmpdir))
    }

    /// Gives this process mounts of its own, or tells why it has none. Returns whether `/tmp` is
    /// its own.
    fn seclude(
        &self,
        rules: &FileRules,
        privileged: bool,
        status: &mut ConfinementStatus,
    ) -> io::Result<bool> {
        let private = if self.without.contains(&Feature::Namespaces) {
            let reason = "this machine has no user namespaces for it, or is to do without";
            Err(mounts::Unprepared::Lacking(reason.to_owned()))
        } else {
            mounts::prepare(self, rules, privileged)
        };
        match private {
            Ok(private) => {
                let has_tmp = private.tmp.is_ok();
                if has_tmp {
                    status.temporary = TemporaryStatus::Private;
                }
                private.tell(status);
                Ok(has_tmp)
            }
            Err(mounts::Unprepared::Nobody(error)) => {
                let reason = format!("its user namespace cannot be set up: {error}");
                Err(io::Error::new(error.kind(), reason))
            }
            Err(mounts::Unprepared::Lacking(reason)) => {
                let what = "the state folder are seen by it, and no file system is read-only";
                status.lacking.push(format!("{TMP} and {what}: {reason}"));
                Ok(false)
            }
        }
    }

    /// Limits open files; this one needs no control group.
    fn limit_files(&self, status: &mut ConfinementStatus) {
        let Some(wanted) = self.confinement.limits.files else { return };
        let standing = getrlimit(Resource::Nofile);
        let files = u64::from(wanted);
        // Nobody without privileges can raise the hard limit.
        let most = standing.maximum.map_or(files, |most| most.min(files));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        status.limits.files = u32::try_from(most).ok();
        let reason = match setrlimit(Resource::Nofile, limit) {
            Ok(()) if most == files => return,
            Ok(()) => format!("this user may open {most}"),
            Err(error) => {
                status.limits.files = None;
                error.to_string()
            }
        };
        status.lacking.push(format!("its limit of {wanted} files does not hold: {reason}"));
    }
}

/// Makes the folders that are declared and not there.
fn make_writable(rules: &FileRules) -> io::Result<()> {
    for path in rules.writable.iter().filter(|path| !path.exists()) {
        fs::create_dir_all(path).map_err(|error| {
            let path = path.display();
            io::Error::new(error.kind(), format!("cannot make its writable folder {path}: {error}"))
        })?;
    }
    Ok(())
}

/// Whether one of the paths lies below a folder.
fn any_below<'a>(folder: &Path, mut paths: impl Iterator<Item = &'a Path>) -> Option<&'a Path> {
    paths.find(|path| path.starts_with(folder))
}
