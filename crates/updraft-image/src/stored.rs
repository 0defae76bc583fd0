//! An image that is in a layout: found, read, and its parts checked against each other.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oci::{annotation, media};
use crate::{
    Descriptor, Digest, History, ImageConfig, Index, Layout, LayoutError, Manifest, Platform,
};

/// The most layers of an image; overlay file systems mount no more than some hundreds.
const LAYERS_MOST: usize = 512;

/// How deep indexes of indexes are followed.
const NESTED_MOST: u32 = 4;

/// An image of a layout, with its manifest and configuration read.
#[derive(Clone, Debug)]
pub struct StoredImage {
    layout: Layout,
    descriptor: Descriptor,
    manifest: Manifest,
    config: ImageConfig,
}

/// There is no such image, or it is not one.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A layout cannot be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A layer cannot be made or read.
    #[error(transparent)]
    Layer(#[from] crate::LayerError),
    /// The layout has no image of that name.
    #[error("{layout} has no image `{name}`; it has {known}")]
    Unknown {
        /// The folder of the layout.
        layout: String,
        /// The name that was asked for.
        name: String,
        /// The names that it has.
        known: String,
    },
    /// A layout with several images was read without a name.
    #[error("{layout} has several images ({known}): name one as {layout}:NAME")]
    Several {
        /// The folder of the layout.
        layout: String,
        /// The names that it has.
        known: String,
    },
    /// The image is for other machines.
    #[error("{image} is not for {wanted}; it is for {known}")]
    Platform {
        /// Which image.
        image: Digest,
        /// What is asked for.
        wanted: Platform,
        /// What there is.
        known: String,
    },
    /// A document of it is of another shape.
    #[error("{digest} is not {expected}")]
    Document {
        /// The document.
        digest: Digest,
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The document is fine by itself, and not an image that can be used.
    #[error("{digest} is no image that can be used: {why}")]
    Unfit {
        /// Its manifest.
        digest: Digest,
        /// Why not.
        why: String,
    },
}

/// What an image is, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The digest of the manifest, which is the image's name.
    pub digest: Digest,
    /// What it runs on.
    pub platform: String,
    /// The bytes of all layers, compressed.
    pub size: u64,
    /// From the base upwards.
    pub layers: Vec<LayerInspection>,
    /// How it is run.
    pub config: crate::Config,
    /// When it was made, as it says; RFC 3339.
    pub created: Option<String>,
    /// Of the manifest.
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// What a layer of an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerInspection {
    /// Of its blob.
    pub digest: Digest,
    /// Of what is in it.
    pub diff_id: Digest,
    /// Of its blob, in bytes.
    pub size: u64,
    /// What made it, where that is said.
    pub created_by: Option<String>,
}

impl StoredImage {
    /// The image with that manifest.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when it is not there, or not an image.
    pub fn open(layout: &Layout, manifest: &Digest) -> Result<Self, ImageError> {
        let bytes = layout.document(manifest)?;
        let descriptor = Descriptor::new(media::MANIFEST, manifest.clone(), bytes.len() as u64);
        Self::read(layout, descriptor, &bytes)
    }

    /// The image of that name in the layout's index, or the only one, for `platform`.
    ///
    /// `name` may also be the digest of its manifest. Indexes of several platforms are
    /// followed; what only refers to another image is not an image.
    ///
    /// # Errors
    ///
    /// [`ImageError`] that says what the layout has instead.
    pub fn find(
        layout: &Layout,
        name: Option<&str>,
        platform: &Platform,
    ) -> Result<Self, ImageError> {
        let place = || layout.folder().display().to_string();
        let manifests = layout.index()?.manifests;
        let mut images: Vec<&Descriptor> =
            manifests.iter().filter(|it| it.artifact_type.is_none()).collect();
        let known = || known(&manifests);
        if let Some(name) = name {
            let has = |it: &&Descriptor| {
                it.annotations.get(annotation::NAME).is_some_and(|it| it == name)
                    || it.digest.as_str() == name
            };
            images.retain(has);
            if images.is_empty() {
                let (layout, known) = (place(), known());
                return Err(ImageError::Unknown { layout, name: name.to_owned(), known });
            }
        }
        images.dedup_by(|a, b| a.digest == b.digest);
        let [image] = images.as_slice() else {
            return Err(match images.as_slice() {
                [] => ImageError::Unknown {
                    layout: place(),
                    name: "(any)".to_owned(),
                    known: known(),
                },
                _ => ImageError::Several { layout: place(), known: known() },
            });
        };
        Self::choose(layout, image, platform)
    }

    fn choose(
        layout: &Layout,
        found: &Descriptor,
        platform: &Platform,
    ) -> Result<Self, ImageError> {
        let mut next = found.clone();
        for _ in 0..NESTED_MOST {
            let bytes = layout.document(&next.digest)?;
            if !matches!(next.media_type.as_str(), media::INDEX | media::DOCKER_INDEX) {
                let image = Self::read(layout, next, &bytes)?;
                let fits = image.platform() == *platform;
                return if fits { Ok(image) } else { Err(image.not_for(platform)) };
            }
            let index: Index = parsed(&next.digest, "an index of images", &bytes)?;
            let fits = |it: &&Descriptor| it.platform.as_ref() == Some(platform);
            match index.manifests.iter().find(fits).or(match index.manifests.as_slice() {
                [only] if only.platform.is_none() => Some(only),
                _ => None,
            }) {
                Some(found) => next = found.clone(),
                None => {
                    let platforms = index.manifests.iter().filter_map(|it| it.platform.as_ref());
                    let known: Vec<String> = platforms.map(Platform::to_string).collect();
                    return Err(ImageError::Platform {
                        image: next.digest,
                        wanted: platform.clone(),
                        known: known.join(", "),
                    });
                }
            }
        }
        let why = "its indexes are nested too deeply".to_owned();
        Err(ImageError::Unfit { digest: found.digest.clone(), why })
    }

    fn read(layout: &Layout, descriptor: Descriptor, bytes: &[u8]) -> Result<Self, ImageError> {
        let manifest: Manifest = parsed(&descriptor.digest, "an image manifest", bytes)?;
        let unfit = |why: String| ImageError::Unfit { digest: descriptor.digest.clone(), why };
        if manifest.artifact_type.is_some() || manifest.config.media_type == media::EMPTY {
            return Err(unfit("it is an artefact about another image".to_owned()));
        }
        if manifest.layers.len() > LAYERS_MOST {
            return Err(unfit(format!("it has more than {LAYERS_MOST} layers")));
        }
        let config = layout.document(&manifest.config.digest)?;
        let expected = "the configuration of an image";
        let config: ImageConfig = parsed(&manifest.config.digest, expected, &config)?;
        let (layers, archives) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != archives {
            let why = format!("its manifest has {layers} layers, its configuration {archives}");
            return Err(unfit(why));
        }
        Ok(Self { layout: layout.clone(), descriptor, manifest, config })
    }

    /// Where it is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Of its manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// What it runs on.
    pub fn platform(&self) -> Platform {
        Platform { architecture: self.config.architecture.clone(), os: self.config.os.clone() }
    }

    /// Checks each layer's blob against its digest; manifest and configuration were checked when
    /// they were read.
    ///
    /// # Errors
    ///
    /// [`ImageError`] that names the blob which is missing or something else.
    pub fn verify(&self) -> Result<(), ImageError> {
        for blob in &self.manifest.layers {
            self.layout.check(blob)?;
        }
        Ok(())
    }

    /// What it is, for people and programs.
    pub fn inspect(&self) -> Inspection {
        let made: Vec<&History> = self.config.history.iter().filter(|it| !it.empty_layer).collect();
        let layers = self.layers().enumerate().map(|(at, (blob, diff_id))| LayerInspection {
            digest: blob.digest.clone(),
            diff_id: diff_id.clone(),
            size: blob.size,
            created_by: made.get(at).and_then(|it| it.created_by.clone()),
        });
        Inspection {
            digest: self.descriptor.digest.clone(),
            platform: self.platform().to_string(),
            size: self.manifest.layers.iter().map(|it| it.size).sum(),
            layers: layers.collect(),
            config: self.config.config.clone(),
            created: self.config.created.clone(),
            annotations: self.manifest.annotations.clone(),
        }
    }

    /// Each layer's blob and what its archive should be, from the base upwards.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Digest)> {
        self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids)
    }

    fn not_for(&self, wanted: &Platform) -> ImageError {
        ImageError::Platform {
            image: self.descriptor.digest.clone(),
            wanted: wanted.clone(),
            known: self.platform().to_string(),
        }
    }
}

pub(crate) fn parsed<T: DeserializeOwned>(
    digest: &Digest,
    expected: &'static str,
    bytes: &[u8],
) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Document {
        digest: digest.clone(),
        expected,
        source,
    })
}

fn known(manifests: &[Descriptor]) -> String {
    let names = manifests.iter().filter(|it| it.artifact_type.is_none()).map(|it| {
        it.annotations.get(annotation::NAME).cloned().unwrap_or_else(|| it.digest.to_string())
    });
    let names: Vec<String> = names.take(20).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
