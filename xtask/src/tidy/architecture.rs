//! `ARCHITECTURE.md` promises that each invariant is held by something, and the page of proofs
//! that each promise of the chassis is. Here that something is looked for: a test by its name,
//! or a lint by its configuration.

use std::path::Path;

use super::{Finding, markdown};
use crate::repository::SourceFile;

/// Pages that promise, each with the section whose numbered rows are promises.
const PROMISES: &[(&str, &str)] =
    &[("ARCHITECTURE.md", "Invariants"), ("docs/reference/proofs.md", "Proofs")];

/// Where lints are configured.
const LINTS: &[&str] = &["Cargo.toml", "clippy.toml"];

pub(super) fn findings(files: &[SourceFile]) -> Vec<Finding> {
    PROMISES.iter().flat_map(|(page, section)| of_page(files, Path::new(page), section)).collect()
}

fn of_page(files: &[SourceFile], place: &Path, section: &str) -> Vec<Finding> {
    let page = files.iter().find(|file| file.path == place);
    let Some(text) = page.and_then(|page| page.text.as_deref()) else { return Vec::new() };
    let mut findings = Vec::new();
    for row in promises(text, section) {
        let holders = markdown::code_spans(row.holders);
        if holders.is_empty() {
            let text = "the last cell of a promise names the tests or lints that hold it";
            findings.push(Finding::at(place, row.number, text));
        }
        for holder in holders.into_iter().filter(|holder| !exists(holder, files)) {
            let text = format!("no test and no lint is called `{holder}`");
            findings.push(Finding::at(place, row.number, text));
        }
    }
    findings
}

struct Promise<'a> {
    number: usize,
    holders: &'a str,
}

/// The rows of the section's table: those that begin with a number.
fn promises<'a>(page: &'a str, section: &str) -> Vec<Promise<'a>> {
    let mut inside = false;
    let mut promises = Vec::new();
    for line in markdown::prose(page) {
        if line.text.starts_with('#') {
            inside = line.text.trim_start_matches('#').trim() == section;
        }
        let cells: Vec<&str> = line.text.trim().trim_matches('|').split('|').collect();
        if let (true, [number, .., holders]) = (inside, cells.as_slice())
            && number.trim().parse::<u32>().is_ok()
        {
            promises.push(Promise { number: line.number, holders });
        }
    }
    promises
}

/// Whether a test function (its path may stand before it) or a lint has this name.
fn exists(holder: &str, files: &[SourceFile]) -> bool {
    let name = holder.rsplit("::").next().unwrap_or(holder);
    files.iter().any(|file| {
        let text = file.text.as_deref().unwrap_or_default();
        let is_lint = LINTS.iter().any(|lints| file.path == Path::new(lints));
        (file.extension() == "rs" && has_test(text, name))
            || (is_lint
                && (text.contains(&format!("\n{name} ="))
                    || text.contains(&format!("\"{holder}\""))))
    })
}

/// A function of that name, with the attribute of a test shortly before it.
fn has_test(text: &str, name: &str) -> bool {
    const ATTRIBUTES_MAX: usize = 4;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        line.split_once("fn ").is_some_and(|(_, rest)| {
            rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '<']))
        })
    };
    lines.iter().enumerate().any(|(at, line)| {
        let before = &lines[at.saturating_sub(ATTRIBUTES_MAX)..at];
        let tested = before.iter().any(|line| line.starts_with("#[") && line.contains("test"));
        tested && declares(line)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_promise_without_a_test_is_found() {
        for (row, expected) in [
            ("| 1 | It holds. | `real::it_holds` |", 0),
            ("| 1 | It holds. | `it_holds`, the lint `unsafe_code` |", 0),
            ("| 1 | It holds. | `tokio::sync::mpsc::unbounded_channel` |", 0),
            ("| 1 | It `holds`. | `it_is_gone` |", 1),
            ("| 1 | It holds. | `a_plain_function` |", 1),
            ("| 1 | It `holds`. | |", 1),
            ("| 1 | It `holds`. | somebody |", 1),
            ("| 1 | It holds. | `it_holds` |\n| 2 | So does `this`. | |", 1),
        ] {
            let page = format!(
                "# Architecture\n\n## Invariants\n\n| # | invariant | held by |\n|---|---|---|\n{row}\n\n## After\n\n| 1 | none | |\n"
            );
            let files = [
                ("ARCHITECTURE.md", page.as_str()),
                ("src/real.rs", "#[test]\nfn it_holds() {}\n\n\n\n\nfn a_plain_function() {}\n"),
                ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"),
                ("clippy.toml", "{ path = \"tokio::sync::mpsc::unbounded_channel\" }\n"),
            ]
            .map(|(path, text)| SourceFile {
                path: PathBuf::from(path),
                text: Some(text.to_owned()),
            });
            let findings = findings(&files);
            assert_eq!(findings.len(), expected, "{row}: {findings:?}");
        }
    }
    #[test]
    fn the_page_of_proofs_is_held_to_its_word() {
        for (row, expected) in
            [("| 1 | It holds. | `it_holds` |", 0), ("| 1 | It holds. | `it_is_gone` |", 1)]
        {
            let page = format!("# Proofs\n\n| # | proof | held by |\n|---|---|---|\n{row}\n");
            let files = [
                ("docs/reference/proofs.md", page.as_str()),
                ("src/real.rs", "#[test]\nfn it_holds() {}\n"),
            ]
            .map(|(path, text)| SourceFile {
                path: PathBuf::from(path),
                text: Some(text.to_owned()),
            });
            assert_eq!(findings(&files).len(), expected, "{row}");
        }
    }
}
