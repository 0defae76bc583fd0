//! Why a store could not be read or written. No error holds a value.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use updraft_system::Name;
use updraft_system::release::ReleaseNumber;

use crate::age::{AgeError, InvalidKey};
use crate::finding::Finding;
use crate::key_file::KeyError;

/// A file of a store that is not what was written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What it holds: `release 42`, `the values of production, version 7`, …
    pub what: String,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// A store could not be read or written, or refuses what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file system call failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another version of updraft has made the store.
    #[error("{path} is of a format that this updraft does not know: use the version that wrote it")]
    Format {
        /// The file that names the format.
        path: PathBuf,
    },
    /// Somebody else writes to the store and does not come to an end.
    #[error("{path} is held by another process: `fuser {path}` shows which")]
    Busy {
        /// The file of the lock.
        path: PathBuf,
    },
    /// A file is not what was written there.
    #[error("{what} is damaged: {path} {why}", what = .0.what, path = .0.path.display(), why = .0.why)]
    Damaged(Damage),
    /// There is no release of that number.
    #[error("there is no release {number}{}", known(.newest.as_ref()))]
    NoRelease {
        /// The number.
        number: ReleaseNumber,
        /// The newest release there is.
        newest: Option<ReleaseNumber>,
    },
    /// The release is of another deploy.
    #[error(
        "release {number} is of {of}, not of {deploy}: `promote` moves a release to another deploy"
    )]
    OtherDeploy {
        /// The number.
        number: ReleaseNumber,
        /// The deploy it belongs to.
        of: Name,
        /// The deploy that was asked for.
        deploy: Name,
    },
    /// The deploy has no current release.
    #[error("{deploy} has no release{}", deploys(.known))]
    NoCurrent {
        /// The deploy.
        deploy: Name,
        /// The deploys that have one.
        known: Vec<Name>,
    },
    /// There is nothing to roll back to.
    #[error("release {number} is the first of {deploy}: there is nothing before it")]
    NothingBefore {
        /// The deploy.
        deploy: Name,
        /// Its current release.
        number: ReleaseNumber,
    },
    /// Values or a release were not taken.
    #[error("{}", refused(.0))]
    Refused(Vec<Finding>),
    /// The manifest of a release cannot be read.
    #[error("the manifest has {problems} problems; `updraft graph` shows them")]
    Manifest {
        /// How many.
        problems: usize,
    },
    /// Something is larger than the store takes.
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound.
        bytes_max: usize,
    },
    /// The key of this user cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Values could not be decrypted.
    #[error("{what} cannot be decrypted with {key_file}")]
    Sealed {
        /// What the file holds.
        what: String,
        /// The file of keys that was tried.
        key_file: PathBuf,
        /// Why.
        #[source]
        source: AgeError,
    },
    /// This user could not read what would be written.
    #[error(
        "the key in {key_file} is no recipient of this store: somebody who is has to run `updraft config recipients add {key}`"
    )]
    NotRecipient {
        /// The file of keys.
        key_file: PathBuf,
        /// The public key of this user.
        key: String,
    },
    /// Values could not be encrypted.
    #[error("the values cannot be encrypted")]
    Encrypt(#[source] AgeError),
    /// A line of the list of recipients is no key.
    #[error("{path}, line {line}, is no recipient")]
    Recipient {
        /// The list.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// Why.
        #[source]
        source: InvalidKey,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(what: impl Into<String>, path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged(Damage { what: what.into(), path: path.to_owned(), why: why.into() })
    }
}

fn known(newest: Option<&ReleaseNumber>) -> String {
    match newest {
        Some(newest) => format!("; the newest is {newest}"),
        None => "; there is none at all".to_owned(),
    }
}

fn deploys(known: &[Name]) -> String {
    let list = known.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    if list.is_empty() { String::new() } else { format!("; those with one are {list}") }
}

fn refused(findings: &[Finding]) -> String {
    match findings {
        [one] => one.to_string(),
        many => {
            let lines: Vec<String> = many.iter().map(|finding| format!("\n  {finding}")).collect();
            format!("{} things are missing or wrong{}", many.len(), lines.concat())
        }
    }
}
