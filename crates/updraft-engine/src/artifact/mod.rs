//! Artefacts: from what a build made to an image known by its digest, with what it is made of
//! and how it came about.

mod contents;
mod interpreter;
mod materials;
mod twice;
mod virtual_env;

use std::io;
use std::path::{Path, PathBuf};

use updraft_image::{
    Base, Bom, BuiltImage, Closure, ClosureError, Config, Host, Image, ImageError, LayerCache,
    Layout, Platform, SbomError, StoredImage, Surroundings, Tree, TreeError,
};
use updraft_system::{BaseImage, Build, Name, Service};

use crate::build::Built;
use contents::Contents;

pub use materials::Revision;
pub use twice::{CannotCompare, Comparison, Made, compare};

/// Where the files of a service are in its image, and where its programs start.
const HOME: &str = "/app";
/// Where programs are looked for behind the service's own.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What an image is to be made of.
#[derive(Debug)]
pub struct ArtifactRequest<'a> {
    /// The system.
    pub system: &'a Name,
    /// The service.
    pub service: &'a Service,
    /// The folder of the manifest.
    pub directory: &'a Path,
    /// What its build made.
    pub built: &'a Built,
    /// The image that it stands on, where the service names one.
    pub base: Option<StoredImage>,
    /// The time of everything in it, in seconds of Unix time: `SOURCE_DATE_EPOCH`, or 0.
    pub epoch: u64,
}

/// An image that was made.
#[derive(Debug)]
pub struct Artifact {
    /// Its manifest and its layers.
    pub image: BuiltImage,
    /// What it is made of.
    pub bom: Bom,
    /// What people should know of it, such as a shell that was put into it.
    pub notes: Vec<String>,
}

/// An image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file cannot be in it.
    #[error("service `{service}`: a file cannot be in its image")]
    File {
        /// The service.
        service: Name,
        /// Which, and why not.
        #[source]
        source: TreeError,
    },
    /// Its files cannot be listed.
    #[error("service `{service}`: cannot read {}", path.display())]
    Read {
        /// The service.
        service: Name,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Programs that it starts are nowhere.
    #[error("service `{service}`: {}", problems.join("\n"))]
    Programs {
        /// The service.
        service: Name,
        /// Each of them, and what to do.
        problems: Vec<String>,
    },
    /// Its programs would not run in it.
    #[error("service `{service}`: its programs would not run in the image")]
    Closure {
        /// The service.
        service: Name,
        /// What is missing.
        #[source]
        source: ClosureError,
    },
    /// The image cannot be written.
    #[error("service `{service}`: its image cannot be written")]
    Image {
        /// The service.
        service: Name,
        /// Why not.
        #[source]
        source: ImageError,
    },
    /// What it is made of cannot be told.
    #[error("service `{service}`: cannot tell what its image is made of")]
    Materials {
        /// The service.
        service: Name,
        /// Why not.
        #[source]
        source: SbomError,
    },
}

impl ArtifactRequest<'_> {
    /// Writes the image into `layout`.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`] with all that stands against it.
    pub fn write(
        &self,
        layout: &Layout,
        cache: Option<&LayerCache>,
    ) -> Result<Artifact, ArtifactError> {
        let service = || self.service.name.clone();
        let folder = self.directory.join(&self.service.path);
        let mut contents = Contents::gather(self.service, self.built, &folder)?;
        let host = Host::this();
        let (base, harvested) = self.base(&mut contents, &host)?;
        let mut image = Image::new(Platform::this());
        image.base = base;
        image.epoch = self.epoch;
        image.config = self.config(&contents);
        let bom = materials::bom(self, &folder, &harvested)?;
        contents.notes.extend(materials::gap(self, &folder));
        let layers = [("dependencies", contents.dependencies), ("application", contents.own)];
        image.layers = layers.map(|(word, tree)| (word.to_owned(), tree)).into();
        let written = image.write(layout, cache);
        let image =
            written.map_err(|source| ArtifactError::Image { service: service(), source })?;
        Ok(Artifact { image, bom, notes: contents.notes })
    }

    /// What is below the files of the service, and which of it comes from this machine.
    fn base(
        &self,
        contents: &mut Contents,
        host: &Host,
    ) -> Result<(Base, Vec<updraft_image::HarvestedFile>), ArtifactError> {
        let service = || self.service.name.clone();
        let unfit = |source| ArtifactError::Closure { service: service(), source };
        if let Some(base) = &self.base {
            return Ok((Base::Image(Box::new(base.clone())), Vec::new()));
        }
        let mut all = contents.interpreters.clone();
        for tree in [&contents.dependencies, &contents.own] {
            let merged = all.merge(tree.clone());
            merged.map_err(|source| ArtifactError::File { service: service(), source })?;
        }
        let programs: Vec<&str> = contents.programs.iter().map(String::as_str).collect();
        if self.service.image.base == BaseImage::Scratch {
            updraft_image::check_scratch(&all, &programs).map_err(unfit)?;
            let mut tree = Tree::default();
            let added = Surroundings::default().add_to(&mut tree, host).map_err(unfit)?;
            return Ok((Base::Files(tree), added));
        }
        let mut closure = Closure::of(&all, &programs, host).map_err(unfit)?;
        closure.surround(&Surroundings::default(), host).map_err(unfit)?;
        let mut harvested = closure.files().to_vec();
        harvested.extend(interpreter::harvested(&contents.interpreters, host).map_err(unfit)?);
        let mut tree = std::mem::take(&mut contents.interpreters);
        let merged = tree.merge(closure.into_tree());
        merged.map_err(|source| ArtifactError::File { service: service(), source })?;
        Ok((Base::Files(tree), harvested))
    }

    fn config(&self, contents: &Contents) -> Config {
        let own = contents.path.iter().map(String::as_str);
        let of_base = self.base.iter().flat_map(|base| &base.config().config.env);
        let of_base = of_base.filter_map(|variable| variable.strip_prefix("PATH=")).next_back();
        let path: Vec<&str> = own.chain([of_base.unwrap_or(SYSTEM_PATH)]).collect();
        let mut config = Config {
            env: vec![format!("PATH={}", path.join(":"))],
            cmd: contents.command.clone(),
            working_dir: Some(HOME.to_owned()),
            stop_signal: Some("SIGTERM".to_owned()),
            ..Config::default()
        };
        let title = format!("{}/{}", self.system, self.service.name);
        config.labels.insert(updraft_image::annotation::TITLE.to_owned(), title);
        config
    }
}

/// How a build is called where people read it.
pub(crate) fn preset(build: &Build) -> &'static str {
    match build {
        Build::None => "none",
        Build::Cargo => "cargo",
        Build::Node => "node",
        Build::Python => "python",
        Build::Command { .. } => "command",
    }
}
