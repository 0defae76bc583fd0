//! The documents of the OCI Image Format Specification 1.1, as far as they are written here.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Digest;

/// Media types.
pub mod media {
    /// An image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An index of manifests.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The configuration of an image.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer: a tar archive, compressed by gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer: a tar archive as it is.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer: a tar archive, compressed by Zstandard.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// What Docker calls a layer that is a tar archive, compressed by gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// What Docker calls a manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// What Docker calls an index of manifests.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The configuration of an artefact that has none.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
}

/// Keys of annotations and labels.
pub mod annotation {
    /// The name of a manifest in the index of a layout.
    pub const NAME: &str = "org.opencontainers.image.ref.name";
    /// When it was made, RFC 3339.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// What it is called.
    pub const TITLE: &str = "org.opencontainers.image.title";
    /// The version of what is packed.
    pub const VERSION: &str = "org.opencontainers.image.version";
    /// The commit that it is built from.
    pub const REVISION: &str = "org.opencontainers.image.revision";
    /// Where its source is.
    pub const SOURCE: &str = "org.opencontainers.image.source";
    /// The digest of the image that it is built on.
    pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
    /// The name of the image that it is built on.
    pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
}

/// What a content is, how large, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What it runs on, for a manifest in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artefact a manifest describes, in a list of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Words about it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Of so many bytes with that digest, and nothing else said.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// What an image runs on, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

impl Platform {
    /// What this machine is.
    pub fn this() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: std::env::consts::OS.to_owned() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// The layers of an image and its configuration, or the parts of another artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media::MANIFEST`].
    #[serde(default)]
    pub media_type: String,
    /// What kind of artefact it is, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's configuration.
    pub config: Descriptor,
    /// From the base upwards.
    #[serde(default, deserialize_with = "given")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this artefact is about: it is a referrer of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Words about it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`media::INDEX`].
    #[serde(default)]
    pub media_type: String,
    /// The manifests.
    #[serde(default, deserialize_with = "given")]
    pub manifests: Vec<Descriptor>,
}

/// The configuration of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
    /// How it is run.
    #[serde(default, deserialize_with = "given")]
    pub config: Config,
    /// What its root file system is made of.
    pub rootfs: RootFs,
    /// Where each layer comes from.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How an image is run, where nobody says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// `user` or `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Further arguments, which whoever runs it may replace.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// The folder that it starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Ports that it listens on, such as `8080/tcp`; the values are empty objects.
    #[serde(deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// Folders that it writes to; the values are empty objects.
    #[serde(deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Value>,
    /// Words about it.
    #[serde(deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Such as `SIGTERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// The layers of a root file system, by the digests of what is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each layer before compression, from the base upwards.
    #[serde(default, deserialize_with = "given")]
    pub diff_ids: Vec<Digest>,
}

/// Where a layer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// There is no layer to this step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// Tools in Go write `null` for lists and maps with nothing in them.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_in_go_write_for_nothing_is_read_as_nothing() {
        let config = r#"{ "architecture": "amd64", "os": "linux", "variant": "v8",
            "config": { "User": "", "Env": null, "Entrypoint": null, "Cmd": ["/bin/sh"],
                "Labels": null, "Volumes": null, "OnBuild": null, "ExposedPorts": { "80/tcp": {} } },
            "rootfs": { "type": "layers", "diff_ids": null }, "history": null }"#;
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        assert_eq!(config.config.cmd, ["/bin/sh"]);
        assert!(config.config.env.is_empty() && config.rootfs.diff_ids.is_empty());
        assert!(config.config.exposed_ports.contains_key("80/tcp"));
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains(r#""ExposedPorts":{"80/tcp":{}}"#), "{written}");
        let index: Index = serde_json::from_str(r#"{"schemaVersion":2,"manifests":null}"#).unwrap();
        assert!(index.manifests.is_empty());
    }
}
