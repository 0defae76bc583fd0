//! Which server programs this machine has: in `PATH`, and where Debian, Red Hat and Homebrew
//! put servers.

use std::fs;
use std::path::PathBuf;

use rustix::fs::{Access, access};

use super::{Kind, ServerError};

/// Folders that hold servers and are often not in a person's `PATH`.
const SERVER_FOLDERS: [&str; 5] =
    ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"];

/// Parents of folders with one version of PostgreSQL each, and how those begin: Debian, Red
/// Hat (PGDG), Homebrew on ARM and Intel.
const POSTGRES_PARENTS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

/// A program of this kind of server; the first name that is there.
pub(super) fn find(kind: Kind, names: &[&'static str]) -> Result<PathBuf, ServerError> {
    let folders = match kind {
        Kind::Postgres => [postgres_folders(), folders()].concat(),
        Kind::Redis | Kind::Nats => folders(),
    };
    let found = names.iter().find_map(|name| {
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|program| access(program, Access::EXEC_OK).is_ok() && program.is_file())
    });
    found.ok_or(ServerError::NotInstalled {
        program: names.first().copied().unwrap_or_default(),
        packages: packages(kind),
    })
}

fn packages(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "the package `postgresql` (apt), `postgresql-server` (dnf) or `postgresql@17` (brew)"
        }
        Kind::Redis => {
            "the package `redis-server` (apt), `redis` or `valkey` (dnf), or `redis` (brew)"
        }
        Kind::Nats => "the package `nats-server` (apt, brew), or the program from nats.io",
    }
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from)).collect()
}

/// The newest version first: its programs must not be mixed with those of another one.
fn postgres_folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = POSTGRES_PARENTS
        .iter()
        .flat_map(|(parent, start)| {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            entries.filter_map(move |entry| {
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(start)?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
        })
        .filter(|(_, folder)| folder.join("postgres").is_file())
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
