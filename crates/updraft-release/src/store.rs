//! The store itself: releases are appended, found and pointed to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use updraft_system::release::{
    Artifact, ManifestForm, ManifestText, Origin, Release, ReleaseNumber, Sha256, Snapshot,
};
use updraft_system::{ConfigKey, Name, ResourceUrl, System, parse_manifest, parse_procfile};

use crate::author::Author;
use crate::contract;
use crate::disk::{self, Disk};
use crate::document::Document;
use crate::error::{Damage, StoreError};
use crate::finding::Finding;
use crate::key_file::KeyFile;
use crate::layout::{Layout, RecordName, sha256};

/// The longest manifest that is kept.
const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// The longest note of a release.
const NOTE_BYTES_MAX: usize = 4096;

/// A folder of releases and values, of one system and any number of deploys.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
    key_file: KeyFile,
}

/// What a release is made of.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The deploy.
    pub deploy: Name,
    /// What was built, by service.
    pub builds: BTreeMap<Name, Artifact>,
    /// The text of the manifest.
    pub manifest: String,
    /// How it is to be read.
    pub form: ManifestForm,
    /// What to write about it.
    pub note: Option<String>,
}

/// The releases of a store, and what of it cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The releases, the newest first.
    pub releases: Vec<Release>,
    /// Records that are damaged; the others stay readable.
    pub damaged: Vec<Damage>,
}

/// The pointer to the current release of a deploy.
#[derive(Serialize, Deserialize)]
struct Pointer {
    release: ReleaseNumber,
    record: Sha256,
}

/// All of a release that is decided before it has a number.
pub(crate) struct Content {
    pub(crate) deploy: Name,
    pub(crate) builds: BTreeMap<Name, Artifact>,
    pub(crate) config: Option<Snapshot>,
    pub(crate) resources: BTreeMap<Name, String>,
    pub(crate) manifest: ManifestText,
    pub(crate) parent: Option<ReleaseNumber>,
    pub(crate) origin: Origin,
    pub(crate) note: Option<String>,
}

impl Store {
    /// The store in the folder `root`, which is made by the first write. `key_file` is only
    /// read when values are, and made when the first one is set.
    ///
    /// # Errors
    ///
    /// [`StoreError::Format`] when another version of updraft has made the store.
    pub fn open(root: impl Into<PathBuf>, key_file: KeyFile) -> Result<Self, StoreError> {
        let layout = Layout { root: root.into() };
        disk::check_format(&layout)?;
        Ok(Self { layout, key_file })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Whether anything was written to it.
    pub fn exists(&self) -> bool {
        self.layout.format().exists()
    }

    /// Makes a release of builds, the manifest and the newest values of the deploy. It is not
    /// current yet: [`Store::set_current`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] with everything that is missing: builds, required values,
    /// addresses of resources; else why the store could not be read or written. Then there
    /// is no such release.
    pub fn append(&self, new: NewRelease, author: &Author) -> Result<Release, StoreError> {
        let system = parse(&new.manifest, &new.form)?;
        if new.manifest.len() > MANIFEST_BYTES_MAX {
            let what = "the manifest".to_owned();
            return Err(StoreError::TooLarge { what, bytes_max: MANIFEST_BYTES_MAX });
        }
        if !self.exists() {
            // What is refused leaves no store behind.
            drop(self.fitting(&system, &new.deploy, &new.builds)?);
        }
        let disk = Disk::open(&self.layout)?;
        let (config, resources) = self.fitting(&system, &new.deploy, &new.builds)?;
        self.sweep(&disk)?;
        let digest = sha256(new.manifest.as_bytes());
        let path = self.layout.manifest(&digest);
        // One that is damaged is healed by the same text.
        if disk::read(&path)?.is_none_or(|kept| sha256(&kept) != digest) {
            disk.write(&path, new.manifest.as_bytes())?;
        }
        let content = Content {
            parent: self.pointer(&new.deploy)?.map(|record| record.number),
            deploy: new.deploy,
            builds: new.builds,
            config,
            resources,
            manifest: ManifestText { digest, form: new.form },
            origin: Origin::Built,
            note: new.note,
        };
        self.write_record(&disk, content, author)
    }

    /// The release of that number.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoRelease`], or why its record could not be read.
    pub fn release(&self, number: ReleaseNumber) -> Result<Release, StoreError> {
        let names = self.layout.record_names()?;
        let newest = names.last().map(|name| name.number);
        match names.into_iter().find(|name| name.number == number) {
            Some(name) => self.read_record(&name),
            None => Err(StoreError::NoRelease { number, newest }),
        }
    }

    /// The current release of a deploy; `None`: it has none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the pointer or the record cannot be read.
    pub fn current(&self, deploy: &Name) -> Result<Option<Release>, StoreError> {
        self.pointer(deploy)?.map(|record| self.read_record(&record)).transpose()
    }

    /// The current release of a deploy that must have one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoCurrent`], else as [`Store::current`].
    pub fn required_current(&self, deploy: &Name) -> Result<Release, StoreError> {
        self.current(deploy)?.ok_or_else(|| StoreError::NoCurrent {
            deploy: deploy.clone(),
            known: self.layout.released_deploys().unwrap_or_default(),
        })
    }

    /// Makes a release the current one of its deploy, in one step that is done or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is no such release or the pointer cannot be replaced.
    pub fn set_current(&self, number: ReleaseNumber) -> Result<Release, StoreError> {
        let disk = Disk::open(&self.layout)?;
        let release = self.release(number)?;
        let names = self.layout.record_names()?;
        let newest = names.last().map(|name| name.number);
        let name = names.into_iter().find(|name| name.number == number);
        let name = name.ok_or(StoreError::NoRelease { number, newest })?;
        let pointer = Pointer { release: number, record: name.digest };
        disk.write(&self.layout.current_of(&release.deploy), &json(&pointer))?;
        Ok(release)
    }

    /// All releases, or those of one deploy.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the folder cannot be read; what single files are damaged is in the
    /// listing.
    pub fn list(&self, deploy: Option<&Name>) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for name in self.layout.record_names()?.iter().rev() {
            match self.read_record(name) {
                Ok(release) if deploy.is_none_or(|deploy| *deploy == release.deploy) => {
                    listing.releases.push(release);
                }
                Ok(_of_another) => {}
                Err(StoreError::Damaged(damage)) => listing.damaged.push(damage),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// The deploys that have values or a current release, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a folder cannot be read.
    pub fn deploys(&self) -> Result<Vec<Name>, StoreError> {
        let mut deploys = self.layout.configured_deploys()?;
        deploys.extend(self.layout.released_deploys()?);
        deploys.sort();
        deploys.dedup();
        Ok(deploys)
    }

    /// The text of a release's manifest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when it is not what the release was made from.
    pub fn manifest(&self, release: &Release) -> Result<String, StoreError> {
        let digest = &release.manifest.digest;
        let path = self.layout.manifest(digest);
        let what = || format!("the manifest of release {}", release.number);
        let damaged = |why: &str| StoreError::damaged(what(), &path, why);
        let text = disk::read(&path)?.ok_or_else(|| damaged("is gone"))?;
        if sha256(&text) != *digest {
            return Err(damaged("does not have the digest that is its name"));
        }
        String::from_utf8(text).map_err(|_not_text| damaged("is not text"))
    }

    /// The system that a release is one of.
    ///
    /// # Errors
    ///
    /// As [`Store::manifest`], and [`StoreError::Manifest`] when this updraft does not take it.
    pub fn system(&self, release: &Release) -> Result<System, StoreError> {
        parse(&self.manifest(release)?, &release.manifest.form)
    }

    /// What the configuration of a service is in a release: values that were set, and the
    /// manifest's defaults.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when manifest or values cannot be read; [`StoreError::Refused`] for a
    /// service that the release does not have.
    pub fn environment(
        &self,
        release: &Release,
        service: &Name,
    ) -> Result<BTreeMap<String, SecretString>, StoreError> {
        let system = self.system(release)?;
        let Some(known) = system.services.get(service) else {
            let names = system.services.keys().map(Name::as_str);
            let message = format!("is no service of release {}", release.number);
            let finding = Finding::unknown(service, message, service.as_str(), names);
            return Err(StoreError::Refused(vec![finding]));
        };
        let document = self.pinned(release)?;
        let given = document.map(|document| document.given(known)).unwrap_or_default();
        let resolved = ConfigKey::resolve(&known.config, &given.0);
        let resolved = resolved.map_err(|problems| {
            let finding = |it: updraft_system::ConfigProblem| {
                Finding::new(format!("{service}.{}", it.variable), it.message)
            };
            StoreError::Refused(problems.into_iter().map(finding).collect())
        })?;
        Ok(resolved.into_iter().map(|(key, value)| (key, SecretString::from(value))).collect())
    }

    /// Where the resources of a release are that are bound in it, with their passwords.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the values cannot be read.
    pub fn addresses(&self, release: &Release) -> Result<BTreeMap<Name, ResourceUrl>, StoreError> {
        let document = self.pinned(release)?;
        let resources = document.iter().flat_map(|document| &document.resources);
        let url = |(name, value): (&Name, &crate::document::Value)| {
            // It was a URL when it was set.
            Some((name.clone(), ResourceUrl::parse(value.text.expose_secret()).ok()?))
        };
        Ok(resources.filter_map(url).collect())
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the secret keys of its user are.
    pub fn key_file(&self) -> &KeyFile {
        &self.key_file
    }

    /// The values that a release pins.
    pub(crate) fn pinned(&self, release: &Release) -> Result<Option<Document>, StoreError> {
        let snapshot = release.config.as_ref();
        snapshot.map(|snapshot| self.document(&release.deploy, snapshot)).transpose()
    }

    /// The newest values of a deploy and its bindings, if they and the builds are all that the
    /// manifest asks for.
    pub(crate) fn fitting(
        &self,
        system: &System,
        deploy: &Name,
        builds: &BTreeMap<Name, Artifact>,
    ) -> Result<(Option<Snapshot>, BTreeMap<Name, String>), StoreError> {
        let latest = self.latest(deploy)?;
        let document = latest.as_ref().map(|(_, document)| document);
        let findings = contract::findings(system, deploy, document, builds);
        if !findings.is_empty() {
            return Err(StoreError::Refused(findings));
        }
        let mut resources = BTreeMap::new();
        for (name, value) in document.iter().flat_map(|document| &document.resources) {
            if let (true, (_, Some(shown))) =
                (system.resources.contains_key(name), value.shown(None))
            {
                resources.insert(name.clone(), shown);
            }
        }
        Ok((latest.map(|(snapshot, _)| snapshot), resources))
    }

    /// The one step in which a release comes to be.
    pub(crate) fn write_record(
        &self,
        disk: &Disk<'_>,
        content: Content,
        author: &Author,
    ) -> Result<Release, StoreError> {
        if content.note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
            let what = "the note".to_owned();
            return Err(StoreError::TooLarge { what, bytes_max: NOTE_BYTES_MAX });
        }
        let release = Release {
            number: self.next_number()?,
            deploy: content.deploy,
            created: author.now,
            who: author.name(),
            builds: content.builds,
            config: content.config,
            resources: content.resources,
            manifest: content.manifest,
            parent: content.parent,
            origin: content.origin,
            note: content.note,
        };
        let text = json(&release);
        let name = RecordName { number: release.number, digest: sha256(&text) };
        disk.write(&self.layout.record(&name), &text)?;
        Ok(release)
    }

    /// Never one that was used: a pointer remembers a record that somebody has deleted.
    fn next_number(&self) -> Result<ReleaseNumber, StoreError> {
        let mut last = self.layout.record_names()?.last().map(|name| name.number);
        for deploy in self.layout.released_deploys()? {
            let text = disk::read(&self.layout.current_of(&deploy))?.unwrap_or_default();
            // One that is damaged tells nothing.
            if let Ok(Pointer { release, .. }) = serde_json::from_slice(&text) {
                last = last.max(Some(release));
            }
        }
        Ok(last.map_or(ReleaseNumber::FIRST, ReleaseNumber::next))
    }

    pub(crate) fn pointer(&self, deploy: &Name) -> Result<Option<RecordName>, StoreError> {
        let path = self.layout.current_of(deploy);
        let Some(text) = disk::read(&path)? else { return Ok(None) };
        let what = format!("the pointer to the current release of {deploy}");
        let Ok(Pointer { release: number, record }) = serde_json::from_slice(&text) else {
            return Err(StoreError::damaged(what, &path, "does not name a release"));
        };
        let name = RecordName { number, digest: record };
        if !self.layout.record(&name).exists() {
            let why = format!("names a release {number} that there is not");
            return Err(StoreError::damaged(what, &path, why));
        }
        Ok(Some(name))
    }

    pub(crate) fn read_record(&self, name: &RecordName) -> Result<Release, StoreError> {
        let path = self.layout.record(name);
        let damaged =
            |why: &str| StoreError::damaged(format!("release {}", name.number), &path, why);
        let text = disk::read(&path)?.ok_or_else(|| damaged("is gone"))?;
        if sha256(&text) != name.digest {
            return Err(damaged("does not have the digest in its name"));
        }
        let release: Release = serde_json::from_slice(&text)
            .map_err(|error| damaged(&format!("is no record that this updraft knows: {error}")))?;
        if release.number != name.number {
            return Err(damaged("is the record of another release"));
        }
        Ok(release)
    }

    /// Removes manifests that no release has: somebody was killed between two writes. Where a
    /// record cannot be read it is not known what it needs, and all are kept.
    fn sweep(&self, disk: &Disk<'_>) -> Result<(), StoreError> {
        let kept = self.layout.manifest_digests()?;
        let listing = self.list(None)?;
        if !listing.damaged.is_empty() {
            return Ok(());
        }
        let is_used = |digest: &&Sha256| {
            listing.releases.iter().any(|release| release.manifest.digest == **digest)
        };
        for digest in kept.iter().filter(|digest| !is_used(digest)) {
            disk.remove(&self.layout.manifest(digest))?;
        }
        Ok(())
    }
}

fn parse(text: &str, form: &ManifestForm) -> Result<System, StoreError> {
    let parsed = match form {
        ManifestForm::Toml => parse_manifest(text),
        ManifestForm::Procfile { system } => parse_procfile(text, system),
    };
    parsed.map_err(|problems| StoreError::Manifest { problems: problems.len() })
}

/// A record as it lies on the disk: to be read by people as well.
fn json(value: &impl Serialize) -> Vec<u8> {
    // Maps with text as keys can be written as JSON, and a vector takes everything.
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}
