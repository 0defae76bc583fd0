//! One table of versions: a member names a dependency, the workspace its version.

use std::fs;

use anyhow::{Context, Result};

use super::Tree;
use crate::tidy::Finding;

const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn findings(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for member in tree.members() {
        let file = &member.manifest_path;
        let text = fs::read_to_string(file).with_context(|| format!("{file} could not be read"))?;
        for text in judge(&text).with_context(|| format!("{file} could not be understood"))? {
            findings.push(Finding::of(member.name.to_string(), text));
        }
    }
    Ok(findings)
}

fn judge(manifest: &str) -> Result<Vec<String>> {
    let table: toml::Table = manifest.parse()?;
    let platforms = table.get("target").and_then(toml::Value::as_table);
    let per_platform = platforms.into_iter().flatten().filter_map(|(_, it)| it.as_table());
    let mut findings = Vec::new();
    for part in std::iter::once(&table).chain(per_platform) {
        for section in SECTIONS {
            for (name, wanted) in
                part.get(*section).and_then(|it| it.as_table()).into_iter().flatten()
            {
                if !inherits(wanted) {
                    findings.push(format!(
                        "[{section}] {name} has a version of its own; write `{name}.workspace = true`"
                    ));
                }
            }
        }
    }
    if !table.get("lints").is_some_and(inherits) {
        findings.push(
            "the workspace's lints are not inherited; add `[lints] workspace = true`".to_owned(),
        );
    }
    Ok(findings)
}

fn inherits(value: &toml::Value) -> bool {
    value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_beside_the_table_is_found() {
        for (manifest, expected) in [
            ("[lints]\nworkspace = true", 0),
            ("[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true", 0),
            (
                "[lints]\nworkspace = true\n[dependencies]\nserde = { workspace = true, features = ['rc'] }",
                0,
            ),
            ("", 1),
            ("[lints]\nworkspace = true\n[dependencies]\nserde = '1'", 1),
            ("[lints]\nworkspace = true\n[dev-dependencies]\nserde = { version = '1' }", 1),
            ("[lints]\nworkspace = true\n[target.'cfg(unix)'.build-dependencies]\ncc = '1'", 1),
        ] {
            assert_eq!(judge(manifest).unwrap().len(), expected, "{manifest}");
        }
    }
}
