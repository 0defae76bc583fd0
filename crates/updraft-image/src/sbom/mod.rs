//! What an image is made of, as CycloneDX 1.6 (ECMA-424): components from lock files and from
//! the packages of harvested libraries.
//!
//! No time and no place is in it, so equal contents give equal documents.

mod cargo;
mod node;
mod purl;
mod python;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, HarvestedFile};

pub use cargo::{CargoUse, cargo_components};
pub use node::npm_components;
pub use python::{poetry_components, requirements_components, uv_components};

/// The largest lock file that is read, in bytes.
pub const LOCK_MOST: usize = 64 << 20;

/// The most components of one document.
const COMPONENTS_MOST: usize = 200_000;

const TOOL: &str = "updraft";

/// A document of CycloneDX.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    bom_format: String,
    spec_version: String,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    tools: Tools,
    component: Component,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tools {
    components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    of: String,
    depends_on: BTreeSet<String>,
}

/// A thing that an image is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// `library`, `application` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// By what others in the document name it.
    #[serde(rename = "bom-ref", default, skip_serializing_if = "Option::is_none")]
    pub bom_ref: Option<String>,
    /// Such as `@scope` of npm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `required`, or `excluded` when it takes part in the build alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Of what was downloaded, or of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    /// What its authors say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<License>,
    /// Its package URL, where it is a package of a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Words of Updraft about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// A hash of a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash {
    /// Such as `SHA-256`.
    pub alg: String,
    /// In hexadecimal digits.
    pub content: String,
}

/// A licence, in one of the ways that CycloneDX has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum License {
    /// An expression of SPDX.
    Expression {
        /// Such as `MIT OR Apache-2.0`.
        expression: String,
    },
    /// In the authors' own words.
    Named {
        /// The words.
        license: LicenseName,
    },
}

/// The name of a licence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LicenseName {
    /// As its authors write it.
    pub name: String,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Property {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Components of a lock file, and which of them need which others, by `bom-ref`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Components {
    /// The components.
    pub components: Vec<Component>,
    /// What each of them needs.
    pub needs: BTreeMap<String, BTreeSet<String>>,
}

/// A lock file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// It is larger than is read.
    #[error("{file} has more than {LOCK_MOST} bytes")]
    TooLarge {
        /// Which kind of file.
        file: &'static str,
    },
    /// It has another shape.
    #[error("{file} cannot be read: {why}")]
    Shape {
        /// Which kind of file.
        file: &'static str,
        /// Where and why.
        why: String,
    },
    /// There is no such package in it.
    #[error("{file} has no package `{package}`")]
    NoPackage {
        /// Which kind of file.
        file: &'static str,
        /// The package.
        package: String,
    },
    /// The document would be larger than anybody reads.
    #[error("more than {COMPONENTS_MOST} components")]
    TooMany,
}

impl Bom {
    /// The document of an application.
    ///
    /// Components are sorted; what several parts have is there once.
    ///
    /// # Errors
    ///
    /// [`SbomError::TooMany`].
    pub fn of(
        name: &str,
        version: Option<&str>,
        parts: Vec<Components>,
    ) -> Result<Self, SbomError> {
        let mut components: BTreeMap<String, Component> = BTreeMap::new();
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for part in parts {
            for component in part.components {
                let key = component.bom_ref.clone().unwrap_or_default();
                let known = components.entry(key).or_insert_with(|| component.clone());
                // What one part builds with, another may run with.
                if component.scope.as_deref() == Some("required") {
                    known.scope = component.scope;
                }
                if components.len() > COMPONENTS_MOST {
                    return Err(SbomError::TooMany);
                }
            }
            for (of, on) in part.needs {
                needs.entry(of).or_default().extend(on);
            }
        }
        let known = |it: &String| components.contains_key(it);
        let dependencies = needs.into_iter().filter(|(of, _)| known(of)).map(|(of, on)| {
            let depends_on = on.into_iter().filter(known).collect();
            Dependency { of, depends_on }
        });
        let mut bom = Self {
            bom_format: "CycloneDX".to_owned(),
            spec_version: "1.6".to_owned(),
            serial_number: String::new(),
            version: 1,
            metadata: Metadata {
                tools: Tools { components: vec![tool()] },
                component: application(name, version),
            },
            dependencies: dependencies.collect(),
            components: components.into_values().collect(),
        };
        bom.serial_number = serial(&bom.to_json());
        Ok(bom)
    }

    /// What it is made of, sorted by `bom-ref`.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The document as compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and lists of them can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Component {
    fn library(purl: String, name: &str, version: &str) -> Self {
        Self {
            bom_ref: Some(purl.clone()),
            version: Some(version.to_owned()).filter(|it| !it.is_empty()),
            purl: Some(purl),
            scope: Some("required".to_owned()),
            ..Self::bare("library", name)
        }
    }

    fn bare(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            bom_ref: None,
            group: None,
            name: name.to_owned(),
            version: None,
            scope: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: None,
            properties: Vec::new(),
        }
    }
}

/// The components of files that were taken from the machine: their packages, and each file of
/// which no package says that it is its own, by itself.
pub fn harvested_components(files: &[HarvestedFile]) -> Components {
    let mut components: BTreeMap<String, Component> = BTreeMap::new();
    for file in files {
        let property = |name: &str, value: &str| Property {
            name: format!("updraft:{name}"),
            value: value.to_owned(),
        };
        let place = property("file", &format!("{} {}", file.path, file.digest));
        if let Some(package) = &file.package {
            let purl = purl::debian(package);
            let component = components.entry(purl.clone()).or_insert_with(|| Component {
                licenses: package.licences.iter().map(|name| named(name)).collect(),
                ..Component::library(purl, &package.name, &package.version)
            });
            component.properties.push(place);
        } else {
            let reference = format!("file:{}", file.path);
            let component = Component {
                bom_ref: Some(reference.clone()),
                scope: Some("required".to_owned()),
                hashes: vec![sha256(&file.digest)],
                properties: vec![property("owner", "unknown")],
                ..Component::bare("file", &file.path)
            };
            components.insert(reference, component);
        }
    }
    Components { components: components.into_values().collect(), needs: BTreeMap::new() }
}

fn tool() -> Component {
    Component {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Component::bare("application", TOOL)
    }
}

fn application(name: &str, version: Option<&str>) -> Component {
    Component {
        bom_ref: Some(format!("application:{name}")),
        version: version.map(str::to_owned),
        ..Component::bare("application", name)
    }
}

fn sha256(digest: &Digest) -> Hash {
    Hash { alg: "SHA-256".to_owned(), content: digest.hex().to_owned() }
}

/// A licence in the authors' words: an expression where it reads as one of SPDX.
fn licence(text: &str) -> Option<License> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    // How Cargo wrote "or" before it knew SPDX.
    let expression = text.replace('/', " OR ");
    let is_word = |word: &str| {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || ".-+:".contains(letter);
        !word.is_empty() && word.chars().all(allowed)
    };
    let spaced = expression.replace(['(', ')'], " ");
    let mut words = spaced.split_whitespace();
    let mut wants_name = true;
    let reads = words.all(|word| {
        let is_operator = matches!(word, "OR" | "AND" | "WITH");
        let fits = if wants_name { !is_operator && is_word(word) } else { is_operator };
        wants_name = !wants_name;
        fits
    });
    let is_known = !matches!(text, "UNLICENSED" | "UNKNOWN" | "NONE" | "NOASSERTION");
    if reads && !wants_name && is_known {
        let words: Vec<&str> = expression.split_whitespace().collect();
        return Some(License::Expression { expression: words.join(" ") });
    }
    Some(named(text))
}

fn named(name: &str) -> License {
    License::Named { license: LicenseName { name: name.to_owned() } }
}

/// A UUID of RFC 9562 version 8, from the document itself.
fn serial(document: &[u8]) -> String {
    let digest = Digest::of(document);
    let hex: Vec<char> = digest.hex().chars().take(32).collect();
    let mut text = String::from("urn:uuid:");
    for (at, digit) in hex.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(match at {
            12 => '8',
            16 => char::from_digit(8 | (digit.to_digit(16).unwrap_or_default() & 3), 16)
                .unwrap_or('8'),
            _ => digit,
        });
    }
    text
}

fn bounded<'a>(file: &'static str, text: &'a str) -> Result<&'a str, SbomError> {
    if text.len() > LOCK_MOST { Err(SbomError::TooLarge { file }) } else { Ok(text) }
}

fn shape(file: &'static str) -> impl Fn(&dyn std::fmt::Display) -> SbomError {
    move |why| SbomError::Shape { file, why: why.to_string() }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
