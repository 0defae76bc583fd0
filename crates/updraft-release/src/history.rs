//! Back and onward: a rollback and a promotion are releases of their own, so that history
//! never lies.

use updraft_system::Name;
use updraft_system::release::{Origin, Release, ReleaseNumber};

use crate::author::Author;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::store::{Content, Store};

impl Store {
    /// Makes a release with the builds, values and manifest of an earlier one of the deploy.
    /// `None`: the one before the current; after a rollback, the one before the release that
    /// it went back to. It is not current yet: [`Store::set_current`].
    ///
    /// # Errors
    ///
    /// [`StoreError::NothingBefore`], [`StoreError::OtherDeploy`], [`StoreError::NoRelease`],
    /// [`StoreError::Damaged`] when something of the earlier release is not there any more,
    /// or why the store could not be read or written.
    pub fn rollback(
        &self,
        deploy: &Name,
        to: Option<ReleaseNumber>,
        note: Option<String>,
        author: &Author,
    ) -> Result<Release, StoreError> {
        let disk = Disk::open(self.layout())?;
        let (target, parent) = match to {
            Some(number) => {
                let target = self.release(number)?;
                // A pointer that is damaged is healed by the release that is made here.
                let current = match self.pointer(deploy) {
                    Err(StoreError::Damaged(_)) => None,
                    current => current?,
                };
                (target, current.map(|record| record.number))
            }
            None => {
                let current = self.required_current(deploy)?;
                (self.before(&current)?, Some(current.number))
            }
        };
        if target.deploy != *deploy {
            let (number, of, deploy) = (target.number, target.deploy, deploy.clone());
            return Err(StoreError::OtherDeploy { number, of, deploy });
        }
        self.sound(&target)?;
        let content = Content {
            deploy: target.deploy,
            builds: target.builds,
            config: target.config,
            resources: target.resources,
            manifest: target.manifest,
            parent,
            origin: Origin::Rollback { of: target.number },
            note,
        };
        self.write_record(&disk, content, author)
    }

    /// Makes a release of `to` with the builds and the manifest of the current release of
    /// `from`, and the values of `to`. It is not current yet: [`Store::set_current`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] with everything that the values of `to` lack;
    /// [`StoreError::NoCurrent`]; else why the store could not be read or written.
    pub fn promote(
        &self,
        from: &Name,
        to: &Name,
        note: Option<String>,
        author: &Author,
    ) -> Result<Release, StoreError> {
        // It is what keeps a missing store from being made.
        let source = self.required_current(from)?;
        let disk = Disk::open(self.layout())?;
        let system = self.system(&source)?;
        let (config, resources) = self.fitting(&system, to, &source.builds)?;
        let content = Content {
            deploy: to.clone(),
            builds: source.builds,
            config,
            resources,
            manifest: source.manifest,
            parent: self.pointer(to)?.map(|record| record.number),
            origin: Origin::Promoted { from: from.clone(), of: source.number },
            note,
        };
        self.write_record(&disk, content, author)
    }

    fn before(&self, current: &Release) -> Result<Release, StoreError> {
        let standing = match current.origin {
            Origin::Rollback { of } => self.release(of)?,
            Origin::Built | Origin::Promoted { .. } => current.clone(),
        };
        let nothing =
            StoreError::NothingBefore { deploy: current.deploy.clone(), number: standing.number };
        self.release(standing.parent.ok_or(nothing)?)
    }

    /// Everything that a release names is there, as it was.
    fn sound(&self, release: &Release) -> Result<(), StoreError> {
        self.manifest(release)?;
        match &release.config {
            Some(snapshot) => self.encrypted(&release.deploy, snapshot).map(drop),
            None => Ok(()),
        }
    }
}
