//! How an image came about: a statement of in-toto with SLSA's predicate, signed in an
//! envelope of DSSE.
//!
//! It tells times and places, so it is about the image and never a part of it.

mod envelope;
mod key;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Digest;

pub use envelope::{Envelope, EnvelopeError, Signature};
pub use key::{KeyError, PublicKey, SigningKey};

/// The type of in-toto statements.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The type of SLSA's provenance of version 1.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// How `updraft build` builds; it defines what the parameters mean.
pub const BUILD_TYPE: &str = "https://example.invalid/updraft/build/v1";

/// Whoever builds on a machine of their own and signs with a key of their own: SLSA's level 1.
pub const LOCAL_BUILDER: &str = "https://example.invalid/updraft/builder/local";

/// An in-toto statement of version 1 with provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    pub predicate_type: String,
    /// What it says.
    pub predicate: Provenance,
}

/// A thing that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// Hexadecimal digits by algorithm, such as `sha256`.
    pub digest: BTreeMap<String, String>,
}

/// SLSA provenance of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// How it was done.
    pub run_details: RunDetails,
}

/// All that decides what is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What whoever asks can choose: service, preset, command, base, platform.
    pub external_parameters: BTreeMap<String, Value>,
    /// What the builder itself decides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub internal_parameters: BTreeMap<String, Value>,
    /// What went into it: the commit, the inputs, the base.
    pub resolved_dependencies: Vec<Resource>,
}

/// A thing with an address and a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is, such as `git+https://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Hexadecimal digits by algorithm: `gitCommit`, `sha256`, `blake3`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Words about it, such as that the working tree had changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// Who built it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who built it.
    pub builder: Builder,
    /// Which run of it.
    #[serde(default)]
    pub metadata: BuildMetadata,
    /// What else came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// Who built it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// Such as [`LOCAL_BUILDER`].
    pub id: String,
    /// Versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run of the builder it was. Times are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuildMetadata {
    /// The run's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<String>,
}

impl Statement {
    /// That an image came about by a build here, with these parameters.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use updraft_image::{Digest, PublicKey, Resource, SigningKey, Statement};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("key.pem");
    /// let key = SigningKey::open(&path)?;
    /// let commit = Resource::git("https://host.invalid/shop", "5d8f…");
    /// let statement = Statement::of("shop/orders", &Digest::of(b""), BTreeMap::new(), vec![commit]);
    /// let envelope = key.sign(&statement)?;
    /// assert_eq!(envelope.verify(&[key.public()])?, statement);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(
        name: &str,
        image: &Digest,
        parameters: BTreeMap<String, Value>,
        resolved: Vec<Resource>,
    ) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), image.hex().to_owned())]);
        let version =
            BTreeMap::from([("updraft".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject { name: name.to_owned(), digest }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Provenance {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters: parameters,
                    internal_parameters: BTreeMap::new(),
                    resolved_dependencies: resolved,
                },
                run_details: RunDetails {
                    builder: Builder { id: LOCAL_BUILDER.to_owned(), version },
                    metadata: BuildMetadata::default(),
                    byproducts: Vec::new(),
                },
            },
        }
    }

    /// With the time in which the build ran.
    #[must_use]
    pub fn ran(mut self, started: SystemTime, finished: SystemTime) -> Self {
        let metadata = &mut self.predicate.run_details.metadata;
        metadata.started_on = Some(rfc3339(started));
        metadata.finished_on = Some(rfc3339(finished));
        self
    }

    /// Whether it is about that image.
    pub fn is_about(&self, image: &Digest) -> bool {
        let has = |it: &Subject| it.digest.get("sha256").is_some_and(|hex| hex == image.hex());
        self.subject.iter().any(has)
    }
}

impl Resource {
    /// A commit of a repository.
    pub fn git(repository: &str, commit: &str) -> Self {
        Self {
            uri: Some(format!("git+{repository}")),
            digest: BTreeMap::from([("gitCommit".to_owned(), commit.to_owned())]),
            ..Self::default()
        }
    }

    /// Something that went in, by its digest under an algorithm such as `sha256`.
    pub fn input(name: &str, algorithm: &str, hex: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            digest: BTreeMap::from([(algorithm.to_owned(), hex.to_owned())]),
            ..Self::default()
        }
    }
}

/// The last second that RFC 3339 can write, the end of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

fn rfc3339(time: SystemTime) -> String {
    let time = time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST);
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
