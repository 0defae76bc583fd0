//! What may not come in: a second TLS or HTTP stack, and a second major version of a
//! crate that we use ourselves. The names and their reasons are in `deny.toml`, which
//! cargo-deny reads too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::semver::Version;

use super::Tree;
use crate::repository;
use crate::tidy::Finding;

/// Providers of cryptography for rustls; two of them would be linked side by side.
const TLS_PROVIDERS: &[&str] = &["ring", "aws-lc-rs", "rustls-openssl", "rustls-graviola"];

/// The HTTP stack is hyper, in this major version.
const HYPER_MAJOR: u64 = 1;

/// What may be there twice although we use it: compilers' tools that every derive macro of
/// the tree brings in the version it was written for, and that no program holds.
const BUILD_ONLY: &[&str] = &["syn"];

/// What is there twice because a feature of ours needs a crate that is a version ahead, and too
/// small to be worth doing without it: `object_store`'s S3 half brings the second base64.
const AHEAD: &[&str] = &["base64"];

fn is_excused(name: &str) -> bool {
    BUILD_ONLY.contains(&name) || AHEAD.contains(&name)
}

/// The part of `deny.toml` that these checks read.
pub(super) struct DenyList {
    pub(super) licences: BTreeSet<String>,
    banned: BTreeMap<String, String>,
}

impl DenyList {
    pub(super) fn load() -> Result<Self> {
        let file = repository::root().join("deny.toml");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} could not be read", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} could not be understood", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let allowed = table
            .get("licenses")
            .and_then(|licences| licences.get("allow")?.as_array())
            .context("licenses.allow is missing")?;
        let denied = table
            .get("bans")
            .and_then(|bans| bans.get("deny")?.as_array())
            .context("bans.deny is missing")?;
        let mut banned = BTreeMap::new();
        for entry in denied {
            let word = |key| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            let name = word("crate").context("an entry of bans.deny has no `crate`")?;
            let reason = word("reason").with_context(|| format!("`{name}` has no `reason`"))?;
            banned.insert(name, reason);
        }
        let licences = allowed.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
        Ok(Self { licences, banned })
    }
}

pub(super) fn findings(tree: &Tree, deny: &DenyList) -> Vec<Finding> {
    let packages: Vec<Used> = tree
        .outsiders()
        .map(|package| Used { name: package.name.to_string(), version: package.version.clone() })
        .collect();
    let direct = tree.direct_edges().into_iter().map(|edge| edge.to).collect();
    judge(&packages, &direct, deny)
}

struct Used {
    name: String,
    version: Version,
}

fn judge(packages: &[Used], direct: &BTreeSet<String>, deny: &DenyList) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut majors: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for Used { name, version } in packages {
        if let Some(reason) = deny.banned.get(name) {
            findings.push(Finding::of(name, format!("the crate is banned: {reason}")));
        }
        if name == "hyper" && version.major != HYPER_MAJOR {
            findings.push(Finding::of(name, format!("version {version} is a second HTTP stack")));
        }
        majors.entry(name).or_default().insert(compatibility(version));
    }
    for (name, versions) in &majors {
        if direct.contains(*name) && versions.len() > 1 && !is_excused(name) {
            let list = versions.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
            let text = format!("we use it ourselves, and the tree holds versions {list}");
            findings.push(Finding::of(*name, text));
        }
    }
    let providers: Vec<_> =
        TLS_PROVIDERS.iter().copied().filter(|name| majors.contains_key(name)).collect();
    if providers.len() > 1 {
        findings
            .push(Finding::of("Cargo.lock", format!("two TLS stacks: {}", providers.join(", "))));
    }
    findings
}

/// What two versions share when one can stand for the other.
fn compatibility(version: &Version) -> String {
    match (version.major, version.minor) {
        (0, 0) => format!("0.0.{}", version.patch),
        (0, minor) => format!("0.{minor}"),
        (major, _) => major.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(list: &[(&str, &str)]) -> Vec<Used> {
        list.iter()
            .map(|(name, version)| Used {
                name: (*name).to_owned(),
                version: version.parse().unwrap(),
            })
            .collect()
    }

    #[test]
    fn each_ban_bites() {
        let deny = DenyList::load().unwrap();
        let direct: BTreeSet<String> = ["serde", "syn", "toml"].map(str::to_owned).into();
        for (packages, allowed) in [
            (&[("serde", "1.0.1"), ("hyper", "1.12.0"), ("ring", "0.17.0")][..], true),
            (&[("openssl-sys", "0.9.0")], false),
            (&[("native-tls", "0.2.0")], false),
            (&[("ureq", "3.0.0")], false),
            (&[("actix-web", "4.0.0")], false),
            (&[("hyper", "0.14.0")], false),
            (&[("ring", "0.17.0"), ("aws-lc-rs", "1.0.0")], false),
            (&[("toml", "0.9.0"), ("toml", "1.2.0")], false),
            (&[("toml", "1.0.0"), ("toml", "1.2.0")], true),
            (&[("syn", "2.0.0"), ("syn", "3.0.0")], true),
            (&[("hashbrown", "0.15.0"), ("hashbrown", "0.16.0")], true),
        ] {
            let findings = judge(&used(packages), &direct, &deny);
            assert_eq!(findings.is_empty(), allowed, "{packages:?}: {findings:?}");
        }
    }
}
