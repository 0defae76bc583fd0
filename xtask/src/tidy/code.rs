//! Sizes, first lines and names of files.

use std::path::Path;

use super::Finding;
use crate::repository::SourceFile;

/// A longer file is several files.
const LINES_MAX: usize = 800;

/// `lib.rs` is a table of contents.
const LIB_LINES_MAX: usize = 150;

const MEASURED: &[&str] = &["rs", "py", "js", "css", "html", "sh", "md", "toml"];

/// A folder of cases, which nobody reads from top to bottom.
const CASES: &str = "corpus";

/// The only pages at the root; every other one belongs under `docs/`.
const ROOT_PAGES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "manager", "types", "traits"];

pub(super) fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(name(&file.path));
        if let Some(text) = &file.text {
            findings.extend(size(&file.path, file.extension(), text));
            if file.extension() == "rs" {
                findings.extend(first_line(&file.path, text));
                findings.extend(module_names(&file.path, text));
            }
        }
    }
    findings
}

fn size(path: &Path, extension: &str, text: &str) -> Option<Finding> {
    let most = if path.ends_with("src/lib.rs") { LIB_LINES_MAX } else { LINES_MAX };
    let lines = text.lines().count();
    let is_data = path.components().any(|part| part.as_os_str() == CASES);
    let too_long = MEASURED.contains(&extension) && !is_data && lines >= most;
    too_long
        .then(|| Finding::in_file(path, format!("{lines} lines; fewer than {most} are allowed")))
}

fn first_line(path: &Path, text: &str) -> Option<Finding> {
    let says_why = text.starts_with("//! ");
    (!says_why)
        .then(|| Finding::at(path, 1, "the file does not begin with `//! ` and why it exists"))
}

fn name(path: &Path) -> Option<Finding> {
    let at_root = path.parent().is_some_and(|parent| parent.as_os_str().is_empty());
    let full = path.file_name()?.to_str()?;
    if at_root && full.ends_with(".md") && !ROOT_PAGES.contains(&full) {
        return Some(Finding::in_file(path, "pages live under docs/; the root has five"));
    }
    let in_code = path.extension().is_some_and(|extension| extension == "rs" || extension == "py");
    let part = path.with_extension("");
    let empty = part
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .find(|part| EMPTY_NAMES.contains(part))?;
    in_code.then(|| Finding::in_file(path, format!("`{empty}` says nothing about what is inside")))
}

fn module_names(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split([' ', ';', '{']).collect();
        let declared = words.windows(2).find(|pair| pair[0] == "mod").map(|pair| pair[1]);
        let inline = line.trim_end().ends_with('{');
        if let Some(name) = declared.filter(|name| inline && EMPTY_NAMES.contains(name)) {
            let text = format!("`{name}` says nothing about what is inside");
            findings.push(Finding::at(path, number, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: PathBuf::from(path), text: Some(text.to_owned()) }
    }

    #[test]
    fn each_rule_bites_and_only_where_it_should() {
        let long = format!("//! Why.\n{}", "x\n".repeat(LINES_MAX - 1));
        let just_short = format!("//! Why.\n{}", "x\n".repeat(LINES_MAX - 2));
        let long_contents = format!("//! Why.\n{}", "x\n".repeat(LIB_LINES_MAX - 1));
        for (path, text, expected) in [
            ("src/a.rs", "//! Why.\nfn a() {}\n", 0),
            ("src/a.rs", "fn a() {}\n", 1),
            ("src/a.rs", "// Why.\n", 1),
            ("src/a.rs", &*long, 1),
            ("src/a.rs", &*just_short, 0),
            ("src/lib.rs", &*long_contents, 1),
            ("src/lib/other.rs", &*long_contents, 0),
            ("Cargo.lock", &*long, 0),
            ("src/utils.rs", "//! Why.\n", 1),
            ("src/helpers/mod.rs", "//! Why.\n", 1),
            ("src/a.rs", "//! Why.\nmod common {\n", 1),
            ("tools/misc.py", "", 1),
            ("NOTES.md", "", 1),
            ("README.md", "", 0),
            ("docs/NOTES.md", "", 0),
        ] {
            let findings = findings(&[file(path, text)]);
            assert_eq!(findings.len(), expected, "{path}: {findings:?}");
        }
    }
}
