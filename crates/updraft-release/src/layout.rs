//! Where things are in a store, and how files are named by what they hold.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ring::digest;
use updraft_system::Name;
use updraft_system::release::{ReleaseNumber, Sha256, Snapshot};

use crate::error::StoreError;

/// What the file `format` holds.
pub(crate) const FORMAT: &str = "updraft-releases 1\n";

/// The folders and files of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

/// The name of a record: `<number>-<digest>.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordName {
    pub(crate) number: ReleaseNumber,
    pub(crate) digest: Sha256,
}

/// The name of encrypted values: `<version>-<digest>-<recipients>-<digest of the file>.age`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedName {
    pub(crate) snapshot: Snapshot,
    /// For whom the file is encrypted: the beginning of a digest of their list.
    pub(crate) recipients: String,
    pub(crate) file: Sha256,
}

/// Hexadecimal digits of the part of a name that stands for the recipients.
pub(crate) const RECIPIENTS_DIGITS: usize = 16;

impl Layout {
    pub(crate) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What is being written, until it has its name.
    pub(crate) fn draft(&self) -> PathBuf {
        self.root.join("draft")
    }

    pub(crate) fn recipients(&self) -> PathBuf {
        self.root.join("recipients")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    pub(crate) fn values(&self) -> PathBuf {
        self.root.join("values")
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    pub(crate) fn record(&self, name: &RecordName) -> PathBuf {
        let RecordName { number, digest } = name;
        self.records().join(format!("{number}-{}.json", digest.hex()))
    }

    pub(crate) fn manifest(&self, digest: &Sha256) -> PathBuf {
        self.manifests().join(digest.hex())
    }

    pub(crate) fn values_of(&self, deploy: &Name) -> PathBuf {
        self.values().join(deploy.as_str())
    }

    pub(crate) fn sealed(&self, deploy: &Name, name: &SealedName) -> PathBuf {
        let SealedName { snapshot: Snapshot { version, digest }, recipients, file } = name;
        let (digest, file) = (digest.hex(), file.hex());
        self.values_of(deploy).join(format!("{version}-{digest}-{recipients}-{file}.age"))
    }

    pub(crate) fn current_of(&self, deploy: &Name) -> PathBuf {
        self.current().join(format!("{deploy}.json"))
    }

    /// The records by number; two of one number cannot be.
    pub(crate) fn record_names(&self) -> Result<Vec<RecordName>, StoreError> {
        let mut names: Vec<RecordName> = names(&self.records())?;
        names.sort_by_key(|name| name.number);
        Ok(names)
    }

    /// The encrypted values of a deploy by version.
    pub(crate) fn sealed_names(&self, deploy: &Name) -> Result<Vec<SealedName>, StoreError> {
        let mut names: Vec<SealedName> = names(&self.values_of(deploy))?;
        names.sort_by_key(|name| name.snapshot.version);
        Ok(names)
    }

    /// The manifests that are kept.
    pub(crate) fn manifest_digests(&self) -> Result<Vec<Sha256>, StoreError> {
        Ok(names(&self.manifests())?.into_iter().map(|ManifestName(digest)| digest).collect())
    }

    /// The deploys that have values.
    pub(crate) fn configured_deploys(&self) -> Result<Vec<Name>, StoreError> {
        let mut deploys: Vec<Name> = names(&self.values())?;
        deploys.sort();
        Ok(deploys)
    }

    /// The deploys that have a current release.
    pub(crate) fn released_deploys(&self) -> Result<Vec<Name>, StoreError> {
        let files: Vec<PointerName> = names(&self.current())?;
        let mut deploys: Vec<Name> = files.into_iter().map(|PointerName(deploy)| deploy).collect();
        deploys.sort();
        Ok(deploys)
    }
}

/// What in a folder is named as a `T`; nothing where there is no folder.
fn names<T: FromStr>(folder: &Path) -> Result<Vec<T>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io("read", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", folder))?;
        found.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()));
    }
    Ok(found)
}

/// SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    let digest = digest::digest(&digest::SHA256, bytes);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    #[expect(clippy::expect_used, reason = "32 bytes are 64 digits")]
    Sha256::of_hex(&hex).expect("a digest")
}

/// The file is not one of ours.
pub(crate) struct Foreign;

struct PointerName(Name);

struct ManifestName(Sha256);

impl FromStr for ManifestName {
    type Err = Foreign;

    fn from_str(file: &str) -> Result<Self, Foreign> {
        Sha256::of_hex(file).ok().map(Self).ok_or(Foreign)
    }
}

impl FromStr for PointerName {
    type Err = Foreign;

    fn from_str(file: &str) -> Result<Self, Foreign> {
        let deploy = file.strip_suffix(".json").and_then(|deploy| deploy.parse().ok());
        deploy.map(Self).ok_or(Foreign)
    }
}

impl FromStr for RecordName {
    type Err = Foreign;

    fn from_str(file: &str) -> Result<Self, Foreign> {
        let parts = || {
            let (number, hex) = file.strip_suffix(".json")?.split_once('-')?;
            Some(Self { number: number.parse().ok()?, digest: Sha256::of_hex(hex).ok()? })
        };
        parts().ok_or(Foreign)
    }
}

impl FromStr for SealedName {
    type Err = Foreign;

    fn from_str(file: &str) -> Result<Self, Foreign> {
        let parts = || {
            let parts: Vec<&str> = file.strip_suffix(".age")?.split('-').collect();
            let [version, digest, recipients, file] = parts.as_slice() else { return None };
            let version: NonZeroU64 = version.parse().ok()?;
            let snapshot = Snapshot { version, digest: Sha256::of_hex(digest).ok()? };
            let recipients = (*recipients).to_owned();
            Some(Self { snapshot, recipients, file: Sha256::of_hex(file).ok()? })
        };
        parts().ok_or(Foreign)
    }
}
