//! Every link of a page to another file of the repository leads somewhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Finding, markdown};
use crate::repository::SourceFile;

pub(super) fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let known: BTreeMap<&Path, &SourceFile> =
        files.iter().map(|file| (file.path.as_path(), file)).collect();
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| file.extension() == "md") {
        for line in markdown::prose(page.text.as_deref().unwrap_or_default()) {
            for target in markdown::targets(line.text) {
                if let Err(reason) = follow(page, target, &known) {
                    let text = format!("the link `{target}` leads nowhere: {reason}");
                    findings.push(Finding::at(&page.path, line.number, text));
                }
            }
        }
    }
    findings
}

fn follow(
    page: &SourceFile,
    target: &str,
    known: &BTreeMap<&Path, &SourceFile>,
) -> Result<(), String> {
    let outside = target.contains("://") || target.starts_with("mailto:");
    if outside {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(p, a)| (p, Some(a)));
    let end = if path.is_empty() { page.path.clone() } else { resolve(&page.path, path)? };
    let is_folder = known.keys().any(|file| file.starts_with(&end) && **file != end);
    let file = known.get(end.as_path());
    if file.is_none() && !is_folder {
        return Err(format!("there is no {}", end.display()));
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let anchors = file.and_then(|file| file.text.as_deref()).map(markdown::anchors);
    match anchors {
        Some(anchors) if anchors.iter().any(|known| known == anchor) => Ok(()),
        _ => Err(format!("{} has no heading for #{anchor}", end.display())),
    }
}

/// The path that a relative link means, from the root of the repository.
fn resolve(page: &Path, link: &str) -> Result<PathBuf, String> {
    let mut path = page.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(link).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err("it leaves the repository".to_owned());
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_lead_somewhere_pass() {
        let file = |path: &str, text: &str| SourceFile {
            path: PathBuf::from(path),
            text: Some(text.to_owned()),
        };
        for (link, expected) in [
            ("../README.md", 0),
            ("../README.md#the-idea", 0),
            ("../README.md#no-idea", 1),
            ("#here", 0),
            ("#there", 1),
            ("other.md", 1),
            ("../src", 0),
            ("../src/", 0),
            ("../../outside.md", 1),
            ("/etc/passwd", 1),
            ("https://example.com/x", 0),
        ] {
            let files = [
                file("README.md", "# The idea\n"),
                file("src/main.rs", ""),
                file("docs/page.md", &format!("## Here\n\n[x]({link})\n")),
            ];
            let findings = findings(&files);
            assert_eq!(findings.len(), expected, "{link}: {findings:?}");
        }
    }
}
