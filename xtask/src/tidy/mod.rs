//! What no compiler checks: sizes, names, headings, words, links, and the promises of
//! `ARCHITECTURE.md`. Each rule is a function from files to findings.

mod architecture;
mod code;
mod links;
mod markdown;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{output, policy, repository};

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    text: String,
}

impl Finding {
    /// About a thing with a name.
    pub(crate) fn of(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }

    /// About a file.
    pub(crate) fn in_file(path: &Path, text: impl Into<String>) -> Self {
        Self::of(path.display().to_string(), text)
    }

    /// About a line of a file, counted from 1.
    pub(crate) fn at(path: &Path, line: usize, text: impl Into<String>) -> Self {
        Self::of(format!("{}:{line}", path.display()), text)
    }

    /// All of them, one per line.
    pub(crate) fn list(findings: &[Self]) -> String {
        findings.iter().map(|finding| format!("  {finding}\n")).collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Shows every finding of every rule.
pub(crate) fn run() -> Result<()> {
    let mut findings = file_findings()?;
    findings.extend(policy::findings()?);
    if !findings.is_empty() {
        output::line(Finding::list(&findings).trim_end());
        bail!("{} findings; each line above says where and what", findings.len());
    }
    Ok(())
}

fn file_findings() -> Result<Vec<Finding>> {
    let files = repository::files()?;
    let mut findings = code::findings(&files);
    findings.extend(words::findings(&files));
    findings.extend(links::findings(&files));
    findings.extend(architecture::findings(&files));
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = file_findings().unwrap();
        assert!(findings.is_empty(), "\n{}", Finding::list(&findings));
    }
}
