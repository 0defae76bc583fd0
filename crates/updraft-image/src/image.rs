//! From a description to an image in a layout, whose digest depends on content alone.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::oci::{annotation, media};
use crate::{
    Config, Descriptor, History, ImageConfig, ImageError, Layer, LayerCache, LayerError, Layout,
    Manifest, Owner, Platform, RootFs, StoredImage, Tree,
};

/// Who runs in an image that names nobody: the number that distroless images took for it.
pub const NOBODY: Owner = Owner { uid: 65532, gid: 65532 };

/// The last second that RFC 3339 can write, the end of the year 9999.
const EPOCH_MOST: u64 = 253_402_300_799;

/// What is below the layers of an image.
#[derive(Clone, Debug, Default)]
pub enum Base {
    /// Nothing.
    #[default]
    Scratch,
    /// A layer of its own, such as a [`Closure`](crate::Closure).
    Files(Tree),
    /// An image: its layers and its configuration are taken over.
    Image(Box<StoredImage>),
}

/// What an image is to be.
///
/// ```
/// use updraft_image::{Image, Layout, Platform, Tree};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let mut application = Tree::default();
/// application.add_bytes("/app/hello", "#!/bin/nothing", true)?;
///
/// let mut image = Image::new(Platform::this());
/// image.layers.push(("application".to_owned(), application));
/// image.config.entrypoint = vec!["/app/hello".to_owned()];
///
/// let layout = Layout::create(folder)?;
/// let built = image.write(&layout, None)?;
/// layout.enter(built.manifest.clone(), Some("latest"))?;
/// println!("{}", built.manifest.digest);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// What is below.
    pub base: Base,
    /// Layers with a word about each, from below upwards. What changes least comes first.
    /// Empty ones are left out.
    pub layers: Vec<(String, Tree)>,
    /// How it is run. Where nothing is said that of the base counts; a user that is not said
    /// is the base's, or [`NOBODY`] when that is root.
    pub config: Config,
    /// Of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// All times in it, in seconds of Unix time: `SOURCE_DATE_EPOCH`, or 0.
    pub epoch: u64,
}

/// An image that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltImage {
    /// Of its manifest, with its platform: what an index has.
    pub manifest: Descriptor,
    /// Its layers without those of a base image, from below upwards.
    pub layers: Vec<Layer>,
}

impl Image {
    /// One with nothing in it.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            base: Base::Scratch,
            layers: Vec::new(),
            config: Config::default(),
            annotations: BTreeMap::new(),
            epoch: 0,
        }
    }

    /// Writes its blobs; its index entry is [`Layout::enter`]'s.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when something of it cannot be read, or the layout cannot be written.
    pub fn write(
        &self,
        layout: &Layout,
        cache: Option<&LayerCache>,
    ) -> Result<BuiltImage, ImageError> {
        let created = rfc3339(self.epoch);
        let mut config = ImageConfig {
            created: Some(created.clone()),
            architecture: self.platform.architecture.clone(),
            os: self.platform.os.clone(),
            config: Config::default(),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
            history: Vec::new(),
        };
        let mut annotations = self.annotations.clone();
        let mut blobs = Vec::new();
        if let Base::Image(base) = &self.base {
            self.stand_on(base, layout, &mut config, &mut blobs)?;
            let digest = base.descriptor().digest.to_string();
            annotations.entry(annotation::BASE_DIGEST.to_owned()).or_insert(digest);
        }
        let mut layers = Vec::new();
        for (word, tree) in self.own_layers() {
            let layer = Layer::write(layout, cache, tree, self.epoch)?;
            config.rootfs.diff_ids.push(layer.diff_id.clone());
            config.history.push(History {
                created: Some(created.clone()),
                created_by: Some(format!("updraft build: {word}")),
                empty_layer: false,
            });
            blobs.push(layer.descriptor.clone());
            layers.push(layer);
        }
        config.config = overlaid(config.config, &self.config);
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::MANIFEST.to_owned(),
            artifact_type: None,
            config: layout.put_document(media::CONFIG, &config)?,
            layers: blobs,
            subject: None,
            annotations,
        };
        let mut manifest = layout.put_document(media::MANIFEST, &manifest)?;
        manifest.platform = Some(self.platform.clone());
        Ok(BuiltImage { manifest, layers })
    }

    fn own_layers(&self) -> impl Iterator<Item = (&str, &Tree)> {
        let base = match &self.base {
            Base::Files(tree) => Some(("base", tree)),
            Base::Scratch | Base::Image(_) => None,
        };
        let above = self.layers.iter().map(|(word, tree)| (word.as_str(), tree));
        base.into_iter().chain(above).filter(|(_, tree)| !tree.is_empty())
    }

    fn stand_on(
        &self,
        base: &StoredImage,
        layout: &Layout,
        config: &mut ImageConfig,
        blobs: &mut Vec<Descriptor>,
    ) -> Result<(), ImageError> {
        if base.platform() != self.platform {
            return Err(ImageError::Platform {
                image: base.descriptor().digest.clone(),
                wanted: self.platform.clone(),
                known: base.platform().to_string(),
            });
        }
        for blob in &base.manifest().layers {
            let media_type = match blob.media_type.as_str() {
                // The same bytes by another name.
                media::DOCKER_LAYER_GZIP => media::LAYER_GZIP,
                known @ (media::LAYER | media::LAYER_GZIP | media::LAYER_ZSTD) => known,
                other => {
                    return Err(ImageError::Unfit {
                        digest: base.descriptor().digest.clone(),
                        why: format!("its layer {} is of the kind {other}", blob.digest),
                    });
                }
            };
            layout.take(base.layout(), blob).map_err(LayerError::from)?;
            blobs.push(Descriptor::new(media_type, blob.digest.clone(), blob.size));
        }
        config.config = base.config().config.clone();
        config.rootfs.diff_ids.clone_from(&base.config().rootfs.diff_ids);
        config.history.clone_from(&base.config().history);
        Ok(())
    }
}

/// The configuration of a base with what is said over it.
fn overlaid(base: Config, ours: &Config) -> Config {
    let mut config = base;
    for variable in &ours.env {
        let name = variable.split('=').next().unwrap_or_default();
        config.env.retain(|known| known.split('=').next() != Some(name));
        config.env.push(variable.clone());
    }
    if !ours.entrypoint.is_empty() {
        // The base's arguments are for the base's program.
        config.entrypoint.clone_from(&ours.entrypoint);
        config.cmd.clear();
    }
    if !ours.cmd.is_empty() {
        config.cmd.clone_from(&ours.cmd);
    }
    config.user = ours.user.clone().or(config.user.filter(|user| !is_root(user)));
    config.user.get_or_insert_with(|| format!("{}:{}", NOBODY.uid, NOBODY.gid));
    config.working_dir = ours.working_dir.clone().or(config.working_dir);
    config.stop_signal = ours.stop_signal.clone().or(config.stop_signal);
    config.exposed_ports.extend(ours.exposed_ports.clone());
    config.volumes.extend(ours.volumes.clone());
    config.labels.extend(ours.labels.clone());
    config
}

fn is_root(user: &str) -> bool {
    matches!(user.split(':').next(), Some("" | "0" | "root"))
}

fn rfc3339(epoch: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(epoch.min(EPOCH_MOST));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
