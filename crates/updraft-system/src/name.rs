//! Names of systems, services, processes, tasks and resources.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A DNS label (RFC 1123): lower-case letters, digits and `-`, starting with a
/// letter, at most 63 bytes. It is safe in a path, a host name and, through
/// [`Name::to_env`], an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use lower-case letters, digits and `-`, start with a letter, end with a letter or digit, at most 63 characters"
)]
pub struct InvalidName(pub String);

impl Name {
    /// The longest name in bytes, as RFC 1123 has it for a label.
    pub const LENGTH_MAX: usize = 63;

    /// The process type that people's requests go to.
    pub fn web() -> Self {
        Self("web".to_owned())
    }

    /// What a resource's server goes by, where a service has process types.
    pub fn server() -> Self {
        Self("server".to_owned())
    }

    /// What a service's build goes by in the log.
    pub fn build() -> Self {
        Self("build".to_owned())
    }

    /// The deploy of this machine, which binds its resources itself.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// What the outside goes by where callers have names.
    pub fn ingress() -> Self {
        Self("ingress".to_owned())
    }

    /// What the gateway goes by in the log.
    pub fn gateway() -> Self {
        Self("gateway".to_owned())
    }

    /// What the access log goes by.
    pub fn access() -> Self {
        Self("access".to_owned())
    }

    /// What roll-outs go by in the log.
    pub fn roll_out() -> Self {
        Self("roll-out".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that `text` was probably meant to be: `My_Api` is `my-api`.
    pub fn mended(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        let parts = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
        let joined = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        let from_letter = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let cut = from_letter.get(..Self::LENGTH_MAX).unwrap_or(from_letter);
        cut.trim_end_matches('-').parse().ok()
    }

    /// The name as the stem of an environment variable: `price-list` is `PRICE_LIST`.
    pub fn to_env(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let sound = text.len() <= Self::LENGTH_MAX
            && text.bytes().all(inner)
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-');
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidName(text.to_owned())) }
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The one of `known` that `given` was probably meant to be.
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = given.chars().count();
    // Two short names differ by little even where they have nothing in common.
    let most = (length / 3).clamp(1, 3).min(length.saturating_sub(1));
    let part = |name: &str| 4 <= length && name.contains(given);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= most || part(name))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mended_name_is_a_name() {
        let long = "a-".repeat(40);
        let cases = [
            ("My_Api", Some("my-api")),
            ("  web.py ", Some("web-py")),
            ("2nd_try", Some("nd-try")),
            ("@scope/pkg", Some("scope-pkg")),
            ("--", None),
            ("42", None),
            ("", None),
            (&long, Some(&long[..Name::LENGTH_MAX])),
        ];
        for (text, expected) in cases {
            assert_eq!(Name::mended(text).as_ref().map(Name::as_str), expected, "{text}");
        }
    }
}
