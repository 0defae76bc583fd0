//! What the image of a service stands on and holds.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a service's image is made of, beside what its build makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageSettings {
    /// What is below the service's own files.
    pub base: BaseImage,
    /// Files and folders of the service that its programs read, relative to the service.
    pub include: Vec<PathBuf>,
}

/// What is below the files of a service in its image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BaseImage {
    /// The loader, libraries and interpreters that the programs need, from the machine that
    /// builds.
    #[default]
    Closure,
    /// Nothing; the programs are static.
    Scratch,
    /// An image in an OCI layout on disk.
    Layout {
        /// The folder, relative to the manifest.
        folder: PathBuf,
        /// Which of its images; `None`: the only one.
        tag: Option<String>,
    },
    /// An image of a registry, known by its digest.
    Registry(String),
}

impl FromStr for BaseImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sound = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        match text {
            "closure" => return Ok(Self::Closure),
            "scratch" => return Ok(Self::Scratch),
            _ => {}
        }
        if let Some(place) = text.strip_prefix("oci:") {
            let (folder, tag) = match place.rsplit_once(':') {
                Some((folder, tag)) if !tag.contains('/') => (folder, Some(tag)),
                _ => (place, None),
            };
            if folder.is_empty() || tag.is_some_and(|tag| !sound(tag)) {
                return Err("an OCI layout is written `oci:FOLDER` or `oci:FOLDER:TAG`".to_owned());
            }
            let (folder, tag) = (PathBuf::from(folder), tag.map(str::to_owned));
            return Ok(Self::Layout { folder, tag });
        }
        let pinned = text.split_once("@sha256:").is_some_and(|(name, hex)| {
            sound(name)
                && hex.len() == 64
                && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        if pinned {
            return Ok(Self::Registry(text.to_owned()));
        }
        Err("write closure, scratch, oci:FOLDER, or REGISTRY/NAME@sha256:…: a base without \
             its digest could be another one tomorrow"
            .to_owned())
    }
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closure => f.write_str("closure"),
            Self::Scratch => f.write_str("scratch"),
            Self::Layout { folder, tag: None } => write!(f, "oci:{}", folder.display()),
            Self::Layout { folder, tag: Some(tag) } => write!(f, "oci:{}:{tag}", folder.display()),
            Self::Registry(reference) => f.write_str(reference),
        }
    }
}

impl TryFrom<String> for BaseImage {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BaseImage> for String {
    fn from(base: BaseImage) -> Self {
        base.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_written_as_it_is_read() {
        let digest = "a".repeat(64);
        let pinned = format!("registry.example/debian@sha256:{digest}");
        for text in ["closure", "scratch", "oci:bases/x", "oci:bases/x:12", pinned.as_str()] {
            assert_eq!(text.parse::<BaseImage>().unwrap().to_string(), text);
        }
        let short = format!("debian@sha256:{}", &digest[1..]);
        for text in ["", "debian", "debian:12", "oci:", "oci:x:", "docker://x", short.as_str()] {
            assert!(text.parse::<BaseImage>().is_err(), "{text}");
        }
    }
}
