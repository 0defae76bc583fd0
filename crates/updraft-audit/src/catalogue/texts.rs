//! What a person reads about a probe.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::ProbeId;

/// One file for each factor.
const FILES: &[&str] = &[
    include_str!("I.toml"),
    include_str!("II.toml"),
    include_str!("III.toml"),
    include_str!("IV.toml"),
    include_str!("V.toml"),
    include_str!("VI.toml"),
    include_str!("VII.toml"),
    include_str!("VIII.toml"),
    include_str!("IX.toml"),
    include_str!("X.toml"),
    include_str!("XI.toml"),
    include_str!("XII.toml"),
    include_str!("S.toml"),
    include_str!("H.toml"),
    include_str!("A.toml"),
    include_str!("ID.toml"),
];

/// What a person reads about a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What should hold, as a short sentence.
    pub title: String,
    /// Why the probe exists: what goes wrong in production without it.
    pub why: String,
    /// What the text of the factor says (12factor.net).
    pub factor: String,
    /// How it looks, and what makes which verdict.
    pub how: String,
    /// What may mislead it, and what it does about that.
    pub limits: String,
    /// How to mend it, by language.
    pub mend: BTreeMap<Language, String>,
}

/// A language that a mend is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// JavaScript and TypeScript on Node.
    Node,
    /// Go.
    Go,
    /// Java and what runs beside it.
    Java,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Python, Self::Node, Self::Go, Self::Java];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Node => "Node",
            Self::Go => "Go",
            Self::Java => "Java",
        }
    }
}

/// The texts of all probes.
#[derive(Debug)]
pub struct Texts(BTreeMap<ProbeId, Text>);

impl Texts {
    /// The texts that this executable carries.
    pub fn carried() -> &'static Self {
        static CARRIED: LazyLock<Texts> = LazyLock::new(Texts::read);
        &CARRIED
    }

    /// That of one probe.
    #[must_use]
    pub fn of(&self, id: ProbeId) -> &Text {
        static NONE: LazyLock<Text> = LazyLock::new(Text::default);
        // A test sees to it that none is missing.
        self.0.get(&id).unwrap_or_else(|| &NONE)
    }

    /// These and no others, so that a test does not change with what is told.
    #[cfg(test)]
    pub(crate) const fn only(texts: BTreeMap<ProbeId, Text>) -> Self {
        Self(texts)
    }

    fn read() -> Self {
        let read = |file: &&str| toml::from_str::<BTreeMap<ProbeId, Text>>(file);
        Self(FILES.iter().filter_map(|file| read(file).ok()).flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::PROBES;

    #[test]
    fn every_file_can_be_read_and_belongs_to_its_factor() {
        for file in FILES {
            let texts = toml::from_str::<BTreeMap<ProbeId, Text>>(file);
            let texts = texts.unwrap_or_else(|error| panic!("{error}\nin\n{file}"));
            let mut factors: Vec<_> = texts.keys().map(|id| id.factor()).collect();
            factors.dedup();
            assert_eq!(factors.len(), 1, "{file}");
        }
    }

    #[test]
    fn every_probe_is_told_whole_and_in_five_languages() {
        for probe in PROBES {
            let text = Texts::carried().of(probe.id);
            for part in [&text.title, &text.why, &text.factor, &text.how, &text.limits] {
                assert!(!part.trim().is_empty(), "{}: {text:?}", probe.id);
            }
            for language in Language::ALL {
                let mend = text.mend.get(&language).map_or("", |mend| mend.trim());
                assert!(!mend.is_empty(), "{} in {}", probe.id, language.name());
            }
        }
    }
}
