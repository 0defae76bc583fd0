//! Which server programs this machine has, and of which version.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where server programs are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    directories: Vec<PathBuf>,
}

/// Folders that hold servers and are often not in a person's `PATH`.
const SERVER_FOLDERS: [&str; 5] =
    ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"];

/// Parents of folders with one version of PostgreSQL each, and how those begin and go on:
/// Debian, Red Hat (PGDG), Homebrew on ARM and Intel.
const POSTGRES_PARENTS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

impl Programs {
    /// The folders of `PATH`, then those where systems put servers.
    pub fn of_this_machine() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        directories.extend(SERVER_FOLDERS.map(PathBuf::from));
        for (parent, start) in POSTGRES_PARENTS {
            let Ok(entries) = std::fs::read_dir(parent) else { continue };
            let named = |name: &OsStr| {
                name.to_str().is_some_and(|name| {
                    name.strip_prefix(start).is_some_and(|rest| rest.parse::<u32>().is_ok())
                })
            };
            let mut versions: Vec<PathBuf> = entries
                .flatten()
                .filter(|entry| named(&entry.file_name()))
                .map(|entry| entry.path().join("bin"))
                .collect();
            versions.sort();
            directories.extend(versions);
        }
        Self::in_directories(directories)
    }

    /// These folders and no others.
    pub fn in_directories(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// The first program of that name.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        self.directories.iter().map(|folder| folder.join(program)).find(|path| is_program(path))
    }

    /// The folders that hold all of `programs`, each once, links followed.
    pub(crate) fn folders_with(&self, programs: &[&str]) -> Vec<PathBuf> {
        let mut seen = BTreeSet::new();
        let first = programs.first().copied().unwrap_or_default();
        self.directories
            .iter()
            .filter_map(|folder| {
                folder.join(first).canonicalize().ok()?.parent().map(Path::to_owned)
            })
            .filter(|folder| programs.iter().all(|program| is_program(&folder.join(program))))
            .filter(|folder| seen.insert(folder.clone()))
            .collect()
    }
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

/// The version that `program --version` tells: the first word in what it prints that
/// starts with digits and a full stop.
pub(crate) fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    find_version(&String::from_utf8_lossy(&output.stdout))
}

fn find_version(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || c == '=')
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect())
}

/// Whether `found` is `wanted` or a more precise form of it: `2.9` is met by `2.9.10`
/// and not by `2.90`.
pub(crate) fn version_meets(found: &str, wanted: &str) -> bool {
    let mut found = found.split('.');
    wanted.split('.').all(|part| found.next() == Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_servers_print() {
        let table = [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some("15.18")),
            ("postgres (PostgreSQL) 19beta1", Some("19")),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", Some("7.0.15")),
            ("nats-server: v2.9.10", Some("2.9.10")),
            ("no version here", None),
        ];
        for (text, version) in table {
            assert_eq!(find_version(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn a_version_is_met_part_by_part() {
        for (found, wanted, met) in [
            ("15.18", "15", true),
            ("15.18", "15.18", true),
            ("2.9.10", "2.9", true),
            ("2.90.1", "2.9", false),
            ("15", "15.1", false),
            ("7.0.15", "8", false),
        ] {
            assert_eq!(version_meets(found, wanted), met, "{found} {wanted}");
        }
    }
}
