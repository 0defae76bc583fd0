//! Encrypted files of values: written, found by version, opened, encrypted anew.

use std::num::NonZeroU64;
use std::path::PathBuf;

use updraft_system::Name;
use updraft_system::release::{Sha256, Snapshot};

use crate::age::{self, Identity};
use crate::disk::{self, Disk};
use crate::document::Document;
use crate::error::StoreError;
use crate::layout::{SealedName, sha256};
use crate::recipients::Recipients;
use crate::store::Store;

/// How often a file is looked for that somebody is encrypting anew.
const READS_MAX: usize = 4;

impl Store {
    /// The newest values of a deploy.
    pub(crate) fn latest(&self, deploy: &Name) -> Result<Option<(Snapshot, Document)>, StoreError> {
        let names = self.layout().sealed_names(deploy)?;
        let Some(newest) = names.last() else { return Ok(None) };
        let document = self.document(deploy, &newest.snapshot)?;
        Ok(Some((newest.snapshot.clone(), document)))
    }

    /// The number that the next version of a deploy's values has.
    pub(crate) fn next_version(&self, deploy: &Name) -> Result<NonZeroU64, StoreError> {
        let names = self.layout().sealed_names(deploy)?;
        Ok(names.last().map_or(NonZeroU64::MIN, |it| it.snapshot.version.saturating_add(1)))
    }

    /// Values at one version.
    pub(crate) fn document(
        &self,
        deploy: &Name,
        snapshot: &Snapshot,
    ) -> Result<Document, StoreError> {
        let (name, file) = self.encrypted(deploy, snapshot)?;
        self.open_sealed(deploy, &name, &file, &self.key_file().identities()?)
    }

    /// The file of values at one version, as it is on the disk: the first that is sound.
    pub(crate) fn encrypted(
        &self,
        deploy: &Name,
        snapshot: &Snapshot,
    ) -> Result<(SealedName, Vec<u8>), StoreError> {
        let mut damage = None;
        for _ in 0..READS_MAX {
            let names = self.layout().sealed_names(deploy)?;
            let mut gone = false;
            for name in names.into_iter().filter(|name| name.snapshot == *snapshot) {
                let path = self.layout().sealed(deploy, &name);
                match disk::read(&path)? {
                    None => gone = true,
                    Some(file) if sha256(&file) == name.file => return Ok((name, file)),
                    Some(_) => damage = Some(path),
                }
            }
            if !gone {
                break;
            }
        }
        let why = if damage.is_some() { "does not have the digest in its name" } else { "is gone" };
        let path = damage.unwrap_or_else(|| self.layout().values_of(deploy));
        Err(StoreError::damaged(what(deploy, snapshot), &path, why))
    }

    pub(crate) fn open_sealed(
        &self,
        deploy: &Name,
        name: &SealedName,
        file: &[u8],
        identities: &[Identity],
    ) -> Result<Document, StoreError> {
        let plain = age::decrypt(identities, file).map_err(|source| StoreError::Sealed {
            what: what(deploy, &name.snapshot),
            key_file: self.key_file().path().to_owned(),
            source,
        })?;
        let document = (sha256(&plain) == name.snapshot.digest)
            .then(|| Document::of_bytes(&plain))
            .flatten()
            .filter(|it| it.deploy == *deploy && it.version == name.snapshot.version);
        document.ok_or_else(|| {
            let path = self.layout().sealed(deploy, name);
            let why = "does not hold what its name says";
            StoreError::damaged(what(deploy, &name.snapshot), &path, why)
        })
    }

    /// Writes values as a version of their own.
    pub(crate) fn seal(
        &self,
        disk: &Disk<'_>,
        document: &Document,
        recipients: &Recipients,
    ) -> Result<Snapshot, StoreError> {
        let plain = document.to_bytes();
        let snapshot = Snapshot { version: document.version, digest: sha256(&plain) };
        self.write_sealed(disk, &document.deploy, snapshot.clone(), &plain, recipients)?;
        Ok(snapshot)
    }

    fn write_sealed(
        &self,
        disk: &Disk<'_>,
        deploy: &Name,
        snapshot: Snapshot,
        plain: &[u8],
        recipients: &Recipients,
    ) -> Result<PathBuf, StoreError> {
        let file = age::encrypt(&recipients.keys(), plain).map_err(StoreError::Encrypt)?;
        let digest: Sha256 = sha256(&file);
        let name = SealedName { snapshot, recipients: recipients.mark(), file: digest };
        let path = self.layout().sealed(deploy, &name);
        disk.write(&path, &file)?;
        Ok(path)
    }

    /// What this user must be able to read before it can be encrypted anew: all versions of all
    /// deploys, but for damaged ones that are not the newest.
    pub(crate) fn must_open_all(&self) -> Result<(), StoreError> {
        for deploy in self.layout().configured_deploys()? {
            self.latest(&deploy)?;
            for name in self.layout().sealed_names(&deploy)? {
                self.readable(&deploy, &name)?;
            }
        }
        Ok(())
    }

    /// The values in one file; `None`: it is gone, or damaged: `verify` names it, and a copy may
    /// bring it back.
    fn readable(&self, deploy: &Name, name: &SealedName) -> Result<Option<Document>, StoreError> {
        match disk::read(&self.layout().sealed(deploy, name))? {
            Some(file) if sha256(&file) == name.file => {
                let identities = self.key_file().identities()?;
                self.open_sealed(deploy, name, &file, &identities).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Encrypts for `recipients` whatever is encrypted for others, all versions of all deploys:
    /// also what somebody who was killed has left undone.
    pub(crate) fn reseal(
        &self,
        disk: &Disk<'_>,
        recipients: &Recipients,
    ) -> Result<(), StoreError> {
        let mark = recipients.mark();
        for deploy in self.layout().configured_deploys()? {
            let names = self.layout().sealed_names(&deploy)?;
            for name in names.iter().filter(|name| name.recipients != mark) {
                let path = self.layout().sealed(&deploy, name);
                let is_done = |other: &&SealedName| {
                    other.snapshot == name.snapshot && other.recipients == mark
                };
                if !names.iter().any(|other| is_done(&other)) {
                    let Some(document) = self.readable(&deploy, name)? else { continue };
                    let plain = document.to_bytes();
                    let snapshot = name.snapshot.clone();
                    self.write_sealed(disk, &deploy, snapshot, &plain, recipients)?;
                }
                disk.remove(&path)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn what(deploy: &Name, snapshot: &Snapshot) -> String {
    format!("version {} of the values of {deploy}", snapshot.version)
}
