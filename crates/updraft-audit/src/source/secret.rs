//! `I.secret`: no secret stands in a tracked file.
//!
//! A failure needs a proof: a checksum that is right, or a structure that decodes. What only
//! looks random is a warning. What is found is named by file, line and kind, and never shown.

mod address;
mod armour;
mod assignment;
mod aws;
mod checksum;
mod files;
mod randomness;
mod scan;
mod token;

use super::Tree;
use crate::seen::Seen;
use files::{Files, Origin};
use scan::{Found, Scanner, Weight};

/// So many findings stand in the report, and so many in its sentence.
const LISTED_MAX: usize = 50;
const NAMED_MAX: usize = 3;

/// Looks for secrets in the tracked files of the folder.
pub(super) fn look(tree: &Tree) -> Seen {
    let scanner = match Scanner::new() {
        Ok(scanner) => scanner,
        Err(problem) => return Seen::unknown(format!("the formats are not readable: {problem}")),
    };
    let mut files = Files::of(tree);
    let mut findings = Vec::new();
    while let Some((path, text)) = files.next_text() {
        for found in scanner.scan(&path, &text) {
            findings.push((path.clone(), found));
        }
    }
    findings.sort_by_key(|(_, found)| found.weight);
    let seen = judge(&files, &findings);
    seen.measured("files_read", f64::from(files.read))
        .measured("files_skipped", f64::from(files.skipped))
        .listing(
            "found",
            findings.iter().take(LISTED_MAX).map(|(path, found)| line(path, found)).collect(),
        )
}

fn judge(files: &Files, findings: &[(String, Found)]) -> Seen {
    let looked = looked(files);
    let grave = |(_, found): &&(String, Found)| found.weight != Weight::Info;
    let named: Vec<String> = findings
        .iter()
        .filter(grave)
        .take(NAMED_MAX)
        .map(|(path, found)| line(path, found))
        .collect();
    let count = findings.iter().filter(grave).count();
    let more = match count.saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let evidence = format!("{}{more} (in {looked})", named.join(", "));
    let first = findings.first();
    let seen = match first.map(|(_, found)| found.weight) {
        // Without a repository nothing is tracked: it can be a file that never will be.
        Some(Weight::Fail) if files.origin != Origin::Folder => Seen::fail(evidence),
        Some(Weight::Fail | Weight::Warn) => Seen::warn(evidence),
        _ if files.read == 0 => {
            return Seen::unknown(format!("there is nothing to look at: {looked}"));
        }
        _ if files.unread > 0 => {
            return Seen::unknown(format!(
                "no secret was found in {looked}, and {} files could not be read",
                files.unread
            ));
        }
        _ => return Seen::pass(format!("no secret of a known format in {looked}")),
    };
    match first {
        Some((path, found)) => seen.reproduced_by(format!(
            "sed -n {}p {}",
            found.line,
            shell_words::quote(&files.folder.join(path).to_string_lossy())
        )),
        None => seen,
    }
}

fn looked(files: &Files) -> String {
    let which = match files.origin {
        Origin::Tracked => "tracked files",
        Origin::Walked => "files that `.gitignore` does not name",
        Origin::Folder => "files, of which none is tracked without version control",
    };
    let skipped = match files.skipped {
        0 => String::new(),
        skipped => format!("; {skipped} binary or larger than 1 MiB skipped"),
    };
    format!("{} {which}{skipped}", files.read)
}

fn line(path: &str, found: &Found) -> String {
    format!("{path}:{}: {}", found.line, found.what)
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
