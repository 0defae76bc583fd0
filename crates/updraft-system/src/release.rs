//! Release records: what was built, what it is configured with, and where that came from.
//!
//! A release never changes (factor V of the twelve factors). Its record names everything by
//! content, so that the same number is the same thing for ever, and holds no value of the
//! configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ConfigType, Name};

/// The number of a release: from 1, never used twice in a store, whatever the deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseNumber(NonZeroU64);

/// The text is not a [`ReleaseNumber`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the number of a release: write a whole number from 1, such as `42`")]
pub struct InvalidReleaseNumber(String);

/// `sha256:` and 64 hexadecimal digits in lower case: a digest as the OCI image specification
/// writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

/// The text is not a [`Sha256`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: write `sha256:` and 64 hexadecimal digits in lower case")]
pub struct InvalidSha256(String);

/// One release: build, configuration and resources of one deploy, under a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub number: ReleaseNumber,
    /// The deploy that it is for.
    pub deploy: Name,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it, as `user@host`.
    pub who: String,
    /// What was built, by service.
    pub builds: BTreeMap<Name, Artifact>,
    /// The snapshot of the configuration; `None`: no value was set in this deploy.
    pub config: Option<Snapshot>,
    /// Where the resources are that are bound, by resource, as addresses without user and
    /// query; the whole address is in the snapshot. One that is absent is for whoever runs
    /// the release to bind.
    pub resources: BTreeMap<Name, String>,
    /// The manifest that it was made from.
    pub manifest: ManifestText,
    /// The release that was current in the deploy before; `None`: it is the first.
    pub parent: Option<ReleaseNumber>,
    /// Where its content comes from.
    pub origin: Origin,
    /// What its maker wrote about it.
    pub note: Option<String>,
}

/// What was built of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The digest of the image's OCI manifest.
    pub digest: Sha256,
    /// The commit of the source; `None`: unknown.
    pub commit: Option<String>,
    /// The source differed from that commit.
    pub dirty: bool,
}

/// A version of the values that are set in a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its number in the deploy, from 1.
    pub version: NonZeroU64,
    /// The digest of its content, into which random bytes are mixed: it tells nothing about
    /// the values.
    pub digest: Sha256,
}

/// The text of a manifest, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestText {
    /// The digest of the text.
    pub digest: Sha256,
    /// How it is to be read.
    pub form: ManifestForm,
}

/// How the text of a manifest is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ManifestForm {
    /// `updraft.toml`.
    Toml,
    /// A `Procfile`, which does not say the system's name.
    Procfile {
        /// The system's name.
        system: Name,
    },
}

/// Where the content of a release comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Origin {
    /// It was built.
    Built,
    /// All of it is that of an earlier release of the same deploy.
    Rollback {
        /// That release.
        of: ReleaseNumber,
    },
    /// Builds and manifest are those of a release of another deploy.
    Promoted {
        /// The other deploy.
        from: Name,
        /// Its release.
        of: ReleaseNumber,
    },
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// All of it.
    Plain,
    /// It is an address: all but its user, password and query.
    Address,
    /// Nothing.
    Secret,
}

impl Visibility {
    /// How much of a value of this type may be shown.
    pub fn of(shape: &ConfigType) -> Self {
        match shape {
            ConfigType::Secret => Self::Secret,
            ConfigType::Url => Self::Address,
            _ => Self::Plain,
        }
    }
}

impl ReleaseNumber {
    /// The first release of a store.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The number as an integer.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The one after this; the last one there can be has itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReleaseNumber {
    type Err = InvalidReleaseNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = if digits { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| InvalidReleaseNumber(text.to_owned()))
    }
}

impl Sha256 {
    const ALGORITHM: &'static str = "sha256:";
    const DIGITS: usize = 64;

    /// The digest whose 64 hexadecimal digits these are.
    ///
    /// # Errors
    ///
    /// [`InvalidSha256`] for anything else.
    pub fn of_hex(digits: &str) -> Result<Self, InvalidSha256> {
        format!("{}{digits}", Self::ALGORITHM).parse()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal digits alone.
    pub fn hex(&self) -> &str {
        &self.0[Self::ALGORITHM.len()..]
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Sha256 {
    type Err = InvalidSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let sound = text
            .strip_prefix(Self::ALGORITHM)
            .is_some_and(|hex| hex.len() == Self::DIGITS && hex.bytes().all(digit));
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidSha256(text.to_owned())) }
    }
}

impl TryFrom<String> for Sha256 {
    type Error = InvalidSha256;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built => f.write_str("built"),
            Self::Rollback { of } => write!(f, "rollback of {of}"),
            Self::Promoted { from, of } => write!(f, "promoted from {from} {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_way() {
        for text in ["1", "42", "18446744073709551615"] {
            assert_eq!(text.parse::<ReleaseNumber>().unwrap().to_string(), text);
        }
        for text in ["", "0", "042", "-1", "+1", "v1", "1.0", "18446744073709551616"] {
            assert!(text.parse::<ReleaseNumber>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<ReleaseNumber>("0").is_err());
    }

    #[test]
    fn a_digest_is_written_in_one_way() {
        let hex = "0123456789abcdef".repeat(4);
        let digest: Sha256 = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(digest.hex(), hex);
        assert_eq!(Sha256::of_hex(&hex).unwrap(), digest);
        let wrong = [hex.clone(), format!("sha512:{hex}"), format!("sha256:{}", &hex[1..])];
        for text in wrong.into_iter().chain([format!("sha256:{}", hex.to_uppercase())]) {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }
}
