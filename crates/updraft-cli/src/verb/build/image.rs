//! From a build to an image in the state folder, with its materials and its provenance.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use updraft_engine::{ArtifactError, ArtifactRequest, BuildError, NotBuilt, Progress as Step};
use updraft_image::{
    Attachment, CYCLONEDX, DSSE, Digest, IN_TOTO, LayerCache, Layout, LayoutError, Platform,
    SigningKey, StoredImage,
};
use updraft_system::{BaseImage, Name, Service};

use super::prune;
use super::remote::Remote;
use super::source::Source;
use super::workshop::Workshop;
use crate::failure::{Class, Failure};
use crate::output;
use crate::progress::Progress;
use crate::released::IMAGES;

/// The images of a system.
#[derive(Debug)]
pub(super) struct Images<'a> {
    remote: &'a Remote,
    layout: Layout,
    cache: Option<LayerCache>,
    key: SigningKey,
    epoch: u64,
    /// Held as long as the index may be written: two builds at once go one after the other.
    _turn: File,
}

/// An image that was made.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    pub(super) service: Name,
    pub(super) digest: Digest,
    /// In bytes, compressed.
    pub(super) size: u64,
    pub(super) layers: Vec<MadeLayer>,
    /// How many components its bill of materials has.
    pub(super) components: usize,
    /// Its build was left out, since nothing has changed.
    pub(super) reused: bool,
    /// Where it is in a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pushed: Option<String>,
    pub(super) notes: Vec<String>,
    /// What it was built from; `None`: nothing was built.
    #[serde(skip)]
    pub(super) inputs: Option<updraft_engine::Digest>,
}

#[derive(Debug, Serialize)]
pub(super) struct MadeLayer {
    digest: Digest,
    size: u64,
    /// It was there before.
    reused: bool,
}

impl<'a> Images<'a> {
    /// Those in the state folder of a source's system.
    pub(super) fn open(source: &Source, remote: &'a Remote) -> Result<Self, Failure> {
        let root = source.state().root();
        Self::in_layout(&root.join(IMAGES), root, remote)
    }

    /// Those of a second build, in a layout of its own.
    pub(super) fn again(&self, folder: &Path, source: &Source) -> Result<Self, Failure> {
        Self::in_layout(folder, source.state().root(), self.remote)
    }

    fn in_layout(layout: &Path, state: &Path, remote: &'a Remote) -> Result<Self, Failure> {
        // Layers and the key are the user's, not one system's.
        let shared = state.parent().unwrap_or(state);
        let key = SigningKey::open(&shared.join("provenance.key"))
            .map_err(|error| Failure::from_error(Class::Environment, &error))?;
        let cache = LayerCache::open(&shared.join("layers")).map_err(|error| unwritten(&error))?;
        let layout = Layout::create(layout).map_err(|error| unwritten(&error))?;
        let turn = turn(&layout)?;
        Ok(Self { remote, layout, cache: Some(cache), key, epoch: epoch()?, _turn: turn })
    }

    /// Removes images that nothing names any more.
    pub(super) fn prune(&self, source: &Source) -> Result<(), Failure> {
        prune::prune(&self.layout, &source.state().releases()).map_err(|error| unwritten(&error))
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Builds a service and makes its image.
    pub(super) async fn make(
        &self,
        workshop: &Workshop,
        source: &Source,
        service: &Service,
        progress: &mut Progress,
    ) -> Result<Made, Failure> {
        let started = SystemTime::now();
        let base = self.base(source, service).await?;
        let store = source.store(service);
        let shown = RefCell::new(&mut *progress);
        let told = |name: &Name, step: Step| {
            let text = match step {
                Step::Step { text, .. } | Step::Line(text) => text,
            };
            shown.borrow_mut().show(&format!("building {name}: {text}"));
        };
        told(&service.name, Step::Line("looking for changes".to_owned()));
        let (directory, network) = (source.directory(), workshop.network());
        let (scopes, conditions) = (workshop.scopes(), source.conditions(network));
        let built = updraft_engine::build(scopes, service, directory, &store, &conditions, &told);
        let built = built.await.map_err(|error| not_built(&error))?;
        told(&service.name, Step::Line("writing its image".to_owned()));
        let system = &source.system().name;
        let (built, epoch) = (&built, self.epoch);
        let request = ArtifactRequest { system, service, directory, built, base, epoch };
        let artifact = request.write(&self.layout, self.cache.as_ref());
        let artifact = artifact.map_err(|error| unmade(&error))?;
        let times = (started, SystemTime::now());
        let statement = artifact.statement(&request, source.revision(), network.is_cut(), times);
        let envelope = self.key.sign(&statement).map_err(|error| {
            Failure::environment("the provenance cannot be signed").because(&error)
        })?;
        let manifest = &artifact.image.manifest;
        let (bom, envelope) = (artifact.bom.to_json(), envelope.to_json());
        self.enter(manifest, &service.name, &bom, &envelope)?;
        let layers = artifact.image.layers.iter().map(|layer| MadeLayer {
            digest: layer.descriptor.digest.clone(),
            size: layer.descriptor.size,
            reused: layer.reused,
        });
        let stored = StoredImage::open(&self.layout, &manifest.digest);
        let stored = stored.map_err(|error| Failure::from_error(Class::Environment, &error))?;
        Ok(Made {
            service: service.name.clone(),
            digest: manifest.digest.clone(),
            size: stored.inspect().size,
            layers: layers.collect(),
            components: artifact.bom.components().len(),
            reused: built.skipped,
            pushed: None,
            notes: artifact.notes,
            inputs: built.inputs.clone(),
        })
    }

    /// The image that a service stands on, where it names one.
    async fn base(
        &self,
        source: &Source,
        service: &Service,
    ) -> Result<Option<StoredImage>, Failure> {
        let unfit = |error: &(dyn std::error::Error + 'static)| {
            Failure::finding(format!("service `{}`: its base cannot be used", service.name))
                .because(error)
        };
        match &service.image.base {
            BaseImage::Closure | BaseImage::Scratch => Ok(None),
            BaseImage::Registry(place) => self.remote.base(place, &self.layout).await.map(Some),
            BaseImage::Layout { folder, tag } => {
                let folder = source.given().join(folder);
                let layout = Layout::open(&folder).map_err(|error| unfit(&error))?;
                let image = StoredImage::find(&layout, tag.as_deref(), &Platform::this());
                image.map(Some).map_err(|error| unfit(&error))
            }
        }
    }

    /// Names the image, and says what it is made of and how it came about. What was said
    /// before of the same image is replaced.
    fn enter(
        &self,
        manifest: &updraft_image::Descriptor,
        service: &Name,
        bom: &[u8],
        envelope: &[u8],
    ) -> Result<(), Failure> {
        let failed = |error: updraft_image::ImageError| {
            Failure::environment("the image cannot be kept").because(&error)
        };
        forget_referrers(&self.layout, &manifest.digest)?;
        let name = Some(service.as_str());
        self.layout.enter(manifest.clone(), name).map_err(|error| unwritten(&error))?;
        let documents = [(CYCLONEDX, CYCLONEDX, bom), (IN_TOTO, DSSE, envelope)];
        for (artifact_type, media_type, bytes) in documents {
            let annotations = Default::default();
            let attachment = Attachment { artifact_type, media_type, bytes, annotations };
            self.layout.attach(manifest, attachment).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes images and what is attached to them into another layout.
    pub(super) fn copy(&self, made: &[Made], folder: &Path) -> Result<(), Failure> {
        let failed = |error: updraft_image::ImageError| {
            Failure::environment(format!("cannot write {}", folder.display())).because(&error)
        };
        let to = Layout::create(folder).map_err(|error| unwritten(&error))?;
        if folder.canonicalize().ok() == self.layout.folder().canonicalize().ok() {
            let own = format!("{} is where the images of this system are kept", folder.display());
            return Err(Failure::usage(own).help("`--oci` takes another folder"));
        }
        let _turn = turn(&to)?;
        for one in made {
            let image = StoredImage::open(&self.layout, &one.digest).map_err(failed)?;
            forget_referrers(&to, &one.digest)?;
            for referrer in self.layout.referrers(&one.digest, None).map_err(failed)? {
                to.take_manifest(&self.layout, &referrer).map_err(failed)?;
            }
            to.take_manifest(&self.layout, image.descriptor()).map_err(failed)?;
            let mut descriptor = image.descriptor().clone();
            descriptor.platform = Some(image.platform());
            let entered = to.enter(descriptor, Some(one.service.as_str()));
            entered.map_err(|error| unwritten(&error))?;
        }
        Ok(())
    }
}

/// What was said of an image before is said anew.
fn forget_referrers(layout: &Layout, image: &Digest) -> Result<(), Failure> {
    let known = layout.referrers(image, None);
    let known = known.map_err(|error| Failure::from_error(Class::Environment, &error))?;
    let mut manifests = layout.index().map_err(|error| unwritten(&error))?.manifests;
    manifests.retain(|one| !known.iter().any(|old| old.digest == one.digest));
    layout.set_index(manifests).map_err(|error| unwritten(&error))
}

/// Waits for other builds of the same images.
fn turn(layout: &Layout) -> Result<File, Failure> {
    let folder = layout.folder();
    let failed = |error: std::io::Error| {
        Failure::environment(format!("cannot lock {}", folder.display())).because(&error)
    };
    let file = File::open(folder).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(file),
        Err(Errno::WOULDBLOCK) => output::say("waiting for another build of this system"),
        Err(error) => return Err(failed(error.into())),
    }
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// The time of all files, by the rule of reproducible-builds.org.
fn epoch() -> Result<u64, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_unset) => Ok(0),
        Ok(text) => text.parse().map_err(|_no_number| {
            Failure::usage("SOURCE_DATE_EPOCH is no number of seconds since 1970")
        }),
    }
}

fn unwritten(error: &LayoutError) -> Failure {
    Failure::from_error(Class::Environment, error)
}

fn not_built(error: &NotBuilt) -> Failure {
    let class = match error {
        NotBuilt::Build(error) => {
            if let BuildError::Failed { output, .. } | BuildError::NotKept { output, .. } = error {
                output::say(output.trim_end());
            }
            Class::Finding
        }
        NotBuilt::Start { .. } | NotBuilt::Interrupted(_) => Class::Environment,
    };
    Failure::from_error(class, error)
}

fn unmade(error: &ArtifactError) -> Failure {
    let class = match error {
        ArtifactError::Image { .. } => Class::Environment,
        _ => Class::Finding,
    };
    Failure::from_error(class, error)
}

/// Where a second build keeps its images.
pub(super) fn elsewhere(workshop: &Workshop) -> PathBuf {
    workshop.folder().join("again")
}
